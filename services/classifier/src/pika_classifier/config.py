"""Hyper-parameters: one frozen dataclass, and the presets that are known to work.

Deployment values (threshold, runtime, addresses) live in `pika_kit.settings`; nothing here reads them.
"""

from dataclasses import dataclass, field

IMAGE_SIZE = 256
"""Side in pixels of the squares in the `images` bucket, which every exported model takes as they are."""


@dataclass(frozen=True)
class Augmentation:
    """How far a training picture may be changed without showing something else.

    Attributes:
        scale: the visible part of the side, from … to; above 1 the picture shrinks into a border.
        shift: how far the centre moves, as a part of the side, either way.
        degrees: rotation, either way.
        stretch: width against height, as a factor either way.
        brightness, contrast, saturation: factors 1 ± this.
        hue_degrees: small, because yellow against orange is what tells Pikachu from Raichu.
        grey_probability: how often all colour is taken away (line drawings are Pikachus too).
        cutout_probability, cutout_side: how often a grey square covers a part, and its largest side.
    """

    scale: tuple[float, float] = (0.65, 1.1)
    shift: float = 0.1
    degrees: float = 15.0
    stretch: float = 1.15
    brightness: float = 0.2
    contrast: float = 0.25
    saturation: float = 0.3
    hue_degrees: float = 5.0
    grey_probability: float = 0.05
    cutout_probability: float = 0.3
    cutout_side: float = 0.3


@dataclass(frozen=True)
class Preset:
    """Everything that one training run depends on, besides its labels and its seed.

    Attributes:
        name: what the operator asks for.
        network: "scratch" (a small residual CNN) or "lite0" (a head on frozen EfficientNet-Lite0 features).
        input_size: side in pixels of what the network sees; it divides IMAGE_SIZE.
        epochs, patience: at most so many; stop after so many without a better validation loss.
        steps_per_epoch: the same for any number of labels, so that the longest time is known.
        batch_size: pictures (or cached views) a step.
        learning_rate: of AdamW at the start; it falls to zero along a cosine.
        weight_decay: AdamW's.
        dropout: before the last layer.
        label_smoothing: how much of the certainty is taken from the labels.
        num_views: augmented views of each picture whose frozen features are cached ("lite0" only).
        max_views: bound on all cached views together, so that the time is bounded for any number of labels.
        mirror: whether a picture and its mirror image are averaged, in validation and in serving.
    """

    name: str
    network: str
    input_size: int
    epochs: int
    patience: int
    steps_per_epoch: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    dropout: float
    label_smoothing: float = 0.0
    num_views: int = 0
    max_views: int = 0
    mirror: bool = True
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, received {self.network!r}")
        if IMAGE_SIZE % self.input_size:
            raise ValueError(f"input_size: expected a divisor of {IMAGE_SIZE}, received {self.input_size}")


NETWORKS = ("scratch", "lite0")

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="scratch",
            network="scratch",
            input_size=64,
            epochs=36,
            patience=12,
            steps_per_epoch=16,
            batch_size=16,
            learning_rate=2e-3,
            weight_decay=1e-3,
            dropout=0.3,
        ),
        Preset(
            name="lite0",
            network="lite0",
            input_size=128,
            epochs=40,
            patience=10,
            steps_per_epoch=20,
            batch_size=64,
            learning_rate=3e-4,
            weight_decay=1e-3,
            dropout=0.2,
            num_views=12,
            max_views=1500,
        ),
        Preset(
            # For tests: every part of "scratch", in a second or two.
            name="tiny",
            network="scratch",
            input_size=32,
            epochs=6,
            patience=6,
            steps_per_epoch=6,
            batch_size=16,
            learning_rate=5e-3,
            weight_decay=1e-3,
            dropout=0.1,
        ),
    )
}
DEFAULT_PRESET = "lite0"


def preset_named(name: str | None) -> Preset:
    """The preset of that name, or the default one for None.

    Raises:
        ValueError: there is none of that name.
    """
    name = name or DEFAULT_PRESET
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, received {name!r}")
    return PRESETS[name]
