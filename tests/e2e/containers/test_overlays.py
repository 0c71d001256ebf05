"""Each overlay starts and does its job."""

import json
import subprocess

import pytest
import urllib3
from engine import SERVICES, WORKERS, gateway, run
from servers import free_ports, scripts, wait_for
from steps import pack, speak_to, up


def ports_of(clone, name, **ports):
    """Write an overlay with free ports, such as `front={8443: 51234}`: two stacks cannot share 443."""
    lines = ["services:"]
    for service, numbers in ports.items():
        lines += [f"  {service}:", "    ports: !override"]
        lines += [f'      - "127.0.0.1:{outside}:{inside}"' for inside, outside in numbers.items()]
    (clone / name).write_text("\n".join(lines) + "\n")
    return name


def test_seaweedfs_keeps_what_it_is_given_and_shows_only_its_s3_door(another, drawn, tmp_path):
    project = another("compose.seaweedfs.yaml")
    up(project)
    stack = speak_to(project, tmp_path)
    taken = stack.job("/images", body=pack(drawn / "pile"), headers={"Content-Type": "application/zip"})
    assert stack.get("/buckets").json["buckets"]["raw"] == taken["taken"] > 100
    ports = [("minio", port) for port in (9000, 8888, 9333, 8080, 18888, 19333, 18080)]
    assert project.reaches("gan", ports) - {("minio", 9000)} == refused(project, ports)
    assert "AccessDenied" in scraper_writes_a_model(project)
    project.compose("kill", "minio")
    up(project)
    assert stack.get("/buckets").json["buckets"]["raw"] == taken["taken"]


def refused(project, places):
    """Only the S3 port is reachable: master, filer and volume servers are not."""
    script = (
        "import json, socket, sys\n"
        "for host, port in json.loads(sys.argv[1]):\n"
        "    try: socket.create_connection((host, port), 2).close()\n"
        "    except ConnectionRefusedError: print(host, port)\n"
    )
    said = project.execute("gan", "python", "-c", script, json.dumps(places)).stdout
    reached = {(line.split()[0], int(line.split()[1])) for line in said.splitlines()}
    assert reached == {place for place in places if place[1] != 9000}
    return reached


def scraper_writes_a_model(project):
    script = (
        "from pika_kit.settings import Settings\n"
        "from pika_kit.storage import Store\n"
        "from pika_kit.stages import Bucket\n"
        "Store.connect(Settings.from_environment()).put(Bucket.MODELS, 'gan/current.json', b'{}')\n"
    )
    return project.execute("scraper", "python", "-c", script).stderr


def test_a_store_elsewhere_is_used_and_only_who_needs_it_reaches_out(another, drawn, tmp_path):
    """Use another project's store; attaching it to the network `store` replaces the internet."""
    elsewhere, project = another(), another("compose.s3.yaml", PIKA_S3_URL="http://elsewhere:9000")
    elsewhere.compose("run", "--rm", "--no-TTY", "store-setup")
    store = elsewhere.containers()["minio"]["Id"]
    project.compose("create", "--no-build")
    network = f"{project.name}_store"
    run("docker", "network", "connect", "--alias", "elsewhere", network, store)
    try:
        up(project)
        stack = speak_to(project, tmp_path)
        taken = stack.job("/images", body=pack(drawn / "pile"), headers={"Content-Type": "application/zip"})
        assert stack.get("/buckets").json["buckets"]["raw"] == taken["taken"] > 100
        assert "minio" not in project.containers()
        world = (gateway(project, "store"), 9)
        reached = {name for name in (*SERVICES, *WORKERS, "valkey") if project.reaches(name, [world])}
        assert reached == {*SERVICES, *WORKERS}
    finally:
        run("docker", "network", "disconnect", "--force", network, store)


def test_the_gateway_speaks_https_by_one_setting(another, clone, tmp_path):
    plain, secure = free_ports(2)
    ports = ports_of(clone, "compose.test-tls.yaml", front={8080: plain, 8443: secure})
    project = another("compose.tls.yaml", PIKA_SITE="localhost")
    published = json.loads(project.compose("config", "--format", "json"))["services"]["front"]["ports"]
    assert {(port["host_ip"], port["published"]) for port in published} == {
        ("0.0.0.0", "80"),
        ("0.0.0.0", "443"),
    }
    project.files = (*project.files, ports)
    up(project)
    assert project.containers()["front"]["State"]["Health"]["Status"] == "healthy"
    moved = urllib3.request("GET", f"http://localhost:{plain}/buckets", redirect=False, retries=False)
    assert moved.status == 308
    assert moved.headers["Location"].startswith("https://localhost")
    # A name without a domain gets a certificate from Caddy's own authority, which the client must trust.
    root = tmp_path / "root.crt"
    project.compose("cp", "front:/data/pki/authorities/local/root.crt", str(root))
    url = f"https://localhost:{secure}"
    pool = urllib3.PoolManager(ca_certs=str(root))
    assert pool.request("GET", f"{url}/health/ready", retries=False).status == 200
    key = project.headers["Authorization"].removeprefix("Bearer ")
    command = [scripts() / "pikastack", "jobs", "list", "--url", url, "--api-key", key, "--json"]
    for words, status in (["--authorities", str(root)], 0), ([], 1):
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert ("its certificate is not believed" in done.stderr) == (status == 1)


def test_prometheus_and_grafana_show_the_stack(another, clone, tmp_path):
    (port,) = free_ports(1)
    project = another("compose.observability.yaml", PIKA_GRAFANA_PORT=str(port))
    up(project)
    stack = speak_to(project, tmp_path)
    grafana = f"http://127.0.0.1:{port}"
    assert urllib3.request("GET", f"{grafana}/api/health").json()["database"] == "ok"
    if "pikastack-test/" not in project.images["PIKA_GRAFANA_IMAGE"]:
        pytest.skip("Grafana itself is here; the stand-in answers what each panel shows")

    def panels():
        for path in ("/buckets", "/generate", "/labels"):
            stack.request("GET", path)
        return urllib3.request("GET", f"{grafana}/panels", timeout=30).json()

    def all_services_answer():
        series = panels()["Services that answer"][0]
        return series and float(series[0]["value"][1]) == len(SERVICES)

    wait_for(all_services_answer, "Prometheus has asked all services", 60)
    # Rates need two samples. No model exists, so the panels about pictures have no data.
    wait_for(lambda: panels()["Requests by service"][0], "two samples", 60)
    shown = {title for title, series in panels().items() if all(series)}
    assert shown >= {
        "Services that answer", "Requests a second", "Requests by service", "Answers by status",
        "Memory of the front ends", "Processor time of the front ends",
    }, panels()  # fmt: skip


def test_developers_run_their_own_sources(another, clone):
    project = another("compose.dev.yaml")
    changed = clone / "shared/src/pika_kit/stages.py"
    before = changed.read_text()
    changed.write_text(before + "\nA_TEST = 1\n")
    try:
        up(project)
        look = "import pika_kit.stages as s, sys; sys.exit(not hasattr(s, 'A_TEST'))"
        for service in (*SERVICES, *WORKERS):
            assert project.execute(service, "python", "-c", look).returncode == 0, service
            assert project.execute(service, "sh", "-c", "echo > /opt/pikastack/x").returncode, service
    finally:
        changed.write_text(before)


def test_without_a_gpu_its_containers_stop_and_say_what_to_check(another, built, project):
    """An engine with NVIDIA's driver, or a simulated one, schedules the reservation.

    The CPU image is used, which saves gigabytes and runs the same program.
    """
    gpu = another("compose.gpu.yaml")
    view = json.loads(gpu.compose("config", "--format", "json"))["services"]
    for service in ("gan", "gan-worker"):
        (device,) = view[service]["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["device_ids"]) == ("nvidia", ["0"])
    run("docker", "tag", "pikastack/gan-worker:test", "pikastack/gan-gpu:test")
    done = subprocess.run(
        ["docker", "compose", "up", "--detach", "--no-build", "gan-worker"],
        cwd=gpu.folder, env=gpu.environ, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    if "could not select device driver" in done.stderr:
        pytest.skip("the engine knows no NVIDIA driver")
    assert done.returncode == 0, done.stderr
    said = wait_for(lambda: gpu.compose("logs", "--no-color", "gan-worker"), "it says something", 60)
    if "there is none" not in said:
        pytest.skip("there is a GPU")
    for words in ("expected an NVIDIA GPU", "nvidia-smi", "preflight.py"):
        assert words in said
    state = gpu.containers()["gan-worker"]
    assert state["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert state["State"]["Health"]["Status"] != "healthy"
