#!/usr/bin/env python3
"""Write services/studio/openapi.json: the interface of all services as it is at the gateway.

    .venv/bin/python deploy/merge_openapi.py           # after a change of any view
    .venv/bin/python deploy/merge_openapi.py --check   # exit with 1 if the file is out of date

The file is committed, because the gateway serves it and runs none of our code; a test compares it.
"""

import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from pika_kit.testing import MemoryStore, settings_for_tests

TARGET = Path(__file__).parent.parent / "services" / "studio" / "openapi.json"
SERVICES = ("scraper", "classifier", "gan")
_DESCRIPTION = """\
Collects pictures, learns which of them show Pikachu, and trains a GAN that draws new ones.

Errors are problems (RFC 9457) that say what was expected and what came. Every answer has an `X-Request-Id`;
a request may bring its own. What is not in this document, such as an unknown parameter, is refused by name.
Long work is a job: 202, and `Location` says where to look."""


def merged(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Merge the services' documents. Raises ValueError if two define one name differently."""
    first = next(iter(documents.values()))
    merged: dict[str, Any] = {
        "openapi": first["openapi"],
        "info": first["info"] | {"title": "pikastack", "description": _DESCRIPTION},
        "servers": first["servers"],
        "security": first["security"],
        "tags": [],
        "paths": {},
        "components": {},
    }
    for name, document in documents.items():
        _join(merged["paths"], document["paths"], f"{name}: path")
        for kind, parts in document["components"].items():
            _join(merged["components"].setdefault(kind, {}), parts, f"{name}: {kind}")
        merged["tags"] += [tag for tag in document["tags"] if tag not in merged["tags"]]
    merged["paths"] |= _of_the_gateway(first)
    return merged


def _join(target: dict[str, Any], parts: dict[str, Any], what: str) -> None:
    for name, part in parts.items():
        if target.setdefault(name, part) != part:
            raise ValueError(
                f"{what} {name}: expected what another service says of it, received something else"
            )


def _of_the_gateway(document: dict[str, Any]) -> dict[str, Any]:
    """Health of the whole stack."""
    paths = document["paths"]
    merged = {}
    for kind, summary in (
        ("live", "Check that the gateway answers."),
        ("ready", "Check that all services are ready; otherwise the first that is not answers."),
    ):
        like = next(item for path, item in paths.items() if path.endswith(f"/health/{kind}"))["get"]
        own = {"summary": summary, "operationId": f"front_{kind}"}
        merged[f"/health/{kind}"] = {"get": {**like, **own, "description": "No API key is needed."}}
    return merged


def documents() -> dict[str, dict[str, Any]]:
    """Build each service's own document; nothing is connected to."""
    documents = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in SERVICES:
            create_app = importlib.import_module(f"pika_{name}.app").create_app
            settings = settings_for_tests(Path(folder) / name)
            documents[name] = create_app(settings, store=MemoryStore(), queue=object()).api_doc
    return documents


def text() -> str:
    """Return what the file should contain."""
    return json.dumps(merged(documents()), ensure_ascii=False, indent=1) + "\n"


def main() -> int:
    """Write the file, or compare it."""
    now = text()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(now, encoding="utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == now:
        return 0
    print(f"{TARGET.name} is out of date: run .venv/bin/python deploy/merge_openapi.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
