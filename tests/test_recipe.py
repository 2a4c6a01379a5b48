"""A recipe makes its picture again, from JSON and from the picture's own file."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest
import torch

import ldm_core
from ldm_core.images import save_png, to_uint8
from ldm_core.pipeline import weights_hash
from ldm_core.recipe import Recipe, read_png, recipe_for

SETTINGS = {"steps": 3, "scheduler": "euler-ancestral", "negative_prompt": "schnee ❄", "guidance_interval": (0.1, 0.9)}


def test_a_recipe_read_from_its_png_makes_the_same_bytes_again(tiny, tmp_path):
    pixels = to_uint8(tiny.sample("a red house", 7, 3.0, **SETTINGS))[0]
    recipe = recipe_for(tiny, "a red house", 7, 3.0, **SETTINGS)
    save_png(tmp_path / "a.png", pixels, recipe.to_png_text())
    found = read_png(tmp_path / "a.png")
    assert found == recipe
    model = ldm_core.load(found.model, device=found.device, dtype=found.dtype, vae=found.vae)
    assert (to_uint8(model.sample(**found.sample_settings()))[0] == pixels).all()


def test_defaults_are_written_out(tiny, tiny_folder):
    recipe = recipe_for(tiny, "a house", 3, negative_prompt=None)
    assert (recipe.steps, recipe.guidance_scale, recipe.scheduler) == (20, 4.0, "ddim")
    assert (recipe.height, recipe.width, recipe.model, recipe.negative_prompt) == (32, 32, str(tiny_folder), "")
    assert recipe.versions["torch"] == torch.__version__ and recipe.weights == weights_hash([tiny_folder])


def test_json_gives_back_every_field(tiny):
    settings = {"guidance_schedule": "cosine", "guidance_rescale": 0.7, "rows_per_call": 4, "guidance_interval": (0, 1)}
    recipe = recipe_for(tiny, "a boat", 2**32 - 1, 0.5, **settings)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_the_parameters_text_is_what_other_programs_show():
    recipe = Recipe("scenes", "a boat", 5, 20, 4.0, "ddim", 128, 256, negative_prompt="fog", weights="ab" * 32)
    assert recipe.to_png_text()["parameters"] == (
        "a boat\nNegative prompt: fog\n"
        "Steps: 20, Sampler: ddim, CFG scale: 4, Seed: 5, Size: 256x128, Model hash: ababababab, Model: scenes"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [({"colour": "red"}, r"unknown: \['colour'\]"), ({"seed": None}, r"missing: \['seed'\]")],
)
def test_recipes_with_other_fields_are_refused(change, message):
    values = dataclasses.asdict(Recipe("scenes", "a boat", 5, 20, 4.0, "ddim", 128, 128)) | change
    with pytest.raises(ValueError, match=message):
        Recipe.from_json(json.dumps({name: value for name, value in values.items() if value is not None}))


def test_what_is_no_recipe_is_said(tmp_path):
    with pytest.raises(ValueError, match="must be JSON"):
        Recipe.from_json("{")
    with pytest.raises(ValueError, match="JSON object, got list"):
        Recipe.from_json("[]")
    save_png(tmp_path / "a.png", to_uint8(torch.rand(1, 3, 4, 4))[0])
    with pytest.raises(ValueError, match="carries no recipe"):
        read_png(tmp_path / "a.png")


def test_the_weights_hash_covers_each_file_in_order_and_nothing_else(tmp_path):
    for name in ("b.safetensors", "a.safetensors", "config.json"):
        (tmp_path / name).write_text(name)
    parts = b"".join(hashlib.sha256(name.encode()).digest() for name in ("a.safetensors", "b.safetensors"))
    assert weights_hash([tmp_path]) == hashlib.sha256(parts).hexdigest()
