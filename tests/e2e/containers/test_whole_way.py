"""The base stack in containers: it works, is small, and is locked down."""

import base64
import time

import urllib3
from engine import SERVICES, WORKERS, gateway, run

LONG_RUNNING = ("front", *SERVICES, *WORKERS, "minio", "valkey")
ADDED_CAPABILITIES = {"volume-owner": ["CAP_CHOWN"], "front": ["CAP_NET_BIND_SERVICE"]}
MEGABYTE = 1e6
BASE = "python:3.11-slim-bookworm"
MEGABYTES_OVER_BASE = {
    "scraper": 200, "classifier": 300, "gan": 300, "classifier-worker": 1900, "gan-worker": 1900,
}  # fmt: skip
IDLE_SHARE = 0.05


def test_the_whole_way_ends_in_a_picture(stack, walked):
    picture = stack.get("/generate?seed=7")
    assert picture.data.startswith(b"\x89PNG")
    # Other tests may have trained another version meanwhile.
    assert picture.headers["X-Model-Version"] == stack.get("/gan/models").json["current"]
    assert walked["version"] == "v1"
    assert stack.get("/generate?seed=7").data == picture.data
    answer = stack.post("/is-pikachu", {"image": base64.b64encode(picture.data).decode()}).json
    assert 0 <= answer["probability"] <= 1


def test_the_gateway_shows_its_page_and_the_whole_interface(stack):
    page = stack.request("GET", "/", headers={"Accept": "text/html"})
    assert (page.status, b"<title>pikastack</title>" in page.data) == (200, True)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for path in ("/studio/studio.js", "/studio/studio.css", "/docs"):
        assert stack.request("GET", path).status == 200, path
    assert "/generate" in stack.get("/openapi.json").json["paths"]
    assert stack.get("/").json["openapi"] == "/openapi.json"


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
            assert host["RestartPolicy"]["Name"] == "unless-stopped", service
            assert view["Config"]["User"] == "10001:10001", service
            assert view["State"]["Health"]["Status"] == "healthy", service
            status = project.execute(service, "cat", "/proc/1/status").stdout
            if service not in ADDED_CAPABILITIES:
                assert "CapEff:\t0000000000000000" in status, service
            assert project.execute(service, "sh", "-c", "echo x > /etc/x").returncode, service


def test_scratch_is_on_disk_and_its_owner_may_write_there(project):
    for service in (*SERVICES, *WORKERS):
        (mount,) = [
            each for each in project.containers()[service]["Mounts"] if each["Destination"] == "/scratch"
        ]
        assert mount["Type"] == "volume", service
        assert project.execute(service, "sh", "-c", "echo x > /scratch/x && rm /scratch/x").returncode == 0


def test_only_the_gateway_is_published_and_on_loopback(project):
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


def test_each_container_reaches_what_it_needs_and_nothing_else(project):
    """This host stands in for the internet: reaching it needs a route that lets packets out."""
    world = (gateway(project, "egress"), 9)
    servers, services = {("minio", 9000), ("valkey", 6379)}, {(name, 8000) for name in SERVICES}
    front = {("front", 8080)}
    expected = dict.fromkeys(WORKERS, servers) | dict.fromkeys(SERVICES, servers | services | front)
    expected |= {"front": services | front, "scraper-worker": servers | {world}}
    expected |= {"minio": servers | services, "valkey": servers | services}
    places = [*servers, *services, *front]
    # The gateway's own network must lead to this host; it lacks the route beyond it.
    reached = {
        service: project.reaches(service, places if service == "front" else [*places, world])
        for service in LONG_RUNNING
    }
    assert reached == expected


def test_secrets_are_nowhere_but_in_their_files(project, walked):
    tags = run(
        "docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=pikastack/*:test"
    )
    places = {
        "inspect": str(project.containers()),
        "logs": project.compose("logs", "--no-color"),
        "history": "".join(run("docker", "history", "--no-trunc", tag) for tag in tags.split()),
        "command lines": "".join(
            project.execute(service, "sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ").stdout
            for service in LONG_RUNNING
        ),
    }
    secrets = project.secrets() | {"api-keys": project.secrets()["api-keys"].rpartition(":")[2]}
    for name, value in secrets.items():
        for where, text in places.items():
            assert value not in text, f"{name} is in {where}"


def test_no_layer_holds_a_secret_or_more_of_the_clone_than_it_needs(project):
    for name in MEGABYTES_OVER_BASE:
        look = ["docker", "run", "--rm", "--user", "0", "--entrypoint", "sh", f"pikastack/{name}:test", "-c"]
        secrets = run(
            *look,
            "find / -xdev -name 'api-keys' -o -xdev -name '*-secret-key' -o -xdev -path '*/docker/secrets*'",
        )
        assert secrets == "", name
        leftovers = (
            "ls -A /src /scratch /tmp /var/cache/uv 2>/dev/null | grep -v : ; find / -xdev -name .cache"
        )
        assert run(*look, f"{leftovers}; true").strip() == "", name


def test_each_service_has_its_own_rights_in_store_and_queue(project, walked):
    """The scraper cannot write models, only the classifier reads labels; none is an administrator."""
    rights = {
        "scraper": {"raw": "rw", "images": "rw", "pikachu": "r"},
        "classifier": {"raw": "r", "images": "r", "pikachu": "rw", "labels": "rw", "models/classifier": "rw",
                       "runs/classifier": "rw"},
        "gan": {"raw": "r", "pikachu": "r", "models/gan": "rw", "runs/gan": "rw"},
    }  # fmt: skip
    folders = (
        "raw",
        "images",
        "labels",
        "pikachu",
        "models/classifier",
        "models/gan",
        "runs/classifier",
        "runs/gan",
    )
    script = (
        "import sys\n"
        "from minio.error import S3Error\n"
        "from pika_kit.settings import Settings\n"
        "from pika_kit.storage import Store, ObjectMissing\n"
        "from pika_kit.stages import Bucket\n"
        "store = Store.connect(Settings.from_environment())\n"
        "for place in sys.argv[1:]:\n"
        "    bucket, _, folder = place.partition('/')\n"
        "    key = f'{folder}/a-test' if folder else 'a-test'\n"
        "    can = ''\n"
        "    try: store.get(Bucket(bucket), key)\n"
        "    except ObjectMissing: can += 'r'\n"
        "    except S3Error as error: assert error.code == 'AccessDenied', error\n"
        "    else: can += 'r'\n"
        "    try: store.put(Bucket(bucket), key, b'x'); store.delete(Bucket(bucket), key)\n"
        "    except S3Error as error: assert error.code == 'AccessDenied', error\n"
        "    else: can += 'w'\n"
        "    if can: print(place, can)\n"
    )
    queue = (
        "from pika_kit.settings import Settings\n"
        "from pika_kit.valkey import connect_valkey\n"
        "import redis\n"
        "server = connect_valkey(Settings.from_environment())\n"
        "server.ping()\n"
        "for words in ('FLUSHALL', 'CONFIG GET *', 'ACL LIST', 'KEYS *', 'SET other 1'):\n"
        "    try: server.execute_command(*words.split())\n"
        "    except redis.exceptions.NoPermissionError: continue\n"
        "    print(words)\n"
    )
    for service, expected in rights.items():
        done = project.execute(service, "python", "-c", script, *folders)
        assert done.returncode == 0, done.stderr
        assert dict(line.split() for line in done.stdout.splitlines()) == expected, service
        done = project.execute(service, "python", "-c", queue)
        assert (done.returncode, done.stdout) == (0, ""), (service, done)
    assert "NOAUTH" in project.execute("valkey", "valkey-cli", "ping").stdout


def test_the_images_are_small_and_front_ends_have_no_tensorflow(project):
    base = size(BASE)
    sizes = {name: (size(f"pikastack/{name}:test") - base) / MEGABYTE for name in MEGABYTES_OVER_BASE}
    print({name: f"{megabytes:.0f} MB over its base" for name, megabytes in sizes.items()})
    assert {name for name, megabytes in sizes.items() if megabytes > MEGABYTES_OVER_BASE[name]} == set(), (
        sizes
    )
    for name in (*SERVICES, *WORKERS):
        look = "import importlib.util as u, sys; sys.exit(u.find_spec('tensorflow') is not None)"
        has_tensorflow = project.execute(name, "python", "-c", look).returncode
        assert has_tensorflow == (name in ("classifier-worker", "gan-worker")), name
        assert project.execute(name, "sh", "-c", "command -v cc gcc uv").returncode != 0, name


def size(image):
    return int(run("docker", "image", "inspect", image, "--format", "{{.Size}}"))


def test_idle_it_takes_hardly_any_processor_time(project, walked):
    time.sleep(5)
    before, started = project.cpu_seconds(), time.monotonic()
    time.sleep(60)
    share = (project.cpu_seconds() - before) / (time.monotonic() - started)
    print(f"idle: {share:.1%} of one core")
    assert share < IDLE_SHARE


def test_down_and_up_keep_everything(project, stack, walked):
    before = stack.get("/generate?seed=11").data
    buckets = stack.get("/buckets").json
    project.compose("down")
    project.compose("up", "--detach", "--wait", "--no-build")
    assert stack.get("/generate?seed=11").data == before
    assert stack.get("/buckets").json == buckets
