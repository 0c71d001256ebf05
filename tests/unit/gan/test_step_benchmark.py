"""The benchmark of the training step runs: it is started by hand, rarely, and must not fail then."""

import importlib.util
import json
import sys
from pathlib import Path

from pika_gan.presets import PRESETS

FILE = Path(__file__).parents[2] / "benchmarks" / "gan_step.py"


def test_it_measures_both_ways_and_takes_every_preset(monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("gan_step", FILE)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    assert {benchmark.compared(preset).projected_ratio for preset in PRESETS.values()} == {0.0}

    monkeypatch.setattr(sys, "argv", [str(FILE), "--preset", "tiny", "--rounds", "1"])
    benchmark.main()
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["ours", "plain"]
    assert json.loads(last)["ours / plain"] > 0
