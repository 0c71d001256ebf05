"""What the command accepts and how it fails, without a running stack."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pikastack.cli import actions
from pikastack.cli.data import list_urls
from pikastack.cli.describe import describe_card, describe_comparison, describe_intake, describe_labels, facts
from pikastack.cli.evaluate import _table, figures_of
from pikastack.cli.main import pikastack
from pikastack.cli.models import format_of, read_latents, save_pictures
from pikastack.stack.state import CLONE

COMMANDS = (
    "demo up down status logs scrape label train filter generate is-pikachu withdraw models evaluate jobs"
)


@pytest.fixture
def call(tmp_path):
    """Run the real program with an empty state folder."""

    def run(*words: str) -> subprocess.CompletedProcess:
        program = Path(sys.executable).with_name("pikastack")
        words = (program, *words, "--state", str(tmp_path))
        # Port 1: a stack in containers on this machine must not be found either.
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
    """A stack in containers runs on this machine, but another one was requested."""
    answering = "http://127.0.0.1:1"
    monkeypatch.setattr("pikastack.stack.containers.find_gateway", lambda: answering)
    result = CliRunner().invoke(pikastack, [*command.split(), "--state", str(tmp_path)])
    assert result.exit_code == 1
    assert f"no stack runs on {tmp_path}" in result.output
    assert answering not in result.output
    by_environment = CliRunner(env={"PIKASTACK_STATE": str(tmp_path)}).invoke(pikastack, command.split())
    assert f"no stack runs on {tmp_path}" in by_environment.output


def test_without_a_named_state_folder_the_stack_in_containers_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("PIKASTACK_STATE", raising=False)
    monkeypatch.setattr("pikastack.cli.options.DEFAULT_STATE", tmp_path)
    monkeypatch.setattr("pikastack.stack.containers.find_gateway", lambda: "http://127.0.0.1:1")
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
    chosen = "with candidates:\n  KID × 1000\n  precision, recall\n  likeness"
    assert shown[chosen] == "–"
    measured = {**card["evaluation"], "kid": 0.1, "kid_interval": [0.09, 0.11], "likeness": 0.99}
    critic = {"candidates": 4, "evaluation": measured}
    table = _table([figures_of(card | {"critic": critic})])
    shown = dict(zip(*(column.cells for column in table.columns), strict=True))
    assert shown[chosen] == "up to 4\n100 (90–110)\n0.10, 0.04\n0.99"


@pytest.mark.parametrize("words", [["--json", "status"], ["status", "--json"]])
def test_shared_options_stand_before_or_after_the_command(tmp_path, words):
    for state in (["--state", str(tmp_path), *words], [*words, "--state", str(tmp_path)]):
        result = CliRunner().invoke(pikastack, state)
        assert result.exit_code == 1
        assert json.loads(result.stdout) == {"status": "down", "state": str(tmp_path)}


def test_what_stands_after_the_command_holds_before_what_stands_before_it(tmp_path):
    call = ["--state", str(tmp_path / "a"), "jobs", "--state", str(tmp_path / "b"), "list"]
    assert f"no stack runs on {tmp_path / 'b'}" in CliRunner().invoke(pikastack, call).output
    call += ["--state", str(tmp_path / "c")]
    assert f"no stack runs on {tmp_path / 'c'}" in CliRunner().invoke(pikastack, call).output


def test_hints_say_the_command_that_was_typed(tmp_path, monkeypatch):
    call = ["models", "--state", str(tmp_path)]
    assert "`pikastack up" in CliRunner().invoke(pikastack, call).output
    monkeypatch.setenv("PIKASTACK_COMMAND", "./run")
    assert "`./run up" in CliRunner().invoke(pikastack, call).output


def test_a_files_ending_tells_the_format(tmp_path):
    assert format_of(Path("a.webp"), None) == "webp"
    assert format_of(Path("a.JPG"), None) == "jpeg"
    assert format_of(tmp_path, None) == format_of(None, None) == format_of(Path("folder"), None) == "png"
    assert format_of(Path("a.jpeg"), "jpeg") == "jpeg"
    for out, kind in ((Path("a.webp"), "png"), (Path("a.gif"), None)):
        with pytest.raises(click.UsageError, match="expected"):
            format_of(out, kind)


@pytest.mark.parametrize(
    ("text", "latents"),
    [
        ("[1, 2.5]", [[1, 2.5]]),
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ('{"latent": [1, 2], "distance": 0.1}', [[1, 2]]),
    ],
)
def test_latents_are_read(text, latents):
    assert read_latents(io.StringIO(text)) == latents


@pytest.mark.parametrize("text", ["nothing", "{}", "[]", '"x"', '[["a", 1], 2]'])
def test_what_is_no_latents_is_told(text):
    with pytest.raises(click.UsageError, match="--latents: expected"):
        read_latents(io.StringIO(text))


def test_facts_are_lines_and_no_dictionaries():
    lines = facts(
        {
            "preset": "cpu-64",
            "steps": 8407,
            "kid": 0.36123,
            "passed_gate": True,
            "warnings": [],
            "labels": {"trains": {"pikachu": 30}},
            "pictures": [{"id": 1}, {"id": 2}],
        }
    )
    assert [line.split() for line in lines] == [
        ["preset", "cpu-64"],
        ["steps", "8,407"],
        ["kid", "0.3612"],
        ["passed", "gate", "yes"],
        ["labels"],
        ["trains"],
        ["pikachu", "30"],
        ["pictures", "2", "of", "them"],
    ]


def test_refused_files_are_named_with_their_reasons():
    text = describe_intake(
        {
            "looked_at": 9,
            "taken": 6,
            "refused": 3,
            "refused_by_reason": {"not_a_picture": 2, "damaged": 1},
            "samples": {"not_a_picture": ["a.txt"], "damaged": ["b.png"]},
            "skipped": {"hidden": 2},
        }
    )
    assert "taken 6 of 9" in text
    assert "not a picture: 2 (a.txt, …)" in text
    assert "damaged: 1 (b.png)" in text
    assert "skipped, hidden: 2" in text
    refused = [{"file": f"{n}.txt", "reason": "not_a_picture", "detail": "no picture"} for n in range(7)]
    text = describe_labels({"files": 9, "imported": 2, "refused": 7, "refused_files": refused})
    assert "0.txt: no picture" in text
    assert "and 2 more" in text


def test_a_cards_figures_are_one_line():
    gan = {
        "preset": {"name": "cpu-64"},
        "resolution": 64,
        "steps": 8407,
        "evaluation": {"kid": 0.361, "recall": 0.22, "likeness": None},
        "gate": {"faults": ["its pictures are alike"]},
    }
    assert (
        describe_card(gan) == "cpu-64, 64 px, 8,407 steps, KID×1000 361, recall 0.22, its pictures are alike"
    )
    classifier = {
        "preset": {"name": "default"},
        "validation": {"roc_auc": 0.98, "pr_auc": None},
        "recommended_threshold": 0.61,
    }
    assert describe_card(classifier) == "default, ROC-AUC 0.980, threshold 0.61"
