"""Chromium helpers: wait for a condition, and check what a page has requested."""

import json
import shutil
import time

import pytest


def until(check, seconds=20.0):
    """Call `check` until it returns something true, and return that."""
    end = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return result


def chromium(folder):
    """Start a headless Chromium with a new profile; the caller quits it."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=900,1000"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def assert_own_origin_only(browser, stack, *, but_for=()):
    """Assert that no other origin was contacted and that the browser logged no errors.

    Args:
        but_for: words of expected log messages.
    """
    asked = {
        json.loads(entry["message"])["message"]["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if json.loads(entry["message"])["message"]["method"] == "Network.requestWillBeSent"
    }
    asked = {url for url in asked if url.startswith("http")}  # the browser's internal pages
    assert asked
    assert all(url.startswith(stack.url) for url in asked), asked
    expected = ("favicon", *but_for)
    problems = [entry["message"] for entry in browser.get_log("browser")]
    assert not [problem for problem in problems if not any(word in problem for word in expected)]
