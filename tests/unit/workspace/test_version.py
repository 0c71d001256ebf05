"""One version number: the packages' metadata, the changelog and the interface agree."""

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
MEMBERS = [ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]


def test_all_members_and_documents_have_one_version():
    versions = {path: tomllib.loads(path.read_text())["project"]["version"] for path in MEMBERS}
    assert len(MEMBERS) == 7
    (version,) = set(versions.values())
    assert importlib.metadata.version("pikastack") == version
    released = re.search(
        r"^## (\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert released is not None
    assert released[1] == version
    document = json.loads((ROOT / "services" / "studio" / "openapi.json").read_text())
    assert document["info"]["version"] == version
    assert f"Version {version}." in (ROOT / "README.md").read_text()
