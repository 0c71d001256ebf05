"""Docker and its machine; Docker's answers are written down."""

import json
from pathlib import Path

import pytest
from preflight_script import GOOD, INFO, Answer, answering, host, only


def test_a_good_one_is_good():
    run = answering(GOOD)
    assert host.check_engine(run).level == "ok"
    assert host.check_engine(run).message == "28.5.2+dfsg4"
    assert host.check_compose(run).level == "ok"
    assert host.check_buildx(run).level == "ok"


@pytest.mark.parametrize(
    ("answer", "message", "remedy"),
    [
        (Answer(127, error="docker cannot be started"), "expected the program docker", "engine/install"),
        (Answer(0, json.dumps({"Server": {"Version": "26.1.5"}})), "received 26.1.5", "engine/install"),
        (
            Answer(1, '{"Server": null}', "Cannot connect to the Docker daemon"),
            "Cannot connect",
            "start it",
        ),
        (
            Answer(1, '{"Server": null}', "permission denied while trying"),
            "permission",
            "usermod -aG docker",
        ),
        (Answer(0, "json"), "received: json", "start it"),
    ],
)
def test_an_engine_that_will_not_do(answer, message, remedy):
    finding = host.check_engine(only(answer))
    assert finding.level == "problem"
    assert message in finding.message
    assert remedy in finding.remedy


def test_a_version_that_is_no_number_is_left_to_the_reader():
    finding = host.check_engine(only(Answer(0, '{"Server": {"Version": "dev"}}')))
    assert finding.level == "warning"
    assert "'dev'" in finding.message


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (Answer(0, '{"version":"v2.36.0"}'), "ok"),
        (Answer(0, '{"version":"5.1.0"}'), "ok"),
        (Answer(0, "Docker Compose version v2.24.6"), "problem"),
        (Answer(1, "", "docker: 'compose' is not a docker command."), "problem"),
    ],
)
def test_compose_is_there_and_new_enough(answer, level):
    finding = host.check_compose(only(answer))
    assert finding.level == level
    assert bool(finding.remedy) == (level == "problem")


def test_buildx_is_missed():
    assert host.check_buildx(only(Answer(1, error="unknown command: buildx"))).level == "problem"


def test_without_an_engine_there_is_no_info():
    # docker info then tells of the command's own plugins, and fails.
    assert host.engine_info(only(Answer(1, '{"ClientInfo": {}, "ServerErrors": ["no"]}'))) == {}
    assert host.engine_info(only(Answer(127))) == {}


@pytest.mark.parametrize(("total", "level"), [(8 * 2**30, "ok"), (4 * 2**30, "warning"), (0, "warning")])
def test_memory(total, level):
    assert host.check_memory({"MemTotal": total}).level == level


@pytest.mark.parametrize(
    ("gigabytes", "with_gpu", "level"),
    [
        (15, False, "ok"),
        (14, False, "warning"),
        (4, False, "problem"),
        (25, True, "ok"),
        (16, True, "warning"),
        (4, True, "problem"),
    ],
)
def test_disk(gigabytes, with_gpu, level):
    finding = host.check_disk(INFO, with_gpu, lambda _folder: gigabytes * 10**9)
    assert finding.level == level
    assert bool(finding.remedy) == (level != "ok")


def test_disk_of_the_real_machine_and_of_another(tmp_path):
    assert host.free_bytes(tmp_path) > 0
    elsewhere = host.check_disk({"DockerRootDir": str(tmp_path / "not here")}, False)
    assert elsewhere.level == "warning"
    assert "not a folder of this machine" in elsewhere.message


def test_disk_of_containerd_counts_where_it_keeps_the_images():
    info = INFO | {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
    space = {Path("/"): 90 * 10**9, Path("/var/lib/containerd"): 3 * 10**9}
    assert host.check_disk(info, False, space.get).level == "problem"
    assert host.check_disk(INFO, False, space.get).level == "ok"
