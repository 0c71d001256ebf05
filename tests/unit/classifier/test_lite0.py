"""EfficientNet-Lite0 in Keras against what PyTorch computed from the same weights."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from pika_classifier.lite0 import build_lite0, weights_path
from pika_classifier.torch_file import NotATensorFile, read_tensors

REFERENCE = json.loads((Path(__file__).parent / "lite0_reference.json").read_text())


def pictures() -> np.ndarray:
    """Two pictures by formula: any program can make the same ones."""
    rows, columns = np.mgrid[0:256, 0:256] / 256
    found = []
    for k in range(2):
        waves = np.stack(
            [
                np.sin((3 + k) * np.pi * columns) + np.cos((2 + k) * np.pi * rows),
                np.sin(5 * np.pi * columns * rows + k),
                np.cos((k + 1) * 4 * np.pi * (columns - 0.5) ** 2 + 7 * (rows - 0.3) ** 2),
            ],
            -1,
        )
        found.append(np.clip(np.rint(127.5 + 60 * waves), 0, 255).astype(np.uint8))
    return np.stack(found)


def test_features_are_those_of_the_reference():
    network = build_lite0(128)
    features = np.asarray(network(pictures())) ** 2  # the network gives their roots
    assert features.shape == (2, 1280)
    np.testing.assert_allclose(features[:, :: REFERENCE["every"]], REFERENCE["features"], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), REFERENCE["norms"], rtol=1e-5)
    assert network.trainable_weights == []


def test_all_tensors_are_read():
    tensors = read_tensors(weights_path())
    assert len(tensors) == 296
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert all(np.isfinite(values).all() for values in tensors.values())


def test_a_file_that_wants_to_run_code_is_refused(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (print, ("this must not be printed",))

    path = tmp_path / "harmful.pth"
    path.write_bytes(b"".join(pickle.dumps(part) for part in (Harmful(), 1001)))
    with pytest.raises(NotATensorFile, match=r"expected tensors only, received .*print"):
        read_tensors(path)


def test_a_file_that_ends_early_is_refused(tmp_path):
    path = tmp_path / "short.pth"
    path.write_bytes(weights_path().read_bytes()[:1_000_000])
    with pytest.raises(NotATensorFile, match=r"ends before its last storage|expected a storage"):
        read_tensors(path)
