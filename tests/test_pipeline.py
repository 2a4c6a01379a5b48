"""The denoising loop against diffusers' own pipeline, and what sharing and packing promise."""

from __future__ import annotations

import itertools
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

import ldm_core
from ldm_core.images import load_png, to_uint8
from ldm_core.recipe import read_png
from ldm_core.sampling import denoise
from ldm_core.schedulers import SCHEDULERS, make_scheduler
from ldm_core.settings import SamplingSettings

PROMPTS = ["a red house at night", "two boats on a lake", "clouds"]
SEEDS = [7, 8, 2**32 - 1]


def diffusers_images(folder, scheduler, steps, **arguments):
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    if scheduler is not None:
        more = {"skip_prk_steps": True} if scheduler == "pndm" else {}  # as Stable Diffusion's own configs
        pipeline.scheduler = getattr(diffusers, SCHEDULERS[scheduler]).from_config(pipeline.scheduler.config, **more)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    return pipeline(
        PROMPTS, generator=generators, num_inference_steps=steps, output_type="pt", height=32, width=32, **arguments
    ).images


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("scheduler", ["ddim", "ddpm", "euler", "euler-ancestral", "dpm++2m", "pndm", "unipc"])
def test_images_equal_diffusers_pipeline(tiny_folder, tiny_v_folder, scheduler, prediction):
    folder = tiny_folder if prediction == "epsilon" else tiny_v_folder
    theirs = diffusers_images(folder, scheduler, 6, guidance_scale=5.0, negative_prompt=["a pine"] * 3)
    model = ldm_core.load(str(folder), device="cpu", dtype="float32")
    ours = model.sample(PROMPTS, SEEDS, 5.0, steps=6, scheduler=scheduler, negative_prompt="a pine")
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_the_checkpoints_own_scheduler_is_the_default(tiny, tiny_folder):
    theirs = diffusers_images(tiny_folder, None, 4, guidance_scale=3.0)
    torch.testing.assert_close(tiny.sample(PROMPTS, SEEDS, 3.0, steps=4), theirs, atol=1e-4, rtol=0)


def test_rescaled_guidance_equals_diffusers_pipeline(tiny, tiny_folder):
    theirs = diffusers_images(tiny_folder, "ddim", 5, guidance_scale=6.0, guidance_rescale=0.7)
    ours = tiny.sample(PROMPTS, SEEDS, 6.0, steps=5, scheduler="ddim", guidance_rescale=0.7)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_no_guidance_equals_diffusers_at_one(tiny, tiny_folder):
    theirs = diffusers_images(tiny_folder, "ddim", 5, guidance_scale=1.0)
    torch.testing.assert_close(tiny.sample(PROMPTS, SEEDS, 1.0, steps=5, scheduler="ddim"), theirs, atol=1e-4, rtol=0)


def rows_for(model, *arguments, **settings):
    before = model.denoiser.rows
    images = model.sample(*arguments, steps=4, **settings)
    return images, model.denoiser.rows - before


def test_one_scale_costs_one_row_a_step_at_w_0_and_1_and_two_otherwise(tiny):
    assert [rows_for(tiny, "a house", 3, w)[1] for w in (0, 1, 0.5, 4)] == [4, 4, 8, 8]


def test_unconditional_images_do_not_depend_on_the_prompt_and_share_their_rows(tiny):
    images, rows = rows_for(tiny, ["a house", "a boat", "clouds"], 3, 0.0)
    assert rows == 4
    torch.testing.assert_close(images[0], images[2], atol=0, rtol=0)


def test_half_guidance_lies_between_none_and_full(tiny):
    latents = [list(tiny.denoise("a house", 3, w, steps=1))[-1].latent for w in (0.0, 0.5, 1.0)]
    torch.testing.assert_close(latents[1], (latents[0] + latents[2]) / 2, atol=1e-5, rtol=1e-5)
    assert (latents[0] - latents[2]).abs().max() > 1e-4


def test_a_negative_prompt_takes_the_unconditional_place(tiny):
    swapped = tiny.sample("a house", 3, 0.0, steps=3, negative_prompt="a boat")
    torch.testing.assert_close(swapped, tiny.sample("a boat", 3, 1.0, steps=3), atol=1e-5, rtol=0)


def test_a_sweep_equals_separate_samples_and_shares_the_first_step(tiny):
    scales, before = [0, 1, 2, 8], tiny.denoiser.rows
    grid = tiny.sweep(PROMPTS, SEEDS, scales, steps=3)
    assert grid.shape == (4, 3, 3, 32, 32)
    assert tiny.denoiser.rows - before == 3 * 2 + 2 * 3 * (1 + 1 + 2 + 2)
    for scale, row in zip(scales, grid):
        torch.testing.assert_close(row, tiny.sample(PROMPTS, SEEDS, scale, steps=3), atol=1e-4, rtol=0)


def test_at_a_fixed_call_shape_an_image_does_not_depend_on_its_neighbours(tiny):
    settings = {"steps": 3, "rows_per_call": 4}
    together = tiny.sample(PROMPTS, SEEDS, [1.0, 3.0, 0.0], **settings)
    turned = tiny.sample(PROMPTS[::-1], SEEDS[::-1], [0.0, 3.0, 1.0], **settings)
    alone = tiny.sample(PROMPTS[1], SEEDS[1], 3.0, **settings)
    assert torch.equal(together, turned.flip(0)) and torch.equal(together[1:2], alone)


def test_scales_outside_their_interval_share_rows(tiny):
    before = tiny.denoiser.rows
    tiny.sweep("a house", 3, [2, 4, 8], steps=4, guidance_interval=(0.0, 0.1))
    rows = tiny.denoiser.rows - before
    assert rows == 3 * 1 + 1 * 2  # three steps without guidance, one with: its latents still the same, so two rows


@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - {"flow-euler"}))
def test_the_last_clean_latent_is_the_result(tiny, name):
    states = list(tiny.denoise("a house", 3, 2.0, steps=12, scheduler=name))
    assert all(before.t >= after.t for before, after in itertools.pairwise(states))
    assert states[0].t > 0.9 and states[-1].t < 0.1
    difference = (states[-1].clean - states[-1].latent).std() / states[-1].latent.std()
    assert difference < 0.35 and torch.isfinite(states[0].clean).all()


def test_flow_matching_lands_on_the_point_that_every_velocity_points_from():
    point, noise = torch.randn(1, 4, 4, 4), torch.randn(1, 4, 4, 4)
    for steps in (1, 2, 7):
        scheduler = make_scheduler({"num_train_timesteps": 1000}, "flow-euler")
        states = list(denoise(lambda z, timestep, t: noise - point, scheduler, noise, [None], steps))
        torch.testing.assert_close(states[-1].latent, point, atol=1e-5, rtol=0)
        torch.testing.assert_close(states[0].clean, point, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - {"flow-euler"}))
def test_even_one_step_works(tiny, name):
    assert len(list(tiny.denoise("a house", 3, 2.0, steps=1, scheduler=name))) == 1


def test_calls_are_even_and_as_few_as_fill_the_device(tiny):
    sizes = []
    network = tiny.denoiser.network
    hook = network.register_forward_pre_hook(lambda _, __, given: sizes.append(len(given["sample"])), with_kwargs=True)
    try:
        tiny.sample("a house", list(range(10)), 2.0, steps=1)
        tiny.sample("a house", list(range(3)), 2.0, steps=1)
        tiny.sample("a house", list(range(3)), 2.0, steps=1, rows_per_call=4)
        tiny.sweep("a house", 1, [1, 2, 3], steps=2)
    finally:
        hook.remove()
    assert sizes == [10, 10, 6, 4, 4, 2, 5], "all scales share the first step's rows"


def test_other_sizes_than_the_native_one_work(tiny):
    assert tiny.sample("a house", 3, 2.0, steps=2, height=48, width=26).shape == (1, 3, 48, 26)


def test_one_prompt_serves_many_seeds_and_one_seed_many_prompts(tiny):
    assert tiny.sample("a house", [1, 2, 3], 1.0, steps=1).shape[0] == 3
    assert tiny.sample(PROMPTS, 5, 1.0, steps=1).shape[0] == 3


def test_default_seeds_come_from_the_prompt_and_its_repeats(tiny):
    images = tiny.sample(["a house", "a house"], guidance_scale=1.0, steps=2)
    again = tiny.sample("a house", guidance_scale=1.0, steps=2, rows_per_call=2)
    assert not torch.equal(images[0], images[1]) and torch.equal(images[:1], again)


def test_a_diverging_network_is_said_in_words(tiny):
    with pytest.raises(FloatingPointError, match="guidance_scale"):
        tiny.sample("a house", 3, 1e38, steps=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": []}, "at least one prompt"),
        ({"prompts": [3]}, "prompts must be text"),
        ({"negative_prompt": [1, 2]}, "negative_prompt must be text"),
        ({"seeds": [1, 2, 3]}, "3 seeds for 2 prompts"),
        ({"seeds": [-1, 1]}, "seed must be an integer"),
        ({"seeds": 2**32}, "seed must be an integer"),
        ({"seeds": True}, "seed must be an integer"),
        ({"steps": 0}, "steps must be"),
        ({"guidance_scale": float("nan")}, "guidance_scale must be a finite"),
        ({"guidance_scale": [1, 2, 3]}, "3 for 2 prompts"),
        ({"settings": [SamplingSettings()] * 3}, "settings must be .* 3 for 2"),
        ({"settings": 4}, "settings must be SamplingSettings"),
        ({"step": 4}, "did you mean steps"),
        ({"prompts": ["a", "\ud800"]}, "UTF-8"),
        ({"height": 31}, "height must be a positive multiple of 2"),
        ({"scheduler": "heun"}, "scheduler must be one of ddim"),
        ({"scheduler": "flow-euler"}, "does not fit a model trained for DDIMScheduler"),
        ({"guidance_schedule": "square"}, "guidance_schedule must be one of constant"),
        ({"guidance_interval": (0.5, 0.2)}, "0 <= low < high <= 1"),
        ({"guidance_rescale": 2}, "guidance_rescale"),
        ({"rows_per_call": 0}, "rows_per_call"),
    ],
)
def test_bad_arguments_are_named_before_any_network_runs(tiny, arguments, message):
    before = tiny.denoiser.calls
    with pytest.raises(ValueError, match=message):
        tiny.sample(**{"prompts": ["a", "b"], "seeds": [1, 2]} | arguments)
    assert tiny.denoiser.calls == before


def test_numbers_of_numpy_and_torch_are_numbers(tiny):
    plain = tiny.sweep("a house", [1], [1, 2], steps=2)
    for kind in (np.float32, np.int64, np.float64):
        assert torch.equal(tiny.sweep("a house", np.array([1]), np.array([1, 2], kind), steps=np.int16(2)), plain)
    assert torch.equal(tiny.sample("a house", torch.tensor(1), np.float32(2), steps=2), plain[1])
    assert torch.equal(tiny.sample("a house", np.array(1), torch.tensor(2.0), steps=2), plain[1])


def test_images_with_settings_of_their_own_are_those_of_single_calls_to_the_bit(tiny):
    each = [
        SamplingSettings.of(steps=3, guidance_scale=3.0, guidance_schedule="cosine"),
        SamplingSettings.of(steps=2, guidance_scale=5.0, negative_prompt="a boat"),
        SamplingSettings.of(steps=3, guidance_scale=3.0, guidance_interval=(0.2, 0.7), guidance_rescale=0.7),
        SamplingSettings.of(steps=3, guidance_scale=3.0, guidance_rescale=0.3, scheduler="euler"),
        SamplingSettings.of(steps=3, guidance_scale=0.0, guidance_rescale=0.3),
    ]
    each = [own.replaced(rows_per_call=4) for own in each]
    together = tiny.sample("a house", 7, settings=each)
    assert together.shape == (5, 3, 32, 32)
    for image, own in zip(together, each):
        assert torch.equal(image, tiny.sample("a house", 7, settings=own)[0])
    assert len({image.numpy().tobytes() for image in together}) == 5


def test_images_of_different_sizes_come_as_a_list(tiny):
    each = [SamplingSettings.of(steps=1, height=side) for side in (32, 16, 32)]
    images = tiny.sample(PROMPTS, SEEDS, 1.0, settings=each)
    assert isinstance(images, list) and [tuple(image.shape) for image in images] == [(3, h, 32) for h in (32, 16, 32)]
    alone = tiny.sample(PROMPTS[1], SEEDS[1], 1.0, steps=1, height=16)
    torch.testing.assert_close(images[1], alone[0], atol=1e-5, rtol=0)


def test_images_that_cannot_denoise_together_are_refused_by_the_loop(tiny):
    each = [SamplingSettings.of(steps=steps) for steps in (2, 3)]
    with pytest.raises(ValueError, match="one steps, got 2, 3: use sample"):
        tiny.denoise("a house", 1, settings=each)


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("steps", [1, 3]),
        ("scheduler", ["ddim", "euler", None]),
        ("guidance_schedule", ["constant", "linear", "cosine"]),
        ("guidance_interval", [None, (0.2, 0.8)]),
        ("guidance_rescale", [0.0, 0.7, 1.0]),
        ("negative_prompt", ["", "a boat"]),
        ("rows_per_call", [2, 4]),
    ],
)
def test_a_sweep_of_any_setting_equals_single_runs_to_the_bit(tiny, axis, values):
    common = {"steps": 3, "rows_per_call": 4, "guidance_scale": 3.0}
    grid = tiny.sweep(PROMPTS[:2], SEEDS[:2], axes={axis: values}, **{k: v for k, v in common.items() if k != axis})
    assert grid.shape == (len(values), 2, 3, 32, 32)
    for value, row in zip(values, grid):
        assert torch.equal(row, tiny.sample(PROMPTS[:2], SEEDS[:2], **common | {axis: value}))


def test_several_axes_give_every_combination(tiny):
    grid = tiny.sweep("a house", [1, 2], [1.0, 3.0], axes={"steps": [1, 2, 3]}, rows_per_call=4)
    assert grid.shape == (2, 3, 2, 3, 32, 32)
    assert torch.equal(grid[1, 2], tiny.sample("a house", [1, 2], 3.0, steps=3, rows_per_call=4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axes": {"height": [32, 64]}}, "axes must be settings of one size's pictures .*got 'height'"),
        ({"axes": {"colour": ["red"]}}, "got 'colour'"),
        ({"axes": {"steps": []}}, "at least one value"),
        ({"axes": {"scheduler": "ddim"}}, "must be a list"),
        ({"guidance_scales": []}, "the axis guidance_scale must hold at least one"),
        ({"guidance_scales": 3}, "the axis guidance_scale must be a list"),
    ],
)
def test_an_axis_that_is_none_is_refused(tiny, arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny.sweep("a house", 1, **arguments)


def test_cells_of_a_sweep_share_rows_while_their_guidance_agrees(tiny):
    before = tiny.denoiser.rows
    tiny.sweep(
        "a house", 3, axes={"guidance_interval": [(0.0, 0.1), (0.0, 0.6), (0.0, 0.6)]}, guidance_scale=4, steps=4
    )
    # t = 0.75, 0.5, 0.25, 0: none guided, then two alike guided beside one that is not, which joins at the end.
    assert tiny.denoiser.rows - before == 1 + 2 + 3 + 4


def test_the_rows_of_one_image_are_counted_as_they_are_asked_for(tiny):
    for given in ({"guidance_scale": 1.0}, {"guidance_scale": 3.0, "guidance_interval": (0.2, 0.6)}, {"steps": 3}):
        settings = SamplingSettings.of(**{"steps": 4} | given)
        before = tiny.denoiser.rows
        tiny.sample("a house", 3, settings=settings)
        assert tiny.rows_alone(settings) == tiny.denoiser.rows - before


def test_a_picture_of_the_first_house_is_made_again():
    path = Path(__file__).parent / "first_house" / "picture.png"
    recipe = read_png(path)
    assert (recipe.model, recipe.seed, recipe.settings.guidance.schedule) == ("fashion", 7, "cosine")
    model = ldm_core.load(recipe.model, device=recipe.device, dtype=recipe.dtype)
    pixels, now = load_png(path).astype(int), to_uint8(model.sample(**recipe.sample_settings()))[0]
    assert model.weights == recipe.weights
    assert abs(pixels - now).max() <= 1, "the same bytes on the machine that made it, within 1/255 on others"
