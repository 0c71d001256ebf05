"""EfficientNet-Lite0 in Keras against PyTorch's outputs for the same weights, and its larger siblings."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from pika_eyes.lite import LITE0, LITE1, LITE2, build_lite, build_top
from pika_eyes.torch_file import NotATensorFile, read_tensors

REFERENCE = json.loads((Path(__file__).parent / "lite0_reference.json").read_text())


def pictures() -> np.ndarray:
    """Two pictures by formula, which any program can reproduce."""
    rows, columns = np.mgrid[0:256, 0:256] / 256
    pictures = []
    for k in range(2):
        waves = np.stack(
            [
                np.sin((3 + k) * np.pi * columns) + np.cos((2 + k) * np.pi * rows),
                np.sin(5 * np.pi * columns * rows + k),
                np.cos((k + 1) * 4 * np.pi * (columns - 0.5) ** 2 + 7 * (rows - 0.3) ** 2),
            ],
            -1,
        )
        pictures.append(np.clip(np.rint(127.5 + 60 * waves), 0, 255).astype(np.uint8))
    return np.stack(pictures)


def test_features_are_those_of_the_reference():
    network = build_lite(LITE0, 128)
    halves = pictures().reshape(2, 128, 2, 128, 2, 3).mean(axis=(2, 4), dtype=np.float32)
    features = np.asarray(network((halves - 127) / 128))
    assert features.shape == (2, 1280)
    np.testing.assert_allclose(features[:, :: REFERENCE["every"]], REFERENCE["features"], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), REFERENCE["norms"], rtol=1e-5)
    assert network.trainable_weights == []


@pytest.mark.parametrize("lite", [LITE0, LITE1, LITE2], ids=lambda lite: lite.name)
def test_maps_can_be_tapped_and_pool_to_the_features(lite):
    """Wrong strides, widths or weights would not give similar features for a picture and its shifted copy."""
    normalised = (pictures().astype(np.float32) - 127) / 128
    features = np.asarray(build_lite(lite, 256)(normalised))
    stage3, head = (np.asarray(maps) for maps in build_lite(lite, 256, taps=("stage3", "head"))(normalised))
    assert stage3.shape[:3] == (2, 32, 32)
    np.testing.assert_allclose(head.mean(axis=(1, 2)), features, atol=1e-5)
    shifted = np.asarray(build_lite(lite, 256)(np.roll(normalised, 8, axis=2)))
    cosine = (features * shifted).sum(1) / np.linalg.norm(features, axis=1) / np.linalg.norm(shifted, axis=1)
    assert (cosine > 0.9).all()


def test_the_network_above_a_map_continues_it_and_can_be_trained():
    normalised = (pictures().astype(np.float32) - 127) / 128
    lower, head = (np.asarray(maps) for maps in build_lite(LITE0, 256, ("stage5", "head"))(normalised))
    top = build_top(LITE0, 256, "stage5")
    np.testing.assert_allclose(np.asarray(top(lower)), head, atol=1e-5)
    assert len(top.trainable_weights) == len(top.weights) > 0


def test_widths_and_depths_are_those_of_the_published_networks():
    assert [stage[0] for stage in LITE1.stages()] == [1, 3, 3, 4, 4, 5, 1]
    assert [stage[4] for stage in LITE1.stages()] == [16, 24, 40, 80, 112, 192, 320]
    assert [stage[4] for stage in LITE2.stages()] == [16, 24, 48, 88, 120, 208, 352]


def test_an_unknown_map_is_refused():
    with pytest.raises(ValueError, match=r"expected names among stage1, .*, received stage9"):
        build_lite(LITE0, 64, taps=("stage9",))


def test_all_tensors_are_read():
    tensors = read_tensors(LITE0.weights_path())
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
    path.write_bytes(LITE0.weights_path().read_bytes()[:1_000_000])
    with pytest.raises(NotATensorFile, match=r"ends before its last storage|expected a storage"):
        read_tensors(path)
