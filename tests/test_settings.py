"""SamplingSettings: flat names, text and files, every number of every kind; what is wrong in one line."""

from __future__ import annotations

import numpy as np
import pytest

from ldm_core.guidance import SCHEDULES, Guidance
from ldm_core.settings import FIELDS, SamplingSettings, default, from_text, to_text


def test_flat_names_reach_the_guidance_and_the_settings_alike():
    settings = SamplingSettings.of(steps=12, guidance_scale=2, guidance_interval=(0.1, 0.9))
    assert settings == SamplingSettings(steps=12, guidance=Guidance(scale=2.0, interval=(0.1, 0.9)))
    assert settings["guidance_scale"] == 2.0 and settings["steps"] == 12


def test_what_files_hold_gives_the_same_settings_back():
    settings = SamplingSettings.of(scheduler="euler", guidance_interval=[0.2, 0.8], negative_prompt="fog", width=64)
    assert settings.stored()["guidance_interval"] == [0.2, 0.8]
    assert SamplingSettings.from_stored(settings.stored()) == settings


def test_numbers_of_numpy_become_those_of_python():
    settings = SamplingSettings.of(steps=np.int64(7), guidance_scale=np.float32(1.5), height=np.uint16(64))
    assert [type(settings[name]) for name in ("steps", "guidance_scale", "height")] == [int, float, int]


def test_the_model_fills_in_what_is_left_open_and_nothing_else():
    own = {"steps": 20, "guidance_scale": 7.5, "scheduler": "ddim"}
    settings = SamplingSettings.of(steps=4).resolved(**own)
    assert (settings["steps"], settings["guidance_scale"], settings["scheduler"]) == (4, 7.5, "ddim")


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_reads_back_what_it_writes(name):
    tried = {
        "guidance_interval": (0.25, 0.75),
        "control_interval": (0.25, 0.75),
        "guidance_schedule": "cosine",
        "guidance_rescale": 0.7,
        "guidance_rule": "apg:eta=0.5:norm=3",
        "scheduler": "ddim",
        "strength": 0.5,
        "substitute": False,
    }
    value = tried.get(name, "a b" if name == "negative_prompt" else 3)
    settings = SamplingSettings.of(**{name: value})
    assert from_text(name, to_text(settings[name])) == settings[name]
    assert from_text(name, "default") == default(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", 1001),
        ("steps", 2.5),
        ("steps", True),
        ("steps", "9"),
        ("height", -8),
        ("height", 0),
        ("guidance_scale", float("nan")),
        ("guidance_scale", -1),
        ("guidance_scale", "2"),
        ("guidance_schedule", "no"),
        ("guidance_schedule", []),
        ("guidance_interval", 5),
        ("guidance_interval", (0.9, 0.1)),
        ("guidance_interval", "ab"),
        ("guidance_rescale", 2),
        ("negative_prompt", 3),
        ("scheduler", 4),
        ("rows_per_call", 0),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_value(name, value):
    with pytest.raises(ValueError, match=name) as found:
        SamplingSettings.of(**{name: value})
    assert repr(value) in str(found.value) and "\n" not in str(found.value)


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    with pytest.raises(ValueError, match="did you mean guidance_scale"):
        SamplingSettings.of(guidence_scale=2)


def test_the_help_of_a_setting_lists_every_name_that_it_takes():
    from ldm_core.schedulers import SCHEDULERS

    for setting, names in (("scheduler", SCHEDULERS), ("guidance_schedule", SCHEDULES)):
        assert FIELDS[setting].metadata["help"].startswith(", ".join(names))
