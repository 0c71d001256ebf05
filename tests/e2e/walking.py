"""A whole stack under test: started with the user's command, accessed over HTTP at its gateway."""

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import urllib3
from servers import scripts

JOB_SECONDS = 600


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: Any
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)


@dataclass
class Stack:
    """A running stack: `cli` runs commands on it, `get` and `post` send requests to its gateway."""

    state: Path
    scrape_root: Path
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every request: an API key."""
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=40))

    def cli(self, *arguments: str, status: int = 0) -> Any:
        """Run `pikastack … --json` and return its parsed output."""
        result = subprocess.run(
            [scripts() / "pikastack", *arguments, "--state", str(self.state), "--json"],
            env={**os.environ, "PIKASTACK_STATE": str(self.state)},
            capture_output=True,
            text=True,
            check=False,
            timeout=JOB_SECONDS,
        )
        assert result.returncode == status, (
            f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        )
        return json.loads(result.stdout) if result.stdout.strip() else None

    def up(self, *arguments: str) -> dict[str, Any]:
        """Start (or find) the stack."""
        stack: dict[str, Any] = self.cli("up", "--scrape-root", str(self.scrape_root), *arguments)
        self.url = stack["url"]
        return stack

    def request(self, method: str, path: str, **options: Any) -> Answer:
        """Send one request, without retries."""
        options["headers"] = {**self.headers, **options.get("headers", {})}
        answer = self.pool.request(method, self.url + path, retries=False, timeout=120, **options)
        return Answer(answer.status, answer.headers, answer.data)

    def get(self, path: str, status: int = 200) -> Answer:
        """Send a GET that must return `status`."""
        answer = self.request("GET", path)
        assert answer.status == status, f"GET {path}: {answer.status} {answer.data[:500]!r}"
        return answer

    def post(self, path: str, document: Any = None, status: int = 200, **options: Any) -> Answer:
        """Send a POST, of JSON or of what `options` say, that must return `status`."""
        if not options:
            options = {"json": document or {}}
        answer = self.request("POST", path, **options)
        assert answer.status == status, f"POST {path}: {answer.status} {answer.data[:500]!r}"
        return answer

    def start_job(self, path: str, document: Any = None, **options: Any) -> str:
        """Start a job and return its id."""
        answer = self.post(path, document, status=202, **options)
        assert answer.headers["Location"] == f"/jobs/{answer.json['id']}"
        return str(answer.json["id"])

    def wait_for_job(self, job_id: str, seconds: float = JOB_SECONDS) -> dict[str, Any]:
        """Wait for a job's end and return its view."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            view: dict[str, Any] = self.get(f"/jobs/{job_id}").json
            if view["status"] in {"finished", "failed", "cancelled"}:
                return view
            time.sleep(0.3)
        raise TimeoutError(f"job {job_id} is {view['status']} after {seconds:g} s: {view['progress']}")

    def job(self, path: str, document: Any = None, **options: Any) -> dict[str, Any]:
        """Run a job to its end and return its result; it must succeed."""
        view = self.wait_for_job(self.start_job(path, document, **options))
        assert view["status"] == "finished", view
        result: dict[str, Any] = view["result"]
        return result

    def processes(self, words: str) -> list[psutil.Process]:
        """Return this stack's processes whose command line contains `words`."""
        ours = []
        for process in psutil.process_iter(["cmdline", "pid"]):
            if words in " ".join(process.info["cmdline"] or []) and self._is_ours(process):
                ours.append(process)
        return ours

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            members = [process, *process.parents()]
            return any(str(self.state) in " ".join(member.cmdline()) for member in members)
        except psutil.Error:
            return False
