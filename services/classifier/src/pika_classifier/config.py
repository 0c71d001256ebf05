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
    """How far a training picture may be varied without changing what it shows.

    Attributes:
        scale: visible part of the side, from … to; above 1 the picture shrinks into a border.
        shift: largest move of the centre, as a share of the side.
        degrees: largest rotation.
        stretch: largest change of the aspect ratio, as a factor.
        brightness, contrast, saturation: factors 1 ± this.
        hue_degrees: small, because yellow against orange distinguishes Pikachu from Raichu.
        grey_probability: how often all colour is removed (line drawings are Pikachus too).
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
    """A frozen network's features of a picture: the same in the bank, in training and in serving.

    Means and standard deviations over the positions of EfficientNet-Lite's last feature map, averaged over
    the picture and its mirror image, and a colour histogram; the square roots of all of them.

    Attributes:
        lite: the member of the family (`pika_eyes.lite.LITES`), at the squares' own size.
        version: incremented whenever the numbers change, so that they are not mixed with older ones.
    """

    lite: str = "lite0"
    version: int = 1

    @property
    def key(self) -> str:
        """Name of the set in the store and on cards."""
        return f"{self.lite}-{IMAGE_SIZE}-v{self.version}"

    @property
    def blocks(self) -> dict[str, int]:
        """The blocks of the vector in order, with their widths."""
        return {"means": 1280, "deviations": 1280, "colours": 192}


@dataclass(frozen=True)
class FrozenPreset:
    """A linear head on frozen features of all pictures, labelled or not. See `learn.frozen`.

    Attributes:
        name: what the operator asks for.
        features: the features of a picture.
        colour_weight: weight of the colour block, relative to 1 for the others.
        num_varied, num_variations: number of pictures to vary and of variations of each, to learn in which
            directions of the features a picture moves while showing the same.
        variation: the variations. Only geometry: with colours varied as well Raichu, who differs in colour,
            came closer.
        invariance: how much of those directions is kept; smaller values suppress them more.
        num_axes: number of principal axes of the unlabelled pictures.
        num_neighbours, smoothing: influence of a picture's nearest neighbours; 0 disables it.
        max_graph: largest number of pictures in the neighbour graph, which bounds memory.
        ridge: penalty of the regression that turns smoothed answers into one linear head.
        penalties: of the head on the labels, chosen by cross-validation.
        repeats: of the cross-validation, for a hundred labels; more labels need fewer.
    """

    name: str
    features: FeatureSet = field(default_factory=FeatureSet)
    colour_weight: float = 0.5
    num_varied: int = 400
    num_variations: int = 3
    variation: Augmentation = field(
        default_factory=lambda: Augmentation(
            scale=(0.7, 1.15), shift=0.08, degrees=5.0, stretch=1.1, brightness=0.0, contrast=0.0,
            saturation=0.0, hue_degrees=0.0, grey_probability=0.0, cutout_probability=0.0,
        )
    )  # fmt: skip
    invariance: float = 1.0
    num_axes: int = 384
    num_neighbours: int = 10
    smoothing: float = 0.5
    max_graph: int = 4000
    ridge: float = 1.0
    penalties: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
    repeats: int = 10


@dataclass(frozen=True)
class FinetunedPreset:
    """The last blocks of the frozen network, fine-tuned on the labels. See `learn.finetune`.

    Attributes:
        name: what the operator asks for.
        frozen: the preset whose head is trained first; its answers and those of the networks are added.
        tap: feature map below which the network stays frozen (`pika_eyes.lite.feature_maps`).
        num_members: networks that each learn without a part of the labels.
        steps, student_steps: of each member, and of the network that learns from all of them.
        batch_size, pile_batch_size: labelled pictures per step, half of them Pikachus, and unlabelled ones.
        learning_rate, weight_decay: AdamW's; the former falls to zero along a cosine.
        dropout: before the last layer.
        certainty: target of a Pikachu; 1 minus this for all others.
        variation: of labelled pictures.
        num_variations, max_variations: of each labelled picture, and of all of them; many labels get fewer.
        max_pile: unlabelled pictures that are learned from, which bounds memory and time.
    """

    name: str
    frozen: FrozenPreset
    tap: str = "stage5"
    num_members: int = 5
    steps: int = 150
    student_steps: int = 300
    batch_size: int = 16
    pile_batch_size: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 1e-2
    dropout: float = 0.2
    certainty: float = 0.97
    variation: Augmentation = field(default_factory=lambda: Augmentation(cutout_probability=0.2))
    num_variations: int = 24
    max_variations: int = 4000
    max_pile: int = 3000


@dataclass(frozen=True)
class Preset:
    """Everything that a network trained by steps depends on, besides its labels and its seed.

    Attributes:
        name: what the operator asks for.
        network: "residual", or "article": the size of the 2018 article's network.
        input_size: side in pixels of the network's input; it divides IMAGE_SIZE.
        epochs, patience: the largest number of epochs; stop after so many without a better validation loss.
        steps_per_epoch: the same for any number of labels, which bounds the duration.
        batch_size: pictures per step.
        learning_rate: of AdamW at the start; it falls to zero along a cosine.
        weight_decay: AdamW's.
        dropout: before the last layer.
        label_smoothing: share of certainty taken from the labels.
        mirror: whether to average a picture and its mirror image in validation and serving.
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

AnyPreset = FrozenPreset | FinetunedPreset | Preset

PRESETS: dict[str, AnyPreset] = {
    preset.name: preset
    for preset in (
        FrozenPreset(name="default"),
        FinetunedPreset(name="finetuned", frozen=FrozenPreset(name="default")),
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
            # The baseline of 2018, but with validation inputs rescaled like the training inputs.
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
            # For tests: every part of "scratch" in a second or two.
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


def preset_named(name: str | None) -> AnyPreset:
    """Return the preset of that name, or the default one for None.

    Raises:
        ValueError: there is no such preset.
    """
    name = name or DEFAULT_PRESET
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, received {name!r}")
    return PRESETS[name]
