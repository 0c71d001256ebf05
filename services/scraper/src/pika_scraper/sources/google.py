"""Source `google`: Google image search through google-images-download in a real browser.

Disabled unless the operator sets PIKA_GOOGLE=true: the program hides that it is automated, which the search
engine's terms forbid. It runs in a separate process (`google_process`) without access to anything of ours and
downloads nothing; the job fetches what it names like everything else.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pika_kit.settings import Settings
from pika_scraper.errors import SourceError
from pika_scraper.sources.base import Gathered, ScrapeRequest, Source, Tools
from pika_scraper.sources.search import Exhausted, Found, check_queries, gathering, text

MAX_RESULTS = 400
"""More than the page shows, however far it is scrolled."""
SECONDS = 180.0
"""For one query: the browser's start, and some twenty seconds in which the program scrolls."""
_PASSED_ON = ("PATH", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH")
_DRIVER = "chromedriver"


def check(request: ScrapeRequest, settings: Settings) -> None:
    """Validate the request. Raises SourceError."""
    check_queries(request)
    if not settings.google:
        detail = "the source google is off; the operator can turn it on (PIKA_GOOGLE=true, see the guide)"
        raise SourceError("source-arguments", detail)


@contextmanager
def gather(request: ScrapeRequest, tools: Tools) -> Iterator[Gathered]:
    """Yield what the results page names, in its order."""
    check(request, tools.settings)
    if importlib.util.find_spec("google_images_download") is None:
        detail = "the source google expects the package google-images-download; install pika-scraper[google]"
        raise SourceError("source-arguments", detail)
    driver = shutil.which(_DRIVER)
    if driver is None:
        detail = (
            f"the source google expects Chromium and {_DRIVER} on this machine, and there is none in PATH"
        )
        raise SourceError("source-arguments", detail)
    browser = Browser(driver, tools.settings)
    with gathering(request, tools.settings, browser, search) as candidates:
        yield candidates


class Browser:
    """Run google-images-download, one query at a time."""

    def __init__(self, driver: str, settings: Settings, seconds: float = SECONDS) -> None:
        self._driver, self._settings, self._seconds = driver, settings, seconds

    def results(self, query: str) -> list[dict[str, Any]]:
        """Return its results for a query, each with image_link, image_source, image_description.

        Raises:
            Exhausted: it found nothing, failed, or took too long.
        """
        self._settings.state_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="google-", dir=self._settings.state_dir) as folder:
            said = self._run(query, Path(folder))
            # Its exit status is always 0, so its output file decides.
            logs = sorted(Path(folder, "logs").glob("*.json"))
            if not logs:
                raise Exhausted(_why(said))
            try:
                results = json.loads(logs[0].read_bytes())
            except ValueError as error:
                raise Exhausted("google-images-download wrote something unexpected") from error
        if not isinstance(results, list) or not results:
            raise Exhausted("the results page named no pictures")
        return [item for item in results if isinstance(item, dict)]

    def close(self) -> None:
        """Do nothing: no connection stays open between queries."""

    def _run(self, query: str, folder: Path) -> str:
        """Run the process and return its output. Raises Exhausted after its time limit."""
        words = {
            "query": query,
            "limit": MAX_RESULTS,
            "driver": self._driver,
            "url": self._settings.google_url,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "pika_scraper.sources.google_process", json.dumps(words)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ}
            # Relative paths: the path of the browser's socket is limited to 108 characters.
            | {"HOME": ".", "TMPDIR": ".", "PYTHONUTF8": "1", "SE_AVOID_STATS": "true"},
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=self._seconds)
        except subprocess.TimeoutExpired:
            raise Exhausted(f"the browser took longer than {self._seconds:.0f} s") from None
        finally:
            # Kill the whole process group, which includes the browser.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        return said.decode("utf-8", "replace")


def search(browser: Browser, query: str) -> Iterator[Found]:
    """Yield all pictures that the page names."""
    for item in browser.results(query):
        url = _unescaped(text(item.get("image_link")))
        if url is not None:
            page = _unescaped(text(item.get("image_source")))
            # The program takes the nearest address in the page as the source, which may be a neighbour's.
            note = "the page is a guess" if page else None
            yield Found(url, name=_unescaped(text(item.get("image_description"))), page=page, note=note)
    raise Exhausted("there are no more results on the page")


def _unescaped(value: str | None) -> str | None:
    r"""Decode text that was cut out of scripts with its escapes: "\u003d" is "="."""
    if value is None:
        return None
    try:
        decoded: str = json.loads(f'"{value}"')
    except ValueError:
        return value
    return decoded


def _why(said: str) -> str:
    """Describe a run that wrote nothing."""
    if "cannot locate the path the 'chromedriver'" in said:
        reason = said.partition("(exception:")[2].strip().splitlines()
        return f"Chromium could not be started: {reason[0][:300] if reason else 'it is not installed'}"
    lines = said.strip().splitlines()
    return f"google-images-download failed: {lines[-1][:300] if lines else 'it said nothing'}"


SOURCE = Source("google", check, gather)
