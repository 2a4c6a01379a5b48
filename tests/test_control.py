"""Control against diffusers' pipelines of the same name, on small checkpoints of the real classes."""

from __future__ import annotations

import json
import shutil
import types
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, T2IAdapter, UNet2DConditionModel

import ldm_core
from ldm_core.recipe import Recipe
from ldm_core.settings import SamplingSettings
from ldm_core.tasks.control_folder import check_features, feature_places
from ldm_core.training import train_control
from ldm_core.training.config import CONTROLS
from ldm_core.training.corpus import silhouette
from ldm_core.training.losses import timesteps

PROMPTS = ["a red house at night", "clouds"]
SEEDS = [7, 2**32 - 1]
SIZE = {"height": 24, "width": 40}
RECIPE = replace(CONTROLS["tiny"], image_size=32)
FAMILIES = {"sd": "tiny_folder", "sdxl": "tiny_xl_folder"}
PIPELINES = {
    ("sd", "controlnet"): diffusers.StableDiffusionControlNetPipeline,
    ("sdxl", "controlnet"): diffusers.StableDiffusionXLControlNetPipeline,
    ("sd", "adapter"): diffusers.StableDiffusionAdapterPipeline,
    ("sdxl", "adapter"): diffusers.StableDiffusionXLAdapterPipeline,
}


def make_controlnet(unet_folder, folder):
    """Of random weights where a fresh one has zeros, which would control nothing."""
    unet = UNet2DConditionModel.from_pretrained(unet_folder)
    torch.manual_seed(5)
    made = ControlNetModel.from_unet(unet, conditioning_channels=3, conditioning_embedding_out_channels=(16, 32))
    for weights in made.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.1)
    made.save_pretrained(folder)
    return folder


def make_adapter(folder, in_channels=3, channels=(32, 64), downscale_factor=4):
    torch.manual_seed(6)
    kind = {"channels": list(channels), "downscale_factor": downscale_factor, "adapter_type": "full_adapter_xl"}
    T2IAdapter(in_channels=in_channels, num_res_blocks=1, **kind).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def controls(tmp_path_factory, tiny_folder, tiny_xl_folder):
    """A folder for each family and kind."""
    home = tmp_path_factory.mktemp("controls")
    folders = {"sd": tiny_folder, "sdxl": tiny_xl_folder}
    made = {(name, "controlnet"): make_controlnet(folders[name] / "unet", home / name) for name in folders}
    adapter = make_adapter(home / "adapter")
    return made | {(name, "adapter"): adapter for name in folders}


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(3))


def theirs(folder, control, name, kind, images, **more):
    part = {"controlnet": ControlNetModel, "adapter": T2IAdapter}[kind].from_pretrained(control)
    none = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False} if name == "sd" else {}
    pipeline = PIPELINES[name, kind].from_pretrained(folder, **{kind: part}, **none)
    pipeline.set_progress_bar_config(disable=True)
    given = {"num_inference_steps": 5, "guidance_scale": 5.0, **SIZE} | more
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    drawn = pipeline(PROMPTS, image=images, generator=generators, output_type="pt", **given).images
    return drawn if isinstance(drawn, torch.Tensor) else torch.from_numpy(drawn).permute(0, 3, 1, 2)


# A scale and a part of the steps, as diffusers' pipelines of each kind take them: the second and third of five steps, the
# first two, and all. The steps of the small checkpoints begin at t of about 1, 0.8, 0.6, 0.4 and 0.2.
GIVEN = {
    "controlnet": (
        {"controlnet_conditioning_scale": 0.7, "control_guidance_start": 0.2, "control_guidance_end": 0.6},
        (1, 2),
    ),
    "sdxl adapter": ({"adapter_conditioning_scale": 0.7, "adapter_conditioning_factor": 0.4}, (0, 1)),
    "sd adapter": ({"adapter_conditioning_scale": 0.7}, (0, 4)),
}


@pytest.mark.parametrize(("name", "kind"), list(PIPELINES))
def test_controlled_pictures_of_every_family_equal_diffusers_own(request, controls, images, name, kind):
    folder, control = request.getfixturevalue(FAMILIES[name]), controls[name, kind]
    given, (first, last) = GIVEN.get(f"{name} {kind}", GIVEN["controlnet"])
    expected = theirs(folder, control, name, kind, images, **given)
    model = ldm_core.load(str(folder), device="cpu", dtype="float32", control=str(control))
    times = [state.t for state in model.denoise("a house", 1, 1.0, steps=5, height=8, width=8)]
    more = {"control_scale": 0.7, "control_interval": (times[last] - 1e-6, times[first]), "steps": 5, **SIZE}
    drawn = model.sample(PROMPTS, SEEDS, 5.0, control_images=images, **more)
    torch.testing.assert_close(drawn, expected, atol=1e-4, rtol=0)
    longer = model.sample(PROMPTS, SEEDS, 5.0, control_images=images, **more | {"control_interval": (0.01, 0.7)})
    assert (drawn - longer).abs().max() > 1e-3, "the test could not tell"


def test_without_an_image_or_at_scale_0_a_model_with_a_control_draws_as_before(tiny, tiny_folder, controls, images):
    model = tiny.with_control(str(controls["sd", "controlnet"]))
    plain = tiny.sample(PROMPTS, SEEDS, 2.0, steps=3, **SIZE)
    assert torch.equal(model.sample(PROMPTS, SEEDS, 2.0, steps=3, **SIZE), plain)
    off = model.sample(PROMPTS, SEEDS, 2.0, steps=3, control_images=images, control_scale=0, **SIZE)
    assert torch.equal(off, plain)
    assert tiny.control is None and tiny.weights != model.weights


def test_a_sweep_of_the_control_equals_single_pictures_to_the_bit(tiny, controls, images):
    model = tiny.with_control(str(controls["sd", "controlnet"]))
    given = {"steps": 3, "rows_per_call": 4, "control_interval": (0.3, 1.0), **SIZE}
    axes = {"guidance_scale": [1, 3], "control_scale": [0.0, 1.0]}
    grid = model.sweep(PROMPTS, SEEDS, axes=axes, control_images=images, **given)
    for row, column, k in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)):
        own = {name: values[at] for (name, values), at in zip(axes.items(), (row, column))}
        single = model.sample(PROMPTS[k], SEEDS[k], control_images=images[k], **own, **given)
        assert torch.equal(grid[row, column, k], single[0]), own


def test_two_images_for_one_prompt_and_seed_make_two_pictures(tiny, controls, images):
    model = tiny.with_control(str(controls["sd", "adapter"]))
    drawn = model.sample(["a house"] * 2, 3, 2.0, steps=3, control_images=images, **SIZE)
    assert (drawn[0] - drawn[1]).abs().max() > 1e-3
    same = model.sample(["a house"] * 2, 3, 2.0, steps=3, control_images=images[0], **SIZE)
    assert torch.equal(same[0], same[1])


def test_an_adapter_for_grey_images_takes_the_luma_of_coloured_ones(tiny, tmp_path, images):
    model = tiny.with_control(str(make_adapter(tmp_path / "grey", in_channels=1)))
    grey = (images * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    coloured, plain = (model.sample(PROMPTS, SEEDS, 2.0, steps=2, control_images=i, **SIZE) for i in (images, grey))
    torch.testing.assert_close(coloured, plain, atol=1e-5, rtol=0)


def test_a_recipe_holds_the_control_and_the_hash_of_its_image_and_older_recipes_keep_their_bytes(
    tiny, controls, images
):
    model = tiny.with_control(str(controls["sd", "adapter"]))
    recipe = model.recipe("a house", 7, control_image=images[0], control_scale=0.5)
    assert Recipe.from_json(recipe.to_json()) == recipe and recipe.control == str(controls["sd", "adapter"])
    assert recipe.settings.control_scale == 0.5 and len(recipe.control_image) == 64
    assert model.recipe("a house", 7, control_image=images[1]).control_image != recipe.control_image
    assert recipe.weights != tiny.recipe("a house", 7).weights
    assert "control" not in tiny.recipe("a house", 7).to_json()


def test_a_steered_picture_is_redrawn_from_its_recipe_and_image_and_from_no_other(tiny, controls, images):
    model = tiny.with_control(str(controls["sd", "adapter"]))
    drawn = model.sample("a house", 7, control_images=images[0], steps=2, **SIZE)
    recipe = model.recipe("a house", 7, control_image=images[0], steps=2, **SIZE)
    assert torch.equal(model.redraw(recipe, control_image=images[0]), drawn)
    refused(lambda: model.redraw(recipe), "needs the image that it was made of")
    refused(lambda: model.redraw(recipe, control_image=images[1]), "is of another image")
    refused(recipe.sample_settings, "was steered by .* and needs its image")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "AutoencoderKL"}, "is a 'AutoencoderKL'; this version takes ControlNetModel, T2IAdapter"),
        ({"_class_name": "MultiAdapter"}, "'MultiAdapter'; this version takes"),
        ({"global_pool_conditions": True}, "pools its image"),
        ({"conditioning_channels": 4}, "cannot load .*|takes images of 4 channels"),
        ({"block_out_channels": [32, 96]}, "cannot load .*"),
    ],
)
def test_a_folder_that_is_no_control_is_one_line(tiny, controls, tmp_path, change, message):
    folder = shutil.copytree(controls["sd", "controlnet"], tmp_path / "c")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    refused(lambda: tiny.with_control(str(folder)), message)


def refused(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_control_of_another_model_is_one_line(tiny, tiny_folder, tiny_sd3_folder, controls, tmp_path):
    refused(lambda: tiny.with_control(str(controls["sdxl", "controlnet"])), "does not fit 'tiny")
    larger = make_adapter(tmp_path / "larger", channels=(32, 64, 64))
    refused(
        lambda: tiny.with_control(str(larger)), "does not fit .* 32 x 8, 64 x 8, 64 x 4, the U-Net takes 32 x 8, 64 x 8"
    )
    adapter = str(controls["sd", "adapter"])
    refused(lambda: ldm_core.load(str(tiny_sd3_folder), device="cpu", control=adapter), "needs a model with a U-Net")
    refused(lambda: tiny.with_control(str(tiny_folder)), "it has no config.json")
    refused(lambda: tiny.with_control("nothing of the kind"), "unknown control 'nothing of the kind'; give")


def test_wrong_control_images_are_one_line_before_any_network_runs(tiny, controls, images):
    model, before = tiny.with_control(str(controls["sd", "adapter"])), tiny.network_calls
    for wrong, message in (
        (images[:, :, :20], r"must be \(3, 24, 40\).* got \(2, 3, 20, 40\)"),
        (torch.cat([images, images]), "one for each of 2 pictures"),
        (images * 300, r"control_images must be in \[0, 1\]"),
        (images * float("nan"), r"control_images must be in \[0, 1\]"),
        ("picture.png", "control_images must be a tensor"),
    ):
        refused(lambda wrong=wrong: model.sample(PROMPTS, SEEDS, control_images=wrong, **SIZE), message)
    refused(lambda: model.sample("a", 1, control_images=torch.zeros(3, 26, 40), height=26, width=40), "multiple of 4")
    refused(lambda: tiny.sample(PROMPTS, SEEDS, control_images=images, **SIZE), "control_images needs a model with")
    refused(lambda: tiny.sample("a house", 1, control_scale=0.5), "control_scale=0.5 needs a model with a control")
    refused(lambda: SamplingSettings.of(control_scale=-1), "control_scale must be")
    refused(lambda: SamplingSettings.of(control_interval=(0.5, 0.1)), "control_interval must be")
    assert tiny.network_calls == before


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_folder):
    """Two steps of the smallest recipe."""
    folder = tmp_path_factory.mktemp("trained")
    return train_control.train(RECIPE, str(tiny_folder), folder, "cpu"), folder


def test_a_control_is_trained_resumed_and_steers_the_model_it_was_trained_for(trained, tiny, tiny_folder):
    finished, folder = trained
    assert finished and (folder / "log.csv").read_text().count("\n") == 1
    model = tiny.with_control(str(folder / "model"))
    silhouette = torch.zeros(3, 32, 32)
    silhouette[:, 16:, :16] = 1
    settings = {"steps": 2, "height": 32, "width": 32}
    drawn = model.sample("a house", 1, 2.0, control_images=silhouette, **settings)
    assert (drawn - tiny.sample("a house", 1, 2.0, **settings)).abs().max() > 1e-3
    weights = (folder / "model" / "diffusion_pytorch_model.safetensors").read_bytes()
    assert train_control.train(RECIPE, str(tiny_folder), folder, "cpu"), "it had finished"
    assert (folder / "model" / "diffusion_pytorch_model.safetensors").read_bytes() == weights


def test_training_a_control_leaves_the_model_as_it_is_and_moves_the_adapter(trained, tiny_folder, tiny):
    torch.manual_seed(RECIPE.seed)
    fresh = train_control.build(RECIPE, ldm_core.load(str(tiny_folder), device="cpu", dtype="float32"))
    state = torch.load(trained[1] / "checkpoint.pt", weights_only=True)
    moved = [name for name, value in fresh.state_dict().items() if not torch.equal(value, state["module"][name])]
    assert set(state["module"]) == set(fresh.state_dict()) and len(moved) == len(fresh.state_dict())


@pytest.mark.parametrize(
    ("blocks", "widths", "expected"),
    [
        (("CrossAttnDownBlock2D",) * 3, (32, 64, 96), ("full_adapter", [32, 64, 96], 2)),
        (
            ("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            (32, 64, 96),
            ("full_adapter_xl", [32, 64, 96, 96], 4),
        ),
        (("DownBlock2D", "CrossAttnDownBlock2D"), (32, 64), ("full_adapter_xl", [32, 64], 4)),
        (("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"), (32, 64, 96), None),
    ],
)
def test_an_adapter_has_the_features_that_a_u_net_has_places_for(blocks, widths, expected):
    ups = tuple(name.replace("Down", "Up") for name in reversed(blocks))
    kind = {"down_block_types": blocks, "up_block_types": ups, "block_out_channels": widths, "layers_per_block": 1}
    unet = UNet2DConditionModel(sample_size=16, cross_attention_dim=32, attention_head_dim=32, **kind)
    model = types.SimpleNamespace(denoiser=types.SimpleNamespace(network=unet), factor=2)
    if expected is None:
        refused(lambda: train_control.build(RECIPE, model), "no adapter of diffusers'")
        return
    adapter = train_control.build(RECIPE, model)
    config = adapter.config
    assert (config.adapter_type, list(config.channels), config.downscale_factor) == expected
    check_features(adapter(torch.zeros(1, 1, 64, 64)), feature_places(unet, 32))


def test_silhouettes_are_white_where_things_are():
    masks = np.zeros((2, 2, 2), np.float32)
    masks[0, 0, 0], masks[1, 1, 1], masks[0, 0, 1] = 1, 1, 0.5
    assert silhouette(masks).tolist() == [[255, 128], [0, 255]]


def test_cubic_times_are_mostly_noisy_and_reach_both_ends():
    times = timesteps(20_000, 1000, "cubic", torch.Generator().manual_seed(0))
    assert times.min() >= 0 and times.max() == 999
    # t / T = 1 - u^3: the mean is 3/4, the median 7/8.
    assert times.float().mean() == pytest.approx(750, abs=8) and times.median() == pytest.approx(875, abs=8)
