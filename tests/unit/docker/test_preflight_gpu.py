"""The card, its driver and toolkit, and the line in .env that uses it."""

import pytest
from preflight_script import CARD, INFO, Answer, gpu, levels, only


def cards(text=CARD):
    return gpu.find_cards(only(Answer(0, text)))


def test_cards_are_read():
    found = cards(CARD + "NVIDIA GeForce RTX 4090, 550.54.14, 24564 MiB\n").found
    assert [card.name for card in found] == ["NVIDIA H200", "NVIDIA GeForce RTX 4090"]
    assert found[0].memory == "143771 MiB"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(127), "no nvidia-smi"),
        (Answer(9, "NVIDIA-SMI has failed because it couldn't talk to the driver.\n"), "has failed"),
        (Answer(0, "No devices were found\n"), "No devices were found"),
    ],
)
def test_none_are_found(answer, why):
    cards = gpu.find_cards(only(answer))
    assert not cards.found
    assert why in cards.why_none


@pytest.mark.parametrize(
    ("value", "used"),
    [
        (None, False),
        ("docker-compose.yml", False),
        ("docker-compose.yml:compose.gpu.yaml", True),
        ("docker-compose.yml:./compose.gpu.yaml:compose.tls.yaml", True),
        ("docker-compose.yml:my-compose.gpu.yaml", False),
    ],
)
def test_whether_the_overlay_is_in_use(value, used):
    assert gpu.overlay_in_use({"COMPOSE_FILE": value} if value else {}) == used


def test_an_overlay_without_a_card_is_a_problem_and_no_card_alone_is_none():
    none = gpu.find_cards(only(Answer(127)))
    assert levels(gpu.check_all(none, INFO, {}, wanted=False)) == {"GPU": "ok"}
    (finding,) = gpu.check_all(none, INFO, {}, wanted=True)
    assert finding.level == "problem"
    assert "nvidia-smi" in finding.remedy


def test_a_card_that_is_not_used_is_offered():
    (finding,) = gpu.check_all(cards(), INFO, {}, wanted=False)
    assert finding.level == "ok"
    assert "python3 deploy/docker/preflight.py --gpu" in finding.remedy


@pytest.mark.parametrize(
    ("driver", "level"),
    [
        ("570.133.20", "ok"),
        ("580.65.06", "ok"),
        ("550.54.14", "warning"),
        ("525.60.13", "warning"),
        ("470.82.01", "problem"),
        ("[N/A]", "warning"),
    ],
)
def test_the_driver(driver, level):
    assert gpu.check_driver(cards(f"NVIDIA T4, {driver}, 15360 MiB")).level == level


@pytest.mark.parametrize(
    ("chosen", "level"), [(None, "ok"), ("0", "ok"), ("1", "problem"), ("GPU-5f2c", "ok")]
)
def test_the_card_that_is_chosen(chosen, level):
    settings = {"PIKA_GPU": chosen} if chosen else {}
    assert gpu.check_choice(cards(), settings).level == level


def test_the_toolkit(tmp_path):
    def without(_program):
        return None

    folders = [str(tmp_path)]
    assert gpu.check_toolkit(INFO, without, folders).level == "problem"
    (tmp_path / "other.yaml").write_text("kind: vendor.test/device\n")
    assert gpu.check_toolkit(INFO, without, folders).level == "problem"
    assert gpu.check_toolkit({}, lambda program: f"/usr/bin/{program}", folders).level == "ok"
    assert gpu.check_toolkit(INFO | {"Runtimes": {"nvidia": {}}}, without, folders).level == "ok"
    (tmp_path / "nvidia.yaml").write_text("kind: nvidia.com/gpu\n")
    assert gpu.check_toolkit(INFO, without, folders).level == "ok"
    assert gpu.check_toolkit({"CDISpecDirs": folders}, without, []).level == "ok"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "COMPOSE_FILE=docker-compose.yml:compose.gpu.yaml\n"),
        ("PIKA_PORT=81", "PIKA_PORT=81\nCOMPOSE_FILE=docker-compose.yml:compose.gpu.yaml\n"),
        ("COMPOSE_FILE=\nA=1\n", "COMPOSE_FILE=docker-compose.yml:compose.gpu.yaml\nA=1\n"),
        (
            "# mine\r\nCOMPOSE_FILE=docker-compose.yml # files\r\nA='1'\r\n",
            "# mine\r\nCOMPOSE_FILE=docker-compose.yml:compose.gpu.yaml # files\r\nA='1'\r\n",
        ),
        (
            "COMPOSE_FILE=docker-compose.yml:compose.seaweedfs.yaml\n",
            "COMPOSE_FILE=docker-compose.yml:compose.seaweedfs.yaml:compose.gpu.yaml\n",
        ),
        (
            "COMPOSE_FILE=a.yaml\nCOMPOSE_FILE=b.yaml\n",
            "COMPOSE_FILE=a.yaml\nCOMPOSE_FILE=b.yaml:compose.gpu.yaml\n",
        ),
        (
            "#COMPOSE_FILE=a.yaml\n",
            "#COMPOSE_FILE=a.yaml\nCOMPOSE_FILE=docker-compose.yml:compose.gpu.yaml\n",
        ),
    ],
)
def test_the_overlay_is_written_once_and_everything_else_stays(before, after):
    assert gpu.with_overlay(before) == after
    assert gpu.with_overlay(after) == after


def test_a_missing_env_file_is_made_from_the_example(root):
    (root / ".env").unlink()
    example = (root / ".env.example").read_text()
    finding = gpu.use_gpu(root, cards(), {})
    assert finding.level == "ok"
    line = "COMPOSE_FILE=docker-compose.yml"
    assert (root / ".env").read_text() == example.replace(line, f"{line}:compose.gpu.yaml")
    assert (root / ".env.example").read_text() == example


def test_without_the_example_too_nothing_is_written(tmp_path):
    assert gpu.use_gpu(tmp_path, cards(), {}).level == "problem"
    assert not list(tmp_path.iterdir())


def test_an_environment_that_wins_over_the_file_is_told(root):
    finding = gpu.use_gpu(root, cards(), {"COMPOSE_FILE": "docker-compose.yml"})
    assert finding.level == "warning"
    assert finding.remedy == "unset COMPOSE_FILE"
