"""The Dockerfiles and Compose files are consistent with each other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMPOSE_FILES = [ROOT / "docker-compose.yml", *sorted(ROOT.glob("compose.*.yaml"))]
DOCKERFILES = sorted((ROOT / "deploy/docker").glob("*.Dockerfile"))


def test_the_dockerfiles_share_their_first_layers():
    starts = {
        re.search(r"^ARG PYTHON_IMAGE.*?(?=^FROM lists AS wheels)", path.read_text(), re.S | re.M)[0]
        for path in DOCKERFILES
    }
    assert len(DOCKERFILES) == 3
    assert len(starts) == 1


def test_the_dockerfiles_know_every_member_of_the_workspace():
    members = re.search(r"^members = \[(.*)\]", (ROOT / "pyproject.toml").read_text(), re.M)[1]
    for member in re.findall(r'"(.+?)"', members):
        assert f"COPY {member}/pyproject.toml {member}/" in DOCKERFILES[0].read_text(), member


def test_every_variable_of_the_compose_files_is_explained_in_the_example():
    used = {name for path in COMPOSE_FILES for name in re.findall(r"(?<!\$)\$\{(\w+)", path.read_text())}
    explained = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M)
    assert used | {"COMPOSE_FILE"} == set(explained)
    assert len(explained) == len(set(explained))


def test_the_example_says_the_defaults():
    text = (ROOT / ".env.example").read_text()
    said = dict(re.findall(r"^([A-Z][A-Z0-9_]+)=(.*)$", text, re.M))
    for path in COMPOSE_FILES:
        for name, default in re.findall(r"(?<!\$)\$\{(\w+):-([^}]*)\}", path.read_text()):
            if name in said:
                assert said[name] == default, (path.name, name)


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_third_party_images_are_pinned_to_a_version_and_a_digest(path):
    for image in re.findall(r"^\s*image: (.+)$", path.read_text(), re.M):
        if "pikastack/" in image:
            continue
        assert re.fullmatch(r"\$\{PIKA_\w+_IMAGE:-[\w./-]+:[^@}]*\d[^@}]*@sha256:[0-9a-f]{64}\}", image), (
            image
        )
        assert "latest" not in image


def test_the_build_context_holds_no_more_than_the_images_need():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    for path in ("tests", "docs", ".git", ".venv", "deploy/docker"):
        assert f"!{path}" not in lines
