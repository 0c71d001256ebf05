"""The training recipes by name."""

from __future__ import annotations

from pika_gan.config import Preset

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        # The 2018 recipe that this project grew out of, without any of our improvements: the baseline.
        Preset(
            name="article",
            resolution=32,
            architecture="article",
            latent_dim=100,
            generator_channels=(512, 512, 512, 512),
            discriminator_channels=(512, 256, 128, 64),
            loss="non_saturating",
            penalty_weight=0.0,
            penalty_weight_end=0.0,
            generator_learning_rate=1e-4,
            discriminator_learning_rate=1e-3,
            adam_beta_1=0.9,
            adam_beta_2=0.999,
            augment=(),
            flip=False,
            average=False,
            goes_back=False,
            keep="discriminator_loss",
            batch_size=32,
            precision="float32",  # 7×7 separable convolutions gain nothing from bfloat16
            default_steps=25_200,
            default_minutes=None,
        ),
        # FastGAN with its own recipe, as far as this size and two cores allow: the second baseline.
        Preset(
            name="fastgan-32",
            resolution=32,
            discriminator="fastgan",
            pictures="figures",
            poses=8,
            latent_dim=256,
            generator_channels=(256, 128, 64, 32),
            discriminator_channels=(256, 128, 64, 32),
            loss="hinge",
            penalty_weight=0.0,
            penalty_weight_end=0.0,
            batch_size=8,
            generator_learning_rate=2e-4,
            discriminator_learning_rate=2e-4,
            adam_beta_1=0.5,
            adam_beta_2=0.999,
            augment=("colour", "translation"),
            augment_probability=1.0,
            ema_half_life=5_500.0,  # a decay of 0.999 per step
            goes_back=False,
        ),
        # A picture worth looking at after about ten minutes on two cores. Small batches and rare penalties
        # lower KID in the same time.
        Preset(
            name="cpu-32",
            resolution=32,
            pictures="figures",
            poses=8,
            batch_size=8,
            penalty_every=4,
            judged=True,
            sample_every=80,
            evaluate_every=400,
        ),
        # Whole figures from half an hour on two cores: cpu-32 plus one level, whose details a projected
        # critic judges, and a network that has learned from real pictures to draw them cleanly. At the end
        # critics train that network together with the rest.
        Preset(
            name="cpu-64",
            resolution=64,
            generator_channels=(128, 96, 64, 32, 16),
            discriminator_channels=(160, 96, 48, 24, 16),
            pictures="figures",
            poses=32,
            # With a tenth of it the critic's gradients grow to the end of 30,000 steps.
            penalty_weight_end=0.25,
            batch_size=8,
            penalty_every=4,
            upsample_every=8,
            upsampler_channels=32,
            joint_from=0.75,
            coarse_share=0.2,
            # On a slow CPU, or in a few minutes, whole figures come before details.
            coarse_steps=6000,
            projected_ratio=1.5,
            projected_from=0.6,
            judged=True,
            learning_rate_end=0.1,
            # At full strength to the end, figures are paler than real ones.
            colour_strength_end=0.25,
            # Some hundred figures are learned by heart from half of the run on.
            augment_target=0.4,
            default_minutes=30.0,
            # A sheet takes as long as 5 steps, a measurement as long as 50.
            sample_every=200,
            evaluate_every=1600,
        ),
        # An hour on one GPU: larger batches and networks, lower learning rates, adaptive augmentation.
        *(
            Preset(
                name=f"gpu-{resolution}",
                resolution=resolution,
                latent_dim=256,
                generator_channels=channels,
                discriminator_channels=channels,
                pictures="figures",
                poses=32,
                batch_size=64,
                generator_learning_rate=5e-4,
                discriminator_learning_rate=5e-4,
                learning_rate_end=0.1,
                penalty_weight=penalty,
                penalty_weight_end=penalty / 10,
                penalty_every=8,
                coarse_share=0.2,
                projected_ratio=1.0,
                projected_from=0.5,
                projected_size=projected,
                judged=True,
                colour_strength=0.5,
                augment_target=0.5,
                ema_half_life=20_000.0,
                # On an H100 with JAX bfloat16 took minutes to compile; float32 convolutions use TF32 units.
                precision="float32",
                xla=True,
                default_minutes=60.0,
                sample_every=250,
                evaluate_every=1_000,
                evaluation_pictures=1_024,
            )
            for resolution, channels, penalty, projected in (
                (64, (512, 512, 256, 128, 64), 0.5, 128),
                (128, (512, 512, 256, 128, 64, 32), 2.0, 224),
                (256, (512, 512, 512, 256, 128, 64, 32), 10.0, 224),
            )
        ),
        # For tests: every part of cpu-32 in fractions of a second.
        Preset(
            name="tiny",
            resolution=16,
            latent_dim=16,
            generator_channels=(16, 16, 8),
            discriminator_channels=(16, 16, 8),
            batch_size=8,
            precision="float32",
            default_steps=20,
            minimum_steps=1,
            default_minutes=None,
            log_every=1,
            sample_every=5,
            evaluate_every=10,
            sample_count=16,
            evaluation_pictures=32,
            spaces=("pyramid",),
        ),
    )
}


DEFAULT_PRESET = "cpu-64"


def preset_named(name: str) -> Preset:
    """Return the preset called `name`. Raises ValueError, with the valid names, for any other."""
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(sorted(PRESETS))}, received {name!r}")
    return PRESETS[name]
