"""Steps of the whole way on a Compose project: start it, connect to it, run all jobs."""

import io
import os
import subprocess
import zipfile

from servers import scripts
from walking import Stack


def up(project, *services):
    """Run `docker compose up --wait` without building or pulling."""
    project.compose("up", "--detach", "--wait", "--no-build", "--pull", "never", *services)


def speak_to(project, folder):
    """Return a client of a project's gateway, with its key."""
    return Stack(folder, folder, project.url, project.headers)


def pack(folder):
    """Return all files below `folder` as one zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()


def label(stack, folder):
    """Import labels with the command."""
    command = [scripts() / "pikastack", "label", str(folder), "--url", stack.url, "--json"]
    key = stack.headers["Authorization"].removeprefix("Bearer ")
    subprocess.run(command, env=os.environ | {"PIKA_API_KEY": key}, check=True, capture_output=True)


def walk(stack, drawn, at=lambda step: None):
    """Run the whole way through the gateway, from an upload to a generator's version.

    Args:
        at: called with each step's name while its job runs.

    Returns:
        The results of each step, in figures that do not depend on time; and "version".
    """

    def job(step, path, document=None, **options):
        job_id = stack.start_job(path, document, **options)
        at(step)
        view = stack.wait_for_job(job_id)
        assert view["status"] == "finished", (step, view)
        return view["result"]

    headers = {"Content-Type": "application/zip"}
    taken = job("upload", "/images", body=pack(drawn / "pile"), headers=headers)
    label(stack, drawn / "labels")
    classifier = job("classifier", "/classifier/train", {"preset": "tiny"})
    chosen = job("filter", "/filter", {"threshold": 0.3})
    gan = job("gan", "/gan/train", {"preset": "tiny", "steps": 120})
    # After such a short training a version is only served if activated by hand.
    version = {"version": gan["model_version"]}
    assert stack.request("PUT", "/gan/models/current", json=version).status == 200
    return {
        "taken": taken["taken"],
        "roc_auc": classifier["roc_auc"],
        "chosen": chosen["chosen"],
        "steps": gan["steps"],
        "num_pictures": gan["num_pictures"],
        "buckets": stack.get("/buckets").json["buckets"],
        "version": gan["model_version"],
    }
