"""The page for labelling pictures: static files of this package under /label."""

import importlib.resources

from flask import Blueprint, Response

_TYPES = {"label.html": "text/html", "label.css": "text/css", "label.js": "text/javascript"}
_HEADERS = {
    # Same origin only; with an API key the script fetches pictures itself.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

page_blueprint = Blueprint("page", __name__)
PAGE_PATHS = ("/label", "/label/label.css", "/label/label.js")


@page_blueprint.get("/label")
def label_page() -> Response:
    """Return the page."""
    return _file("label.html")


@page_blueprint.get("/label/label.css")
def label_style() -> Response:
    """Return its style sheet."""
    return _file("label.css")


@page_blueprint.get("/label/label.js")
def label_script() -> Response:
    """Return its script."""
    return _file("label.js")


def _file(name: str) -> Response:
    data = importlib.resources.files("pika_classifier.page").joinpath(name).read_bytes()
    return Response(data, content_type=f"{_TYPES[name]}; charset=utf-8", headers=_HEADERS)
