"""What the command accepts and how it fails; nothing runs behind it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pikastack import actions
from pikastack.cli import pikastack
from pikastack.commands_data import list_urls
from pikastack.commands_evaluate import _table, figures_of
from pikastack.commands_models import describe_comparison, save_pictures
from pikastack.state import CLONE

COMMANDS = (
    "demo up down status logs scrape label train filter generate is-pikachu withdraw models evaluate jobs"
)


@pytest.fixture
def call(tmp_path):
    """The real program; its state folder is empty."""

    def run(*words: str) -> subprocess.CompletedProcess:
        program = Path(sys.executable).with_name("pikastack")
        words = (program, *words, "--state", str(tmp_path))
        # Port 1: a stack in containers on this machine shall not be found either.
        environ = {**os.environ, "PIKA_PORT": "1"}
        return subprocess.run(words, capture_output=True, text=True, check=False, env=environ)

    return run


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(pikastack, [command, "--help"])
    assert result.exit_code == 0
    assert "--help" in result.output
    assert command in CliRunner().invoke(pikastack, ["--help"]).output


def test_without_a_stack_the_message_says_how_to_start_one(call):
    done = call("generate")
    assert done.returncode == 1
    assert "pikastack up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["models", "jobs list", "generate", "scrape ."])
def test_a_named_state_folder_is_used_or_refused(tmp_path, monkeypatch, command):
    """A stack in containers answers on this machine, and is not the one that was asked for."""
    answering = "http://127.0.0.1:1"
    monkeypatch.setattr("pikastack.containers.find_front_door", lambda: answering)
    result = CliRunner().invoke(pikastack, [*command.split(), "--state", str(tmp_path)])
    assert result.exit_code == 1
    assert f"no stack runs on {tmp_path}" in result.output
    assert answering not in result.output
    by_environment = CliRunner(env={"PIKASTACK_STATE": str(tmp_path)}).invoke(pikastack, command.split())
    assert f"no stack runs on {tmp_path}" in by_environment.output


def test_without_a_named_state_folder_the_stack_in_containers_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("PIKASTACK_STATE", raising=False)
    monkeypatch.setattr("pikastack.options.DEFAULT_STATE", tmp_path)
    monkeypatch.setattr("pikastack.containers.find_front_door", lambda: "http://127.0.0.1:1")
    result = CliRunner().invoke(pikastack, ["models"])
    assert "http://127.0.0.1:1" in str(result.exception)


def test_a_folder_with_the_stacks_own_files_is_no_scrape_root(call, tmp_path):
    for root in (tmp_path, tmp_path.parent, CLONE):
        done = call("up", "--scrape-root", str(root))
        assert done.returncode == 1
        assert "expected a folder of pictures" in done.stderr
    assert not (tmp_path / "run").exists()


def test_status_of_nothing_is_json_for_scripts_and_a_failure(call, tmp_path):
    done = call("status", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"status": "down", "state": str(tmp_path)}


def test_down_of_nothing_is_fine(call):
    done = call("down", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"stopped": False})


def test_an_unreachable_url_is_told_in_one_line(call):
    done = call("jobs", "list", "--url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "--url" in done.stderr


def test_wrong_usage_is_status_2(call):
    assert call("generate", "-n", "65").returncode == 2
    assert call("demo", "--pictures", "/").returncode == 2
    assert call("logs", "nobody").returncode == 2


def test_a_single_picture_goes_to_the_named_file(tmp_path):
    picture = actions.Picture(b"png", [7])
    assert save_pictures([picture], tmp_path / "new" / "a.png", "png") == [tmp_path / "new" / "a.png"]
    assert (tmp_path / "new" / "a.png").read_bytes() == b"png"


def test_several_pictures_are_named_by_their_seeds(tmp_path):
    pictures = [actions.Picture(b"a", [1]), actions.Picture(b"b", [5])]
    files = save_pictures(pictures, tmp_path / "out", "jpeg")
    assert [path.name for path in files] == ["pikachu-1.jpg", "pikachu-5.jpg"]


def test_several_pictures_do_not_fit_into_one_file(tmp_path):
    pictures = [actions.Picture(b"a", [1]), actions.Picture(b"b", [5])]
    with pytest.raises(Exception, match="expected a folder for 2 pictures"):
        save_pictures(pictures, tmp_path / "a.png", "png")


def test_reports_of_several_uploads_add_up():
    one = {"taken": 1, "refused_by_reason": {"empty": 1}, "names": ["a"], "source": "zip"}
    other = {"taken": 2, "refused_by_reason": {"empty": 1, "damaged": 3}, "names": ["b"], "source": "zip"}
    assert actions.merge_reports(one, other) == {
        "taken": 3,
        "refused_by_reason": {"empty": 2, "damaged": 3},
        "names": ["a", "b"],
        "source": "zip",
    }


@pytest.mark.parametrize(
    ("name", "text", "urls"),
    [
        (
            "a.txt",
            "# a list\nhttp://a.test/1.png\n  https://a.test/2.png\n\n",
            ["http://a.test/1.png", "https://a.test/2.png"],
        ),
        ("a.csv", "\ufefflicense,URL\nCC0,http://a.test/1.png\nby,\n", ["http://a.test/1.png"]),
        (
            "a.csv",
            "http://a.test/1.png\nhttp://a.test/2.png\n",
            ["http://a.test/1.png", "http://a.test/2.png"],
        ),
        ("a.csv", "", []),
    ],
)
def test_addresses_are_read_from_lists_and_tables(tmp_path, name, text, urls):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert list_urls(tmp_path / name) == urls


def test_a_comparison_says_whether_the_labels_can_tell():
    card = {
        "version": "v1",
        "preset": "article",
        "validation": {
            "roc_auc": 0.9,
            "roc_auc_interval": [0.85, 0.95],
            "pr_auc": None,
            "pr_auc_interval": None,
        },
    }
    text = describe_comparison(
        {
            "base": card,
            "other": card | {"version": "v2", "preset": "default"},
            "labels_in_common": 112,
            "difference": {
                "roc_auc": {"value": 0.05, "interval": [0.01, 0.09], "is_clear": True},
                "pr_auc": {"value": -0.02, "interval": [-0.1, 0.06], "is_clear": False},
            },
            "pictures": {"in_common": 900, "accepted_by_both": 400},
        }
    )
    assert "v1 (article): ROC-AUC 0.900 (0.850–0.950)" in text
    assert "ROC-AUC: +0.050 (+0.010 to +0.090), a clear difference" in text
    assert "PR-AUC: -0.020 (-0.100 to +0.060), the labels do not tell them apart" in text
    assert "112 labels in common. Of 900 pictures both accept 400" in text


def test_versions_stand_side_by_side():
    card = {
        "version": "v3",
        "preset": {"name": "cpu-64"},
        "resolution": 64,
        "steps": 2400,
        "minutes": 9.06,
        "is_current": True,
        "evaluation": {
            "kid": 0.395,
            "kid_interval": [0.379, 0.413],
            "precision": 0.1,
            "recall": 0.04,
            "likeness": None,
            "diversity": 0.96,
            "near_copy_rate": 0.0,
            "feature_version": "x",
        },
        "gate": {"faults": []},
    }
    table = _table([figures_of(card) | {"called_pikachu": 0.48}])
    first, second = table.columns
    assert second.header == "v3 ✓"
    shown = dict(zip(first.cells, second.cells, strict=True))
    assert shown["KID × 1000"] == "395 (379–413)"
    assert shown["precision, recall"] == "0.10, 0.04"
    assert (shown["likeness"], shown["called Pikachu"], shown["faults"]) == ("–", "0.48", "none")
