"""The message where a GPU is required and none is available."""

import pytest

from pika_gan import gpu


@pytest.fixture
def devices(tmp_path):
    """A /dev with a GPU in it."""
    (tmp_path / "nvidiactl").touch()
    (tmp_path / "nvidia0").touch()
    return tmp_path


@pytest.mark.parametrize("look", ["print(0)", "raise SystemExit('libcuda.so.1: cannot open')", "print()"])
def test_a_card_that_tensorflow_does_not_see_is_none(monkeypatch, devices, look):
    monkeypatch.setattr(gpu, "LOOK", look)
    assert ("libcuda.so.1" in gpu.problem(devices)) == ("libcuda" in look)
    monkeypatch.setattr(gpu, "LOOK", "print('noise'); print(1)")
    assert gpu.problem(devices) is None


def test_without_a_device_tensorflow_is_not_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "LOOK", "print(1)")
    (tmp_path / "nvidiactl").touch()
    assert "no device" in gpu.problem(tmp_path)


def test_it_stops_and_says_what_to_check(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "problem", lambda: "  nothing there")
    assert gpu.main(["true"]) == 1
    said = capsys.readouterr().err
    assert "expected an NVIDIA GPU" in said
    assert "nvidia-smi" in said
    assert "nothing there" in said
    assert gpu.main([]) == 2


def test_with_a_gpu_it_becomes_the_program(monkeypatch):
    became = []
    monkeypatch.setattr(gpu, "problem", lambda: None)
    monkeypatch.setattr(gpu.os, "execvp", lambda *words: became.append(words))
    gpu.main(["python", "-m", "pika_kit.worker", "gan"])
    assert became == [("python", ["python", "-m", "pika_kit.worker", "gan"])]
