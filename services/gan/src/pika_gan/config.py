"""Hyper-parameters of a training recipe, as a frozen dataclass; the recipes themselves are in `presets`.

A preset is data only. `Preset.from_json(preset.to_json())` restores it, which is how a run remembers the one
it was started with.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Architecture = Literal["fastgan", "article"]
Discriminator = Literal["residual", "fastgan"]
Loss = Literal["rpgan", "non_saturating", "hinge"]
Pictures = Literal["figures", "squares"]
Precision = Literal["auto", "float32", "mixed_bfloat16"]


@dataclass(frozen=True)
class Preset:
    """One recipe. Channel tuples go from 4×4 up to `resolution`, also for the discriminator."""

    name: str
    resolution: int
    architecture: Architecture = "fastgan"
    discriminator: Discriminator = "residual"  # for the architecture fastgan
    latent_dim: int = 128
    generator_channels: tuple[int, ...] = (128, 96, 64, 24)
    discriminator_channels: tuple[int, ...] = (160, 96, 48, 24)

    pictures: Pictures = "squares"  # or figures cut out onto white, if there are enough
    poses: int = 1  # number of poses in which each figure is shown

    loss: Loss = "rpgan"
    penalty_weight: float = 0.5  # γ of R1 and R2 at the start, in (γ/2)·‖∇D‖² per picture
    penalty_weight_end: float = 0.05  # γ at the planned end; it falls along a cosine
    penalty_every: int = 1  # steps between penalties; the weight is multiplied by it

    upsample_every: int = 0  # steps between those of the network that draws the details; 0 for none
    upsampler_channels: int = 48  # width of its residual blocks, an even number
    upsampler_learning_rate: float = 5e-4
    joint_from: float = 1.0  # completed share of the run from which critics see and train the whole generator
    coarse_share: float = 0.0  # first share of the run, at half the resolution
    coarse_steps: int = 0  # least number of steps of that part, as far as a short run has time for them
    projected_ratio: float = 0.0  # gradient of the projected critic, as a multiple of the pixels'; 0 for none
    projected_from: float = 0.0  # completed share of the run from which on it takes part
    projected_size: int = 96  # side at which its frozen network sees pictures, a multiple of 32
    projected_learning_rate: float = 4e-4
    judged: bool = False  # fit a judge at the end, which chooses among candidates
    batch_size: int = 16
    accumulate: int = 1  # parts of a batch that are processed one after the other, to save memory
    xla: bool = False  # compile the step with XLA; pays on a GPU
    generator_learning_rate: float = 1e-3
    discriminator_learning_rate: float = 1e-3
    adam_beta_1: float = 0.0
    adam_beta_2: float = 0.99
    learning_rate_end: float = 1.0  # final share of the learning rates (cosine)

    average: bool = True  # draw with the generator's moving average, or with the generator itself
    ema_half_life: float = 10_000.0  # in pictures shown
    ema_ramp: float = 0.05  # limits the half-life to this share of the pictures shown so far
    augment: tuple[str, ...] = ("colour", "translation", "cutout")
    augment_probability: float = 0.5  # of each kind, for each picture
    augment_target: float | None = None  # target overfitting, 0–1, towards which the probability is steered
    colour_strength: float = 1.0  # scale of DiffAugment's colour changes at the start; 1 is the paper's
    colour_strength_end: float = 1.0  # the share of it that is left at the planned end (cosine)
    flip: bool = True

    precision: Precision = "auto"
    default_steps: int | None = None
    minimum_steps: int = 200  # a generator trained for fewer steps draws noise and is not served
    default_minutes: float | None = 10.0
    log_every: int = 20  # steps
    sample_every: int = 40
    evaluate_every: int = 200
    sample_count: int = 64  # pictures on a sample sheet
    evaluation_pictures: int = 256  # drawn for one measurement
    goes_back: bool = True  # roll back to a good checkpoint after collapse or divergence
    keep: Literal["kid", "discriminator_loss"] = "kid"  # the step with the lowest value is published
    spaces: tuple[str, ...] = ("pyramid", "lite2")  # spaces to measure in; the last one gives the headline

    def __post_init__(self) -> None:
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution: expected a power of two from 8, received {self.resolution}")
        if self.upsample_every < 0 or (self.upsample_every and self.architecture != "fastgan"):
            raise ValueError(
                "upsample_every: expected 0 or more steps, and the architecture fastgan, received "
                f"{self.upsample_every} and {self.architecture}"
            )
        if self.upsampler_channels < 2 or self.upsampler_channels % 2:
            raise ValueError(
                f"upsampler_channels: expected an even number, received {self.upsampler_channels}"
            )
        if self.upsample_every and self.resolution < 16:
            raise ValueError(f"upsample_every: expected 16 px or more, received {self.resolution}")
        if not 0 <= self.joint_from <= 1:
            raise ValueError(f"joint_from: expected 0 to 1, received {self.joint_from}")
        if self.joint_from < 1 and not self.upsample_every:
            raise ValueError(f"joint_from: expected 1 without an upsampler, received {self.joint_from}")
        if not 0 <= self.coarse_share < 1:
            raise ValueError(f"coarse_share: expected 0 to 1, received {self.coarse_share}")
        has_coarse_parts = (self.architecture, self.discriminator) == ("fastgan", "residual")
        if self.coarse_share and not (has_coarse_parts and self.resolution >= 16):
            raise ValueError("coarse_share: expected the residual discriminator of fastgan, at 16 px or more")
        if self.coarse_steps < 0 or (self.coarse_steps and not self.coarse_share):
            raise ValueError(
                "coarse_steps: expected 0 or more, and a coarse_share, received "
                f"{self.coarse_steps} and {self.coarse_share}"
            )
        if self.projected_ratio < 0 or self.projected_size % 32:
            raise ValueError(
                "projected_ratio, projected_size: expected 0 or more and a multiple of 32, received "
                f"{self.projected_ratio} and {self.projected_size}"
            )
        levels = self.resolution.bit_length() - 2  # the first level is 4×4
        for field in ("generator_channels", "discriminator_channels"):
            received = len(getattr(self, field))
            if received != levels:
                raise ValueError(
                    f"{field}: expected {levels} levels for {self.resolution} px, received {received}"
                )

    def resolved(self) -> Preset:
        """Return the preset with `precision` resolved for this machine."""
        if self.precision != "auto":
            return self
        return dataclasses.replace(self, precision="mixed_bfloat16" if has_bfloat16() else "float32")

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; tuples become lists."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Preset:
        """Restore what `to_json` returned. Raises TypeError for an unknown field."""
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        if fields.get("loss") == "bce":  # its name in runs before 0.2.0
            fields["loss"] = "non_saturating"
        fields.pop("upsampling", None)  # of earlier runs
        return cls(**fields)


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether this CPU has bfloat16 instructions. Emulated, bfloat16 is slower than float32."""
    try:
        flags = cpuinfo.read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
