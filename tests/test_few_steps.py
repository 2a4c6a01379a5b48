"""Checkpoints distilled to few steps, against diffusers' pipelines of them: latent consistency, turbo, lightning."""

from __future__ import annotations

import json
import shutil

import diffusers
import pytest
import torch

import ldm_core
from ldm_core.schedulers import SCHEDULERS, make_scheduler
from tests.test_families import make_lora
from tests.test_schedulers import NOISE, with_scheduler

PROMPTS, SEEDS = ["a red house at night", "clouds"], [7, 8]
FEW = {"timestep_spacing": "trailing", "steps_offset": 1}


def theirs(pipeline, **arguments):
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    return pipeline(PROMPTS, generator=generators, output_type="pt", height=32, width=32, **arguments).images


def load(folder, **more):
    return ldm_core.load(str(folder), device="cpu", dtype="float32", **more)


@pytest.fixture(scope="module")
def lcm_folder(tiny_folder, tmp_path_factory):
    """A U-Net that takes the guidance weight itself, and its own scheduler, in a folder as diffusers saves it."""
    own = {"clip_sample": False, "set_alpha_to_one": True}
    folder = with_scheduler(tiny_folder, tmp_path_factory.mktemp("lcm") / "m", "LCMScheduler", own)
    config = dict(diffusers.UNet2DConditionModel.load_config(folder / "unet")) | {"time_cond_proj_dim": 16}
    shutil.rmtree(folder / "unet")
    torch.manual_seed(5)
    diffusers.UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "LatentConsistencyModelPipeline"}))
    return folder


@pytest.mark.parametrize(("steps", "scale"), [(1, 8.5), (4, 8.5), (4, 1.0)])
def test_a_latent_consistency_model_equals_diffusers_pipeline(lcm_folder, steps, scale):
    pipeline = diffusers.LatentConsistencyModelPipeline.from_pretrained(lcm_folder)
    expected = theirs(pipeline, num_inference_steps=steps, guidance_scale=scale)
    model = load(lcm_folder)
    torch.testing.assert_close(model.sample(PROMPTS, SEEDS, scale, steps=steps), expected, atol=1e-4, rtol=0)


def test_a_latent_consistency_model_takes_its_own_steps_and_weight_one_row_each(lcm_folder):
    model = load(lcm_folder)
    assert (model.spec.steps, model.spec.guidance_scale) == (4, 8.5)
    plain = model.sample("a house", 7)
    assert model.denoiser.rows == 4 and torch.equal(plain, model.sample("a house", 7, 8.5, steps=4))
    assert not torch.equal(plain, model.sample("a house", 7, 2.0)), "the weight is told to the network"


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize(
    ("name", "class_name", "values"),
    [
        ("sdxl-turbo", "EulerAncestralDiscreteScheduler", FEW),
        ("my-lightning", "EulerDiscreteScheduler", FEW),
        ("one-step-lightning", "EulerDiscreteScheduler", FEW | {"prediction_type": "sample"}),
    ],
)
def test_turbo_and_lightning_folders_equal_diffusers_without_guidance(
    tiny_xl_folder, tmp_path, name, class_name, values, steps
):
    folder = with_scheduler(tiny_xl_folder, tmp_path / name, class_name, values)
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(folder)
    expected = theirs(pipeline, num_inference_steps=steps, guidance_scale=0.0)  # which is no guidance there
    model = load(folder)
    assert (model.spec.steps, model.spec.guidance_scale) == (4, 1.0)
    torch.testing.assert_close(model.sample(PROMPTS, SEEDS, steps=steps), expected, atol=1e-4, rtol=0)


def test_few_step_low_rank_weights_run_on_trailing_steps_as_in_diffusers(tiny_xl_folder, tmp_path):
    path = tmp_path / "lightning.safetensors"
    make_lora(tiny_xl_folder, "sdxl", path)
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(tiny_xl_folder)
    pipeline.load_lora_weights(path.parent, weight_name=path.name)
    pipeline.scheduler = diffusers.EulerDiscreteScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="trailing"
    )
    expected = theirs(pipeline, num_inference_steps=4, guidance_scale=0.0)
    model = load(tiny_xl_folder, lora=str(path))
    ours = model.sample(PROMPTS, SEEDS, 1.0, steps=4, scheduler="euler-trailing")
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)
    assert not torch.equal(ours, model.sample(PROMPTS, SEEDS, 1.0, steps=4, scheduler="euler"))


def test_low_rank_weights_of_latent_consistency_run_with_their_scheduler(tiny_folder, tmp_path):
    path = tmp_path / "lcm.safetensors"
    make_lora(tiny_folder, "sd", path)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tiny_folder)
    pipeline.load_lora_weights(path.parent, weight_name=path.name)
    pipeline.scheduler = diffusers.LCMScheduler.from_config(pipeline.scheduler.config)
    expected = theirs(pipeline, num_inference_steps=4, guidance_scale=1.0)
    ours = load(tiny_folder, lora=str(path)).sample(PROMPTS, SEEDS, 1.0, steps=4, scheduler="LCMScheduler")
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "flow-euler"])
def test_trailing_steps_begin_at_the_last_noise_level(name):
    scheduler = make_scheduler(
        {"_class_name": "DDIMScheduler", **NOISE, "num_train_timesteps": 1000}, f"{name}-trailing"
    )
    scheduler.set_timesteps(4)
    found = sorted({float(timestep) for timestep in scheduler.timesteps})
    assert found == pytest.approx([249, 499, 749, 999], abs=1) and max(found) == 999


def test_a_name_that_cannot_trail_is_one_line():
    with pytest.raises(ValueError, match="has no spacing of its timesteps"):
        make_scheduler({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "flow-euler-trailing")


def test_asking_a_turbo_model_for_0_says_that_it_is_unconditional(tiny_xl_folder, tmp_path):
    model = load(with_scheduler(tiny_xl_folder, tmp_path / "turbo", "EulerDiscreteScheduler", FEW))
    with pytest.warns(UserWarning, match="guidance_scale 0 is unconditional: turbo without guidance"):
        model.sample("a house", 7, 0.0, steps=1)
    ordinary = load(with_scheduler(tiny_xl_folder, tmp_path / "turbo-diesel", "EulerDiscreteScheduler", {}))
    assert (ordinary.spec.steps, ordinary.spec.guidance_scale) == (20, 4.0), "a name alone is no sign of it"
