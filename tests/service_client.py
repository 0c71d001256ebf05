"""JSON over HTTP to one service that a test has started."""

import urllib3
from servers import wait_for


class Client:
    """JSON over HTTP to one service."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, method: str, path: str, status: int, **options):
        answer = urllib3.request(method, self.url + path, timeout=60, retries=False, **options)
        assert answer.status == status, answer.data[:500]
        return answer.json()

    def finished(self, job: dict, seconds: float = 180) -> dict:
        """Wait for a job that must succeed and return its result."""
        view = wait_for(lambda: self.ended(job["id"]), f"job {job['name']}", seconds)
        assert view["status"] == "finished", view
        return view["result"]

    def ended(self, job_id: str) -> dict | None:
        view = self("GET", f"/jobs/{job_id}", 200)
        return view if view["status"] in {"finished", "failed", "cancelled"} else None
