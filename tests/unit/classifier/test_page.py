"""The labelling page's files: types, policy, and no other origin."""

import re

import pytest

from pika_classifier.app import create_app
from pika_classifier.http.page import PAGE_PATHS
from pika_kit.testing import MemoryStore, settings_for_tests


@pytest.fixture
def client(tmp_path):
    return create_app(settings_for_tests(tmp_path), store=MemoryStore()).test_client()


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/label", "text/html"), ("/label/label.css", "text/css"), ("/label/label.js", "text/javascript")],
)
def test_the_pages_files_are_served_with_a_strict_policy(client, path, media_type):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.content_type.startswith(media_type)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    text = answer.get_data(as_text=True)
    assert not re.search(r"https?://", text)
    assert "onclick" not in text
    assert "style=" not in text


def test_the_page_needs_no_key_and_what_it_asks_for_does(tmp_path):
    settings = settings_for_tests(tmp_path, api_keys={"ann": "0123456789abcdef"})
    client = create_app(settings, store=MemoryStore()).test_client()
    for path in PAGE_PATHS:
        assert client.get(path).status_code == 200
    assert client.get("/labels?limit=0").status_code == 401
    answer = client.get("/labels?limit=0", headers={"Authorization": "Bearer 0123456789abcdef"})
    assert answer.status_code == 200


def test_nothing_else_of_the_package_is_served(client):
    assert client.get("/label/__init__.py").status_code == 404
    assert client.get("/label/../config.py").status_code == 404
