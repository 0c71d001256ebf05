"""The first page in Chromium, through the gateway: wall, question, jobs; keyboard, phone and desktop."""

import pytest
from browsing import assert_own_origin_only, until

NUM_PICTURES = 18


def wall_of(browser):
    """Return the addresses of the wall's pictures once all are drawn; before, an empty list."""
    return browser.execute_script(
        "return [...document.querySelectorAll('#wall img')]"
        ".filter((one) => one.naturalWidth).map((one) => one.src)"
    )


def text_of(browser, name):
    return browser.find_element("id", name).text


def open_page(stack, browser, path="/"):
    browser.get(stack.url + path)
    until(lambda: len(wall_of(browser)) == NUM_PICTURES)


@pytest.mark.parametrize(("name", "width", "height"), [("phone", 390, 844), ("desktop", 1280, 900)])
def test_the_page_fits_phone_and_desktop(stack, generator, browser, tmp_path, name, width, height):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": name == "phone"},
    )
    open_page(stack, browser)
    until(lambda: "gan-train" in text_of(browser, "jobs"))
    until(lambda: text_of(browser, "models").count("v") >= 2)
    browser.save_screenshot(str(tmp_path / f"{name}.png"))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    columns = browser.execute_script(
        "return getComputedStyle(document.getElementById('wall')).gridTemplateColumns.split(' ').length"
    )
    assert columns == (3 if name == "phone" else 9)
    assert_own_origin_only(browser, stack)


def test_a_picture_is_asked_about(stack, classifier, generator, drawn, browser, tmp_path):
    folder, _ = drawn
    open_page(stack, browser)
    field = browser.find_element("id", "file")
    for label, verdict in (("pikachu", "Yes, that is Pikachu."), ("others", "No, that is not Pikachu.")):
        picture = next((folder / "labels" / "trains" / label).iterdir())
        field.send_keys(str(picture))
        until(lambda verdict=verdict: text_of(browser, "answer").startswith(verdict))
        assert "Probability" in text_of(browser, "answer")
    notes = tmp_path / "notes.png"
    notes.write_text("no picture at all")
    field.send_keys(str(notes))
    until(lambda: "Probability" not in text_of(browser, "answer") and len(text_of(browser, "answer")) > 10)
    # the 415 response is logged to the console
    assert_own_origin_only(browser, stack, but_for=("/is-pikachu",))


def test_the_keyboard_is_enough(stack, generator, browser):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    open_page(stack, browser)
    before = wall_of(browser)
    body = browser.find_element("tag name", "body")
    body.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("id") == "redraw"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    until(lambda: len(wall_of(browser)) == NUM_PICTURES and not set(wall_of(browser)) & set(before))
    # Past the pictures to the file field and the links at the end.
    seen = []
    for _ in range(NUM_PICTURES + 12):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        active = browser.switch_to.active_element
        seen.append(active.get_attribute("id") or active.get_attribute("href"))
    assert "file" in seen
    assert f"{stack.url}/docs" in seen
    named = browser.execute_script("return [...document.querySelectorAll('#wall img')].map((one) => one.alt)")
    assert all(name.startswith("Drawn from seed") for name in named)


def test_the_interface_is_shown_and_can_be_tried(stack, browser):
    browser.get(f"{stack.url}/docs")
    until(
        lambda: (
            "/is-pikachu" in text_of(browser, "swagger-ui") and "/generate" in text_of(browser, "swagger-ui")
        )
    )
    assert_own_origin_only(browser, stack)


def test_programs_get_json_at_the_gateway(stack):
    assert stack.get("/").json["openapi"] == "/openapi.json"
    document = stack.get("/openapi.json").json
    assert {"/generate", "/is-pikachu", "/scrape", "/jobs", "/health/ready"} <= set(document["paths"])
    assert stack.request("GET", "/studio/../Caddyfile").status == 404
    assert stack.request("GET", "/studio/nothing").json["type"] == "urn:pikastack:problem:not-found"
    assert stack.request("POST", "/openapi.json").status == 405


@pytest.mark.parametrize(
    ("sent", "is_kept"), [("mine-1", True), ('", "status": 200, "x": "', False), ("a" * 65, False)]
)
def test_a_clients_request_id_is_kept_where_it_does_no_harm(stack, sent, is_kept):
    answer = stack.request("GET", "/nothing-there", headers={"X-Request-Id": sent})
    assert (answer.json["status"], answer.json["type"]) == (404, "urn:pikastack:problem:not-found")
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert (answer.headers["X-Request-Id"] == sent) is is_kept
