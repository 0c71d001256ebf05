"""Presets survive JSON and refuse invalid values."""

import dataclasses

import pytest

from pika_gan.config import Preset, has_bfloat16
from pika_gan.presets import PRESETS, preset_named


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name):
    assert Preset.from_json(PRESETS[name].to_json()) == PRESETS[name]


def test_a_run_that_began_with_a_wider_upsampler_keeps_it():
    values = PRESETS["cpu-64"].to_json()
    del values["upsampler_channels"]  # as in the config.json of a run before it could be chosen
    assert Preset.from_json(values).upsampler_channels == 48


def test_an_unknown_name_tells_the_known_ones():
    with pytest.raises(ValueError, match=r"expected one of article, cpu-32.*received 'gpu'"):
        preset_named("gpu")


def test_channels_must_fit_the_resolution():
    with pytest.raises(ValueError, match="expected 4 levels for 32 px, received 2"):
        dataclasses.replace(PRESETS["cpu-32"], generator_channels=(8, 8))
    with pytest.raises(ValueError, match="power of two"):
        dataclasses.replace(PRESETS["cpu-32"], resolution=48)


def test_an_upsampler_needs_a_generator_of_its_kind():
    for preset, change, told in (
        (PRESETS["cpu-32"], {"upsample_every": -1}, "0 or more steps"),
        (PRESETS["article"], {"upsample_every": 2}, "received 2 and article"),
        (PRESETS["cpu-32"], {"upsample_every": 2, "resolution": 8}, "16 px or more, received 8"),
    ):
        with pytest.raises(ValueError, match=f"upsample_every: expected .*{told}"):
            dataclasses.replace(preset, **change)
    with pytest.raises(ValueError, match="upsampler_channels: expected an even number, received 33"):
        dataclasses.replace(PRESETS["cpu-64"], upsampler_channels=33)
    with pytest.raises(ValueError, match="joint_from: expected 1 without an upsampler"):
        dataclasses.replace(PRESETS["cpu-32"], joint_from=0.5)
    with pytest.raises(ValueError, match="joint_from: expected 0 to 1"):
        dataclasses.replace(PRESETS["cpu-64"], joint_from=1.5)


def test_bfloat16_is_used_only_where_the_processor_has_it(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("flags : fma avx2 avx512_bf16 amx_bf16")
    old.write_text("flags : fma avx2")
    assert has_bfloat16(new)
    assert not has_bfloat16(old)
    assert not has_bfloat16(tmp_path / "none")
    assert PRESETS["tiny"].resolved() is PRESETS["tiny"]
