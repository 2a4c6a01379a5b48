"""The x4 upscaler's class against diffusers' pipeline, on a small checkpoint of the real classes."""

from __future__ import annotations

import json
import shutil

import diffusers
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DConditionModel

import ldm_core
from ldm_core.images import rounded
from ldm_core.recipe import Recipe

PROMPTS, SEEDS = ["a red house at night", "two boats on a lake"], [7, 2**32 - 1]


@pytest.fixture(scope="module")
def folder(tiny_folder, tmp_path_factory):
    """The tiny model with an upscaler's U-Net: the image beside the latent, 100 noise levels."""
    made = shutil.copytree(tiny_folder, tmp_path_factory.mktemp("upscaler") / "x2")
    torch.manual_seed(4)
    UNet2DConditionModel(
        sample_size=16,
        in_channels=7,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=2,
        num_class_embeds=100,
    ).save_pretrained(made / "unet")
    DDPMScheduler(beta_schedule="squaredcos_cap_v2").save_pretrained(made / "low_res_scheduler")
    betas = {"beta_schedule": "scaled_linear", "beta_start": 0.0001, "beta_end": 0.02}
    more = {"clip_sample": False, "set_alpha_to_one": False, "prediction_type": "v_prediction"}
    DDIMScheduler(**betas, **more).save_pretrained(made / "scheduler")
    index = json.loads((made / "model_index.json").read_text())
    own = {"_class_name": "StableDiffusionUpscalePipeline", "max_noise_level": 60}
    index |= own | {"low_res_scheduler": ["diffusers", "DDPMScheduler"], "watermarker": [None, None]}
    (made / "model_index.json").write_text(json.dumps(index))
    return made


@pytest.fixture(scope="module")
def model(folder):
    return ldm_core.load(str(folder), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def images():
    return rounded(torch.rand(2, 3, 12, 20, generator=torch.Generator().manual_seed(3)))


@pytest.mark.parametrize(
    ("scale", "level", "scheduler"), [(5.0, 20, None), (1.0, 60, None), (3.0, 0, "euler-ancestral")]
)
def test_enlarged_pictures_equal_diffusers_own(folder, model, images, scale, level, scheduler):
    pipeline = diffusers.StableDiffusionUpscalePipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    if scheduler is not None:
        pipeline.scheduler = diffusers.EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config)
    given = {"num_inference_steps": 4, "guidance_scale": scale, "noise_level": level, "output_type": "pt"}
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    expected = pipeline(PROMPTS, image=images, generator=generators, **given).images
    drawn = model.upscale(images, PROMPTS, SEEDS, scale, noise_level=level, steps=4, scheduler=scheduler)
    assert drawn.shape == (2, 3, 24, 40)
    torch.testing.assert_close(drawn, torch.as_tensor(expected), atol=1e-4, rtol=0)
    other = model.upscale(images, PROMPTS, SEEDS, scale, noise_level=40, steps=4, scheduler=scheduler)
    assert (drawn - other).abs().max() > 1e-3, "the test could not tell"


def test_each_enlarged_picture_is_that_of_a_single_call_to_the_bit(model, images):
    given = {"steps": 3, "rows_per_call": 4}
    both = model.upscale(images, PROMPTS, SEEDS, 3.0, **given)
    for place in range(2):
        one = model.upscale(images[place], PROMPTS[place], SEEDS[place], 3.0, **given)
        assert torch.equal(both[place], one[0])
    same = model.upscale(images[0], [PROMPTS[0]] * 2, SEEDS[0], [1.0, 3.0], **given)
    assert torch.equal(same[1], both[0]) and not torch.equal(same[0], same[1])


def test_its_own_steps_weight_and_level_are_those_of_its_pipeline(model, images):
    assert (model.spec.steps, model.spec.guidance_scale) == (75, 9.0)
    assert (model.height, model.width) == (32, 32), "16 latent values of 2 pixels"
    usual, told = (model.upscale(images[0], PROMPTS[0], 7, steps=2, noise_level=level) for level in (None, 20))
    assert torch.equal(usual, told)


def test_a_recipe_makes_an_enlarged_picture_again(model, images):
    from ldm_core.tasks import upscaling

    start = upscaling.start_of(model, images[0], noise_level=33)
    recipe = model.recipe(PROMPTS[0], 7, start=start, steps=3)
    assert dict(recipe.task.options) == {"factor": 2.0, "noise_level": 33}
    drawn = model.upscale(images[0], PROMPTS[0], 7, noise_level=33, steps=3)
    assert torch.equal(model.redraw(Recipe.from_json(recipe.to_json()), images[0]), drawn)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda m, i: m.sample("a house", 1), "enlarges images and draws none without one: model.upscale"),
        (lambda m, i: m.image_to_image(i, "a house", 1), "model.upscale"),
        (lambda m, i: m.upscale(i, "a house", 1, factor=4), "factor must be 2"),
        (lambda m, i: m.upscale(i, "a house", 1, by="latent"), "by must be image"),
        (lambda m, i: m.upscale(i, "a house", 1, noise_level=61), "noise_level must be"),
        (lambda m, i: m.upscale(i, "a house", 1, strength=0.5), "strength=0.5 is how far"),
        (lambda m, i: m.upscale(i, "a house", 1, height=64), "height must be the start's"),
    ],
)
def test_what_an_upscaler_cannot_do_is_one_line(model, images, work, words):
    with pytest.raises(ValueError, match=words) as refused:
        work(model, images)
    assert "\n" not in str(refused.value)


def test_only_an_upscaler_takes_a_noise_level(tiny, images):
    with pytest.raises(ValueError, match="noise_level=5 is for models made for enlarging"):
        tiny.upscale(images, PROMPTS, SEEDS, noise_level=5)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda at: shutil.rmtree(at / "low_res_scheduler"), "low_res_scheduler"),
        (lambda at: edit(at / "unet" / "config.json", num_class_embeds=None), "num_class_embeds is not set"),
        (lambda at: edit(at / "model_index.json", max_noise_level="many"), "max_noise_level must be an integer"),
        (lambda at: edit(at / "low_res_scheduler" / "scheduler_config.json", _class_name="None"), "scheduler"),
    ],
)
def test_a_folder_that_lacks_a_part_is_refused_in_one_line(folder, tmp_path, damage, words):
    broken = shutil.copytree(folder, tmp_path / "broken")
    damage(broken)
    with pytest.raises(ValueError, match=words) as refused:
        ldm_core.load(str(broken), device="cpu", dtype="float32")
    assert "\n" not in str(refused.value)


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
