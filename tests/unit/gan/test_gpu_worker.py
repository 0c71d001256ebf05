"""What the GAN's worker says where a GPU was asked for and none is there."""

import pytest

from pika_gan import gpu_worker


@pytest.mark.parametrize("look", ["print(0)", "raise SystemExit('libcuda.so.1: cannot open')", "print()"])
def test_without_a_gpu_it_stops_and_says_what_to_check(monkeypatch, capsys, look):
    monkeypatch.setattr(gpu_worker, "LOOK", look)
    assert gpu_worker.main() == 1
    said = capsys.readouterr().err
    assert "expected an NVIDIA GPU" in said
    assert "nvidia-smi" in said
    assert ("libcuda.so.1" in said) == ("libcuda" in look)


def test_with_a_gpu_it_becomes_the_worker(monkeypatch):
    became = []
    monkeypatch.setattr(gpu_worker, "LOOK", "print('noise'); print(1)")
    monkeypatch.setattr(gpu_worker.os, "execv", lambda *words: became.append(words))
    gpu_worker.main()
    assert became == [(gpu_worker.WORKER[0], gpu_worker.WORKER)]
    assert gpu_worker.WORKER[-2:] == ["pika_kit.worker", "gan"]
