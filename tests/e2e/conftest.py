"""The whole way: one fixture per arrow of the diagram; a test requests the arrows it needs."""

import io
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browsing import chromium
from gateway import filled_gateway, filled_servers, locked_gateway
from walking import Stack

from pika_drawings import write_collection, write_labels

__all__ = ["filled_gateway", "filled_servers", "locked_gateway"]
NUM_PIKACHU, NUM_OTHERS = 110, 70


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A folder with a pile of drawn pictures and labels, and name → pikachu, others or broken."""
    folder = tmp_path_factory.mktemp("drawn")
    truth = write_collection(folder / "pile", num_pikachu=NUM_PIKACHU, num_others=NUM_OTHERS, seed=5)
    write_labels(folder / "labels", num_trains=24, num_valids=12, seed=6)
    labels = dict.fromkeys(truth.pikachu, "pikachu") | dict.fromkeys(truth.others, "others")
    for copy, original in [*truth.duplicates.items(), *truth.near_duplicates.items()]:
        labels[copy] = labels[original]
    return folder, labels | dict.fromkeys(truth.broken, "broken")


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """A stack for this test session; afterwards it is stopped, to the last process."""
    stack = Stack(tmp_path_factory.mktemp("stack") / "state", tmp_path_factory.mktemp("scraped"))
    try:
        stack.up("--port", "18080")
        yield stack
    finally:
        stack.cli("down")


@pytest.fixture(scope="session")
def scraped(stack, drawn):
    """sources → raw → images: a folder's pictures, uploaded as a zip.

    Returns:
        The job's result, and in "buckets" how much each bucket grew.
    """
    folder, _truth = drawn
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((folder / "pile").iterdir()):
            archive.write(path, path.name)
    before = stack.get("/buckets").json
    result = stack.job("/images", body=packed.getvalue(), headers={"Content-Type": "application/zip"})
    after = stack.get("/buckets").json
    grown = {name: count - before["buckets"][name] for name, count in after["buckets"].items()}
    grown["near_duplicates"] = after["near_duplicates"] - before["near_duplicates"]
    return {**result, "buckets": grown}


@pytest.fixture(scope="session")
def classifier(stack, drawn):
    """labels → classifier."""
    folder, _truth = drawn
    stack.cli("label", str(folder / "labels"))
    return stack.job("/classifier/train")


@pytest.fixture(scope="session")
def filtered(stack, scraped, classifier):
    """images → pikachu."""
    return stack.job("/filter", {"threshold": 0.5})


@pytest.fixture(scope="session")
def generator(stack, filtered):
    """pikachu → models."""
    result = stack.job("/gan/train", {"preset": "tiny", "steps": 30})
    # After such a short training a version is only served if activated by hand.
    version = {"version": result["model_version"]}
    assert stack.request("PUT", "/gan/models/current", json=version).status == 200
    return result


@pytest.fixture
def browser(tmp_path):
    """Headless Chromium with a new profile."""
    if shutil.which("chromedriver") is None:
        pytest.skip("there is no chromedriver here (Debian: chromium-driver)")
    driver = chromium(tmp_path)
    try:
        yield driver
    finally:
        driver.quit()
