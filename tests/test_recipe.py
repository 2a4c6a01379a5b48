"""A recipe makes its picture again, from JSON and from the picture's own file."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import ldm_core
from ldm_core.identity import configs_hash, weights_hash
from ldm_core.images import save_png, to_uint8
from ldm_core.recipe import Recipe, read_png, recipe_for
from ldm_core.settings import SamplingSettings

FIRST_HOUSE = Path(__file__).parent / "first_house" / "picture.png"
BOAT = SamplingSettings.of(steps=20, guidance_scale=4.0, scheduler="ddim", height=128, width=128)
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
    own = recipe.settings
    assert (own.steps, own.guidance.scale, own.scheduler) == (20, 4.0, "ddim")
    assert (own.height, own.width, recipe.model, own.negative_prompt) == (32, 32, str(tiny_folder), "")
    assert recipe.versions["torch"] == torch.__version__ and recipe.weights == weights_hash([tiny_folder])


def test_json_gives_back_every_field(tiny):
    settings = {"guidance_schedule": "cosine", "guidance_rescale": 0.7, "rows_per_call": 4, "guidance_interval": (0, 1)}
    recipe = recipe_for(tiny, "a boat", 2**32 - 1, 0.5, **settings)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_the_parameters_text_is_what_other_programs_show():
    recipe = Recipe(
        "scenes", "a boat", 5, BOAT.replaced(width=256, height=128, negative_prompt="fog"), weights="ab" * 32
    )
    assert recipe.to_png_text()["parameters"] == (
        "a boat\nNegative prompt: fog\n"
        "Steps: 20, Sampler: ddim, CFG scale: 4, Seed: 5, Size: 256x128, Model hash: ababababab, Model: scenes"
    )


def test_older_weights_count_where_they_are_what_is_loaded(tmp_path):
    loaded = "unet/diffusion_pytorch_model-1-of-2.safetensors"
    beside = ("vae/notes.safetensors", "text_encoder/b.bin", "vae/diffusion_pytorch_model.bin")
    for name in (loaded, "unet/a.bin", *beside):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    parts = b"".join(hashlib.sha256(name.encode()).digest() for name in (loaded, *beside))
    assert weights_hash([tmp_path]) == hashlib.sha256(parts).hexdigest(), "of unet, the older file is not loaded"


@pytest.mark.parametrize(
    "name", ["scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json", "unet/config.json"]
)
def test_another_config_beside_the_same_weights_is_another_model(tiny, tiny_folder, tmp_path, name):
    shutil.copytree(tiny_folder, tmp_path / "m")
    assert configs_hash([tmp_path / "m"]) == configs_hash([tiny_folder]) == tiny.configs
    (tmp_path / "m" / "README.md").write_text("notes decide nothing")
    assert configs_hash([tmp_path / "m"]) == tiny.configs
    path = tmp_path / "m" / name
    path.write_text(path.read_text() + " ")
    assert configs_hash([tmp_path / "m"]) != tiny.configs and weights_hash([tmp_path / "m"]) == tiny.weights


def hand_made(**change):
    """A recipe's JSON with some values changed; None leaves a key out."""
    values = json.loads(Recipe("scenes", "a boat", 5, BOAT).to_json()) | change
    return json.dumps({name: value for name, value in values.items() if value is not OUT})


OUT = object()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "unknown: 'colour'"),
        ({"seed": OUT}, "missing: seed"),
        ({"steps": "3"}, "steps must be an integer"),
        ({"steps": "x" * 10_000}, "steps must be an integer"),
        ({"steps": None}, "steps must be decided"),
        ({"steps": 2.5}, "steps"),
        ({"steps": True}, "steps"),
        ({"steps": 10**400}, "steps must be an integer from 1 to 1000"),
        ({"prompt": [1]}, "prompt must be text"),
        ({"prompt": "\ud800"}, "prompt must be text that UTF-8 can hold"),
        ({"negative_prompt": {"a": 1}}, "negative_prompt must be text"),
        ({"model": ["a"]}, "model must be text"),
        ({"vae": 3}, "vae must be text"),
        ({"lora": [1]}, "lora must be text"),
        ({"guidance_interval": 5}, "guidance_interval must be"),
        ({"guidance_interval": ["a", "b"]}, "guidance_interval must be"),
        ({"guidance_interval": [0, 0.5, 1]}, "guidance_interval must be"),
        ({"guidance_schedule": []}, "guidance_schedule must be one of"),
        ({"guidance_scale": None}, "guidance_scale must be decided"),
        ({"guidance_scale": float("nan")}, "guidance_scale must be a finite"),
        ({"guidance_scale": 10**400}, "guidance_scale must be a finite"),
        ({"guidance_until_alike": 0.99}, "guidance_until_alike = 0.99: .* is no setting any more"),
        ({"scheduler": 3}, "scheduler must be a name"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"seed": 10**400}, "seed must be an integer from 0"),
        ({"height": [128]}, "height must be an integer"),
        ({"rows_per_call": 0}, "rows_per_call"),
        ({"versions": ["torch"]}, "versions must be"),
        ({"versions": {"torch": 2}}, "the version of 'torch' must be text"),
        ({"weights": 5}, "weights must be text"),
    ],
)
def test_a_recipe_changed_by_hand_is_refused_in_one_line(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        Recipe.from_json(hand_made(**change))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '{"seed": ' + "9" * 5000 + "}", " " * 2_000_000, "", "null", "NaN"]
)
def test_json_that_is_beyond_bounds_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="a recipe must be") as caught:
        Recipe.from_json(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_recipe_of_the_first_house_is_read_and_what_is_written_is_as_flat(tmp_path):
    first = json.loads(Image.open(FIRST_HOUSE).text["recipe"])
    assert first.pop("guidance_until_alike", None) is None
    assert json.loads(read_png(FIRST_HOUSE).to_json()) == first


def test_files_that_are_no_whole_picture_are_one_line(tmp_path):
    for name, content in (("text.png", b"no picture"), ("cut.png", FIRST_HOUSE.read_bytes()[:900]), ("empty.png", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises((ValueError, OSError)) as caught:
            read_png(tmp_path / name)
        assert "\n" not in str(caught.value)


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
