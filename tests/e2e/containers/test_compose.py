"""The stack in containers: `./run test containers`. Builds all images; needs a Docker engine."""

import base64
import io
import itertools
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import urllib3

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from engine import BUILD_SECONDS, Project, copy_of_clone, engine_answers, run, third_party_images
from servers import free_ports, scripts, wait_for
from walking import Stack

from pikastack.drawings import write_collection, write_labels

pytestmark = [
    pytest.mark.containers,
    pytest.mark.timeout(2 * BUILD_SECONDS),
    pytest.mark.skipif(not engine_answers(), reason="no Docker engine with Compose answers"),
]
SERVICES = ("scraper", "classifier", "gan")
WORKERS = tuple(f"{name}-worker" for name in SERVICES)
LONG_RUNNING = ("front", *SERVICES, *WORKERS, "minio", "valkey")
MEGABYTE = 1e6
ADDED_CAPABILITIES = {"volume-owner": ["CAP_CHOWN"], "front": ["CAP_NET_BIND_SERVICE"]}


@pytest.fixture(scope="session")
def images():
    return third_party_images()


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    return copy_of_clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def project(clone, images):
    """The base stack, built and up; it is gone afterwards, volumes and all."""
    found = Project(clone, f"pikastack-test-{os.getpid()}", free_ports(1)[0], images)
    found.make_secrets()
    found.compose("build", "--quiet", seconds=BUILD_SECONDS)
    try:
        found.ready_after = _seconds_until_up(found)
        yield found
    finally:
        found.compose("down", "--volumes", "--timeout", "5")


def _seconds_until_up(project):
    started = time.monotonic()
    project.compose("up", "--detach", "--wait", "--no-build", "--quiet-pull")
    return time.monotonic() - started


@pytest.fixture(scope="session")
def stack(project, tmp_path_factory):
    return Stack(
        tmp_path_factory.mktemp("no-state"), tmp_path_factory.mktemp("no-roots"), project.url, project.headers
    )


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_collection(folder / "pile", num_pikachu=90, num_others=50, seed=5)
    write_labels(folder / "labels", num_trains=16, num_valids=8, seed=6)
    return folder


def pack(folder):
    """All files below `folder` as one zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()


@pytest.fixture(scope="session")
def walked(stack, drawn):
    """The whole way through the front door: from an upload to a generator's version."""
    taken = stack.job("/images", body=pack(drawn / "pile"), headers={"Content-Type": "application/zip"})
    assert taken["taken"] > 100
    subprocess.run(
        [scripts() / "pikastack", "label", str(drawn / "labels"), "--url", stack.url, "--json"], check=True
    )
    stack.job("/classifier/train")
    kept = stack.job("/filter", {"threshold": 0.5})
    assert kept["chosen"] >= 40, kept
    version = stack.job("/gan/train", {"preset": "tiny", "steps": 30})["model_version"]
    # What so short a training draws is served only when a person says so.
    assert stack.request("PUT", "/gan/models/current", json={"version": version}).status == 200
    return version


def test_every_combination_of_files_is_valid(clone, images):
    overlays = [path.name for path in sorted(clone.glob("compose.*.yaml"))]
    assert len(overlays) >= 4
    for count in range(len(overlays) + 1):
        for chosen in itertools.combinations(overlays, count):
            project = Project(clone, "config", 1, images, ("docker-compose.yml", *chosen))
            project.settings["PIKA_SITE"] = "pikachu.example.org"
            project.compose("config", "--quiet")


def test_the_whole_way_ends_in_a_picture(stack, walked):
    picture = stack.get("/generate?seed=7")
    assert picture.data.startswith(b"\x89PNG")
    assert picture.headers["X-Model-Version"] == walked
    assert stack.get("/generate?seed=7").data == picture.data
    answer = stack.post("/is-pikachu", {"image": base64.b64encode(picture.data).decode()}).json
    assert 0 <= answer["probability"] <= 1


def test_it_is_ready_within_a_minute(project):
    assert project.ready_after < 60, f"ready after {project.ready_after:.0f} s"


def test_nothing_runs_as_root_or_with_more_than_it_needs(project):
    for service, view in project.containers().items():
        host = view["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["CapAdd"] == ADDED_CAPABILITIES.get(service), service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["Memory"] > 0, service
        assert host["PidsLimit"] > 0, service
        assert host["LogConfig"]["Config"]["max-size"], service
        if service in LONG_RUNNING:
            assert view["Config"]["User"] == "10001:10001", service
            assert view["State"]["Health"]["Status"] == "healthy", service
            status = project.execute(service, "cat", "/proc/1/status").stdout
            if service not in ADDED_CAPABILITIES:
                assert "CapEff:\t0000000000000000" in status, service
            assert project.execute(service, "sh", "-c", "echo x > /etc/x").returncode, service


def test_only_the_front_door_is_published_and_on_loopback(project):
    published = {
        (service, bound["HostIp"])
        for service, view in project.containers().items()
        for bounds in (view["NetworkSettings"]["Ports"] or {}).values()
        for bound in bounds or []
    }
    assert published == {("front", "127.0.0.1")}


def test_without_its_key_nobody_gets_in(project, stack):
    assert urllib3.request("GET", f"{project.url}/jobs", retries=False).status == 401
    assert stack.get("/jobs").status == 200


def test_only_the_scrapers_worker_reaches_out(project):
    """Reaching out: a route to a public address that lets packets leave. Its own host stands for that."""
    gateway = run("docker", "network", "inspect", f"{project.name}_egress", "--format",
                  "{{(index .IPAM.Config 0).Gateway}}").strip()  # fmt: skip
    script = (
        "import socket, sys\n"
        "try: socket.create_connection((sys.argv[1], 9), 3)\n"
        "except ConnectionRefusedError: print('reached')\n"
        "except OSError as error: print('not reached', error)\n"
    )
    for service in (*SERVICES, *WORKERS):
        answer = project.execute(service, "python", "-c", script, gateway).stdout
        assert answer.startswith("reached") == (service == "scraper-worker"), (service, answer)


def test_secrets_are_nowhere_but_in_their_files(project, walked):
    inspected = str(project.containers())
    logs = project.compose("logs", "--no-color")
    tags = run(
        "docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=pikastack/*:test"
    )
    history = "".join(run("docker", "history", "--no-trunc", tag) for tag in tags.split())
    secrets = project.secrets() | {"api-keys": project.secrets()["api-keys"].rpartition(":")[2]}
    for name, value in secrets.items():
        for where, text in (("inspect", inspected), ("logs", logs), ("history", history)):
            assert value not in text, f"{name} is in {where}"
    for service in LONG_RUNNING:
        arguments = project.execute(service, "sh", "-c", "cat /proc/[0-9]*/cmdline").stdout
        assert not any(value in arguments for value in secrets.values() if len(value) >= 16), service


def test_the_images_are_small_and_front_ends_have_no_tensorflow(project):
    base = _size("python:3.11-slim-bookworm")
    for name in SERVICES:
        assert (_size(f"pikastack/{name}:test") - base) / MEGABYTE <= 350, name
        look = "import importlib.util as u, sys; sys.exit(u.find_spec('tensorflow') is not None)"
        assert project.execute(name, "python", "-c", look).returncode == 0, name
        assert project.execute(name, "sh", "-c", "command -v cc gcc uv pip3.99").returncode != 0, name
    for name in ("classifier-worker", "gan-worker"):
        assert _size(f"pikastack/{name}:test") / MEGABYTE <= 2200, name


def _size(image):
    return int(run("docker", "image", "inspect", image, "--format", "{{.Size}}"))


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_what_is_killed_comes_back_and_the_walk_goes_on(project, stack, walked, service):
    before = stack.get("/buckets").json["buckets"]
    job_id = stack.start_job("/gan/train", {"preset": "tiny", "steps": 400})
    wait_for(lambda: stack.get(f"/jobs/{job_id}").json["progress"]["done"] > 0, "the training has begun", 120)
    project.compose("kill", service)
    # The engine takes `kill` for the operator's wish; coming back is the operator's wish, too.
    project.compose("up", "--detach", "--wait", "--no-build")
    view = stack.wait_for_job(job_id, 240)
    assert view["status"] == "finished", view
    after = stack.get("/buckets").json["buckets"]
    assert {name: after[name] for name in ("raw", "images", "pikachu")} == {
        name: before[name] for name in ("raw", "images", "pikachu")
    }


def test_a_crash_is_restarted_by_the_engine(project, stack, walked):
    pid = project.containers()["gan"]["State"]["Pid"]
    try:
        os.kill(pid, 9)
    except (ProcessLookupError, PermissionError):
        pytest.skip("the engine's processes are not this host's, or not ours to end")
    wait_for(lambda: stack.request("GET", "/generate?seed=1").status == 200, "the service has come back", 60)
    assert project.containers()["gan"]["RestartCount"] >= 1


def test_down_and_up_keep_everything(project, stack, walked):
    before = stack.get("/generate?seed=11").data
    buckets = stack.get("/buckets").json
    project.compose("down")
    project.compose("up", "--detach", "--wait", "--no-build")
    assert stack.get("/generate?seed=11").data == before
    assert stack.get("/buckets").json == buckets


def test_the_command_finds_the_stack_by_itself(project, stack, walked, tmp_path):
    """In a clone whose .env tells the port, with nothing started by `pikastack up`."""
    result = subprocess.run(
        [
            scripts() / "pikastack",
            "generate",
            "-n",
            "1",
            "--seed",
            "7",
            "--out",
            str(tmp_path / "out"),
            "--json",
        ],
        env=os.environ | {"PIKASTACK_STATE": str(tmp_path / "none"), "PIKA_PORT": str(project.port)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert next((tmp_path / "out").glob("*.png")).read_bytes() == stack.get("/generate?seed=7").data


def test_the_storage_part_on_seaweedfs(clone, images, drawn, tmp_path):
    files = ("docker-compose.yml", "compose.seaweedfs.yaml")
    project = Project(clone, f"pikastack-weed-{os.getpid()}", free_ports(1)[0], images, files)
    project.make_secrets()
    try:
        project.compose("up", "--detach", "--wait", "--no-build")
        stack = Stack(tmp_path, tmp_path, project.url, project.headers)
        taken = stack.job("/images", body=pack(drawn / "pile"), headers={"Content-Type": "application/zip"})
        assert stack.get("/buckets").json["buckets"]["raw"] == taken["taken"] > 100
        project.compose("kill", "minio")
        project.compose("up", "--detach", "--wait", "--no-build")
        assert stack.get("/buckets").json["buckets"]["raw"] == taken["taken"]
    finally:
        project.compose("down", "--volumes", "--timeout", "5")


def test_without_a_gpu_the_gpu_worker_stops_and_says_what_to_check(clone, images, project):
    """The reservation is scheduled (by an engine that knows NVIDIA's driver); the image is the CPU's, to
    spare its 5 GB here."""
    gpu = Project(clone, project.name, project.port, images, ("docker-compose.yml", "compose.gpu.yaml"))
    view = gpu.compose("config", "--format", "json")
    assert '"driver": "nvidia"' in view
    done = subprocess.run(
        ["docker", "run", "--rm", "--gpus", "all", "--user", "10001", "--read-only", "--tmpfs", "/tmp",
         "pikastack/gan-worker:test", "python", "-m", "pika_gan.gpu_worker"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if "could not select device driver" in done.stderr:
        pytest.skip("the engine knows no NVIDIA driver")
    if "gpu_worker: 1 GPU" in done.stdout:
        pytest.skip("there is a GPU")
    assert done.returncode == 1
    assert "expected an NVIDIA GPU, and TensorFlow sees none" in done.stderr
    assert "nvidia-smi" in done.stderr


def test_the_front_door_speaks_https_by_one_setting(clone, images, project):
    files = ("docker-compose.yml", "compose.tls.yaml")
    tls = Project(clone, project.name, project.port, images, files, {"PIKA_SITE": "localhost"})
    override = clone / "compose.test-ports.yaml"
    plain, secure = free_ports(2)
    override.write_text(
        "services:\n  front:\n    ports: !override\n"
        f'      - "127.0.0.1:{plain}:8080"\n      - "127.0.0.1:{secure}:8443"\n'
    )
    tls.files = (*files, override.name)
    try:
        tls.compose("up", "--detach", "--wait", "--no-build", "front")
        pool = urllib3.PoolManager(cert_reqs="CERT_NONE")
        answer = pool.request("GET", f"https://localhost:{secure}/health/ready", retries=False)
        assert answer.status == 200
        moved = pool.request("GET", f"http://localhost:{plain}/health/ready", redirect=False, retries=False)
        assert moved.status == 308
        assert moved.headers["Location"].startswith("https://localhost")
    finally:
        override.unlink()
        project.compose("up", "--detach", "--wait", "--no-build", "front")
