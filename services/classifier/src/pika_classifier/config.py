"""Hyper-parameters: one frozen dataclass, and the presets that are known to work.

Deployment values (threshold, runtime, addresses) live in `pika_kit.settings`; nothing here reads them.
"""

from dataclasses import dataclass, field

IMAGE_SIZE = 256
"""Side in pixels of the squares in the `images` bucket, which every exported model takes as they are."""

MISTAKES = "mistakes.png"
"""A file of every published version: the surest mistakes as a sheet, whose pictures its card names."""


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
class FeatureSet:
    """What a frozen network tells of a picture: the same numbers in the bank, in training and in serving.

    Means and deviations over the positions of EfficientNet-Lite's last map, averaged over the picture and its
    mirror image, and a histogram of colours; the square roots of all of them.

    Attributes:
        lite: which member of the family (`pika_eyes.lite.LITES`), at the squares' own size.
        version: raised whenever the numbers change, so that nobody mixes them with older ones.
    """

    lite: str = "lite0"
    version: int = 1

    @property
    def key(self) -> str:
        """Names the set in the store and on cards."""
        return f"{self.lite}-{IMAGE_SIZE}-v{self.version}"

    @property
    def blocks(self) -> dict[str, int]:
        """The parts of the vector, in their order, with their widths."""
        return {"means": 1280, "deviations": 1280, "colours": 192}


@dataclass(frozen=True)
class FrozenPreset:
    """A linear head on frozen features of all pictures, labelled or not. See `learn.frozen`.

    Attributes:
        name: what the operator asks for.
        features: what is seen of a picture.
        colour_weight: of the colours' block beside the others' 1.
        num_varied, num_variations: so many pictures are looked at again in so many variations, to learn in
            which directions of the features a picture moves without showing something else.
        variation: what those variations are. Only geometry: with colours changed as well Raichu, who differs
            in colour, came nearer.
        invariance: how far those directions are left as they are; smaller suppresses them more.
        num_axes: principal axes of the unlabelled pictures that are kept.
        num_neighbours, smoothing: what a picture's nearest neighbours have to say about it; 0 is nothing.
        max_graph: so many pictures at most are neighbours of each other, so that memory is bounded.
        ridge: penalty of the regression that makes one linear head of the smoothed answers.
        penalties: of the head on the labels, from which cross-validation chooses.
        repeats: of the cross-validation, for a hundred labels; more labels need fewer.
    """

    name: str
    features: FeatureSet = field(default_factory=FeatureSet)
    colour_weight: float = 0.25
    num_varied: int = 400
    num_variations: int = 3
    variation: Augmentation = field(
        default_factory=lambda: Augmentation(
            scale=(0.7, 1.15), shift=0.08, degrees=5.0, stretch=1.1, brightness=0.0, contrast=0.0,
            saturation=0.0, hue_degrees=0.0, grey_probability=0.0, cutout_probability=0.0,
        )
    )  # fmt: skip
    invariance: float = 1.0
    num_axes: int = 256
    num_neighbours: int = 10
    smoothing: float = 0.5
    max_graph: int = 4000
    ridge: float = 1.0
    penalties: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
    repeats: int = 10


@dataclass(frozen=True)
class Preset:
    """Everything that a network trained by steps depends on, besides its labels and its seed.

    Attributes:
        name: what the operator asks for.
        network: "residual", or "article": of the size that the article of 2018 had.
        input_size: side in pixels of what the network sees; it divides IMAGE_SIZE.
        epochs, patience: at most so many; stop after so many without a better validation loss.
        steps_per_epoch: the same for any number of labels, so that the longest time is known.
        batch_size: pictures a step.
        learning_rate: of AdamW at the start; it falls to zero along a cosine.
        weight_decay: AdamW's.
        dropout: before the last layer.
        label_smoothing: how much of the certainty is taken from the labels.
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
    mirror: bool = True
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, received {self.network!r}")
        if IMAGE_SIZE % self.input_size:
            raise ValueError(f"input_size: expected a divisor of {IMAGE_SIZE}, received {self.input_size}")


NETWORKS = ("residual", "article")

PRESETS: dict[str, FrozenPreset | Preset] = {
    preset.name: preset
    for preset in (
        FrozenPreset(name="default"),
        Preset(
            name="scratch",
            network="residual",
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
            # The baseline: what began it all, with inputs that are rescaled in validation as well.
            name="article",
            network="article",
            input_size=32,
            epochs=80,
            patience=20,
            steps_per_epoch=16,
            batch_size=16,
            learning_rate=3e-3,
            weight_decay=1e-4,
            dropout=0.25,
            mirror=False,
        ),
        Preset(
            # For tests: every part of "scratch", in a second or two.
            name="tiny",
            network="residual",
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
DEFAULT_PRESET = "default"


def preset_named(name: str | None) -> FrozenPreset | Preset:
    """The preset of that name, or the default one for None.

    Raises:
        ValueError: there is none of that name.
    """
    name = name or DEFAULT_PRESET
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, received {name!r}")
    return PRESETS[name]
