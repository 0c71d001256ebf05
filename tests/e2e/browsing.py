"""Pages in Chromium: waiting for what happens, and what a page has asked for."""

import json
import shutil
import time

import pytest


def until(check, seconds=20.0):
    """Call `check` until it gives something true, and return that."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


def chromium(folder):
    """A headless Chromium on a profile of its own; its user quits it."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=900,1000"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def assert_own_origin_only(browser, stack, *, but_for=()):
    """Nothing was asked of anybody else, and the browser had nothing to complain of.

    Args:
        but_for: words of complaints that are meant to be there.
    """
    asked = {
        json.loads(entry["message"])["message"]["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if json.loads(entry["message"])["message"]["method"] == "Network.requestWillBeSent"
    }
    asked = {url for url in asked if url.startswith("http")}  # the browser's own pages are not the page's
    assert asked
    assert all(url.startswith(stack.url) for url in asked), asked
    expected = ("favicon", *but_for)
    problems = [entry["message"] for entry in browser.get_log("browser")]
    assert not [problem for problem in problems if not any(word in problem for word in expected)]
