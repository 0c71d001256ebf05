"""The first page on a stack that asks for an API key, in Chromium."""

from types import SimpleNamespace

from browsing import assert_own_origin_only, until
from test_studio_page import NUM_PICTURES, text_of, wall_of


def enter(browser, key):
    field = browser.find_element("id", "key")
    field.clear()
    field.send_keys(key)
    field.submit()


def test_the_page_asks_for_a_key_and_keeps_it_for_the_session(locked_gateway, browser):
    url, key = locked_gateway
    browser.get(url)
    form = until(lambda: browser.find_element("id", "key-form"))
    until(form.is_displayed)
    assert not wall_of(browser)
    until(lambda: "key" in text_of(browser, "wall-status"))

    enter(browser, "a wrong one")
    until(lambda: browser.find_element("id", "key-form").is_displayed() and not wall_of(browser))

    enter(browser, key)
    until(lambda: len(wall_of(browser)) == NUM_PICTURES)
    assert not browser.find_element("id", "key-form").is_displayed()
    # A link cannot send the key, so it opens the picture that was already drawn.
    links = browser.execute_script("return [...document.querySelectorAll('#wall a')].map((one) => one.href)")
    assert links == wall_of(browser)
    assert key not in browser.current_url
    assert browser.execute_script("return localStorage.length + document.cookie.length") == 0
    browser.refresh()
    until(lambda: len(wall_of(browser)) == NUM_PICTURES)
    assert_own_origin_only(browser, SimpleNamespace(url=url), but_for=("401",))
