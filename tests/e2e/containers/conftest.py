"""Fixtures of the containers' tests: an engine, images, one running stack and one pass through it."""

import os
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from engine import BUILD_SECONDS, Project, copy_of_clone, engine_answers, run, third_party_images
from servers import free_ports
from steps import speak_to, up, walk

from pika_drawings import write_collection, write_labels


@pytest.fixture(scope="session", autouse=True)
def engine():
    """Fail without an engine: these tests only run where they are requested."""
    if not engine_answers():
        pytest.exit("no Docker engine with Compose answers (DOCKER_HOST says where it is)", returncode=1)


@pytest.fixture(scope="session")
def images():
    """Variable → third-party image."""
    return third_party_images()


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A copy of the clone, with secrets."""
    return copy_of_clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def built(clone, images):
    """A project whose images are built, but which is not up."""
    project = Project(clone, f"pikastack-test-{os.getpid()}", free_ports(1)[0], images)
    project.make_secrets()
    project.compose("build", "--quiet", seconds=BUILD_SECONDS)
    return project


@pytest.fixture(scope="session")
def project(built):
    """The base stack, up; removed afterwards with its volumes."""
    try:
        started = time.monotonic()
        up(built)
        built.ready_after = time.monotonic() - started
        yield built
    finally:
        built.compose("down", "--volumes", "--timeout", "5")


@pytest.fixture
def another(clone, built, images):
    """Create a project for one test from the same clone: `another(files, settings)`; removed afterwards."""
    made = []

    def make(*overlays, **settings):
        name = f"{built.name}-{len(made) + 1}"
        project = Project(
            clone, name, free_ports(1)[0], images, ("docker-compose.yml", *overlays), dict(settings)
        )
        made.append(project)
        return project

    yield make
    for project in made:
        project.compose("down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="session")
def stack(project, tmp_path_factory):
    """A client of the base stack's gateway."""
    return speak_to(project, tmp_path_factory.mktemp("no-state"))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A pile of drawn pictures and labels."""
    folder = tmp_path_factory.mktemp("drawn")
    write_collection(folder / "pile", num_pikachu=90, num_others=50, seed=5)
    write_labels(folder / "labels", num_trains=16, num_valids=8, seed=6)
    return folder


@pytest.fixture(scope="session")
def walked(stack, drawn):
    """The results of an undisturbed pass through the whole stack."""
    results = walk(stack, drawn)
    assert results["taken"] > 100
    assert results["chosen"] >= 40
    return results


@pytest.fixture(scope="session")
def client(clone, tmp_path_factory):
    """The command, installed alone into a new environment."""
    folder = tmp_path_factory.mktemp("client")
    run(sys.executable, "run", "uv", "venv", "--quiet", str(folder / "venv"), cwd=clone, seconds=600)
    python = str(folder / "venv/bin/python")
    run(
        sys.executable,
        "run",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "./deploy/local",
        cwd=clone,
    )
    return folder / "venv/bin/pikastack"
