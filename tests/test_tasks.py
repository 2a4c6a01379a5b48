"""Tasks of a latent against diffusers' pipelines of the same names, and what each of them promises."""

from __future__ import annotations

import functools
import json
import math
import shutil

import diffusers
import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image

import ldm_core
from ldm_core.images import from_uint8, rounded, to_uint8
from ldm_core.recipe import Recipe, Task
from ldm_core.sampling import denoise, image_generators, initial_noise
from ldm_core.schedulers import SCHEDULERS
from ldm_core.settings import SamplingSettings
from ldm_core.tasks import inpainting, upscaling
from ldm_core.tasks.interpolation import lerp, save_animation, slerp, strip
from ldm_core.tasks.start import Start, steps_run
from tests.conftest import make_sd3_checkpoint
from tests.test_schedulers import NOISE

PROMPTS, SEEDS = ["a red house at night", "two boats on a lake"], [7, 8]
PIPELINES = {
    "sd": ("tiny_folder", diffusers.StableDiffusionImg2ImgPipeline, diffusers.StableDiffusionInpaintPipeline),
    "sdxl": ("tiny_xl_folder", diffusers.StableDiffusionXLImg2ImgPipeline, diffusers.StableDiffusionXLInpaintPipeline),
    "sd3": ("tiny_sd3_folder", diffusers.StableDiffusion3Img2ImgPipeline, diffusers.StableDiffusion3InpaintPipeline),
}


@pytest.fixture(autouse=True)
def posterior_mean(monkeypatch):
    """diffusers' pipelines draw a sample of the posterior, ours take its mean."""
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())


@pytest.fixture(scope="module")
def image():
    """Two pictures of 32 pixels, in 8 bits."""
    return rounded(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(5)))


@pytest.fixture(scope="module")
def mask():
    """A block to draw anew, its edges those of latent values."""
    made = torch.zeros(1, 1, 32, 32)
    made[..., 8:24, 4:20] = 1
    return made


@functools.cache
def loaded(folder):
    """Our model of a folder, and the parts of diffusers' pipeline."""
    basic = json.loads((folder / "model_index.json").read_text())["_class_name"]
    parts = getattr(diffusers, basic).from_pretrained(folder).components
    return ldm_core.load(str(folder), device="cpu", dtype="float32"), parts


def theirs(folder, kind, scheduler=None, **arguments):
    parts = loaded(folder)[1]
    pipeline = kind(**parts) if "safety_checker" not in parts else kind(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    if scheduler is not None:
        more = {} if "clip_sample" in pipeline.scheduler.config else {"clip_sample": False}
        pipeline.scheduler = getattr(diffusers, SCHEDULERS[scheduler]).from_config(pipeline.scheduler.config, **more)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    return pipeline(PROMPTS, generator=generators, **{"output_type": "pt"} | arguments).images


@pytest.mark.parametrize(
    ("family", "scheduler", "steps", "strength"),
    [
        ("sd", "ddim", 6, 0.5),
        ("sd", "ddpm", 5, 0.5),
        ("sd", "euler", 5, 0.7),
        ("sd", "euler-ancestral", 6, 0.5),
        ("sd", "dpm++2m", 8, 0.8),
        ("sd", "unipc", 8, 0.8),
        ("sdxl", None, 6, 0.5),
        ("sdxl", "dpm++2m", 8, 0.65),
        ("sd3", None, 5, 0.6),
    ],
)
def test_image_to_image_equals_diffusers_pipeline(request, image, family, scheduler, steps, strength):
    fixture, kind, _ = PIPELINES[family]
    folder = request.getfixturevalue(fixture)
    given = {"strength": strength, "guidance_scale": 5.0}
    expected = theirs(folder, kind, scheduler, image=image, num_inference_steps=steps, **given)
    model = loaded(folder)[0]
    ours = model.image_to_image(image, PROMPTS, SEEDS, steps=steps, scheduler=scheduler, **given)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("family", "scheduler", "strength"),
    [
        ("sd", "ddim", 1.0),
        ("sd", "euler", 0.6),
        ("sd", "dpm++2m", 0.8),
        ("sdxl", None, 0.6),
        ("sd3", None, 1.0),
    ],
)
def test_inpainting_equals_diffusers_pipeline_within_the_mask(
    request, tmp_path, image, mask, family, scheduler, strength
):
    fixture, _, kind = PIPELINES[family]
    # diffusers puts the known part back in a Stable Diffusion 3 of 16 latent channels only.
    folder = make_sd3_checkpoint(tmp_path, channels=16) if family == "sd3" else request.getfixturevalue(fixture)
    given = {"strength": strength, "guidance_scale": 5.0}
    more = {"mask_image": mask.expand(2, -1, -1, -1), "num_inference_steps": 5, "height": 32, "width": 32}
    more["output_type"] = "latent"  # which diffusers decodes without its shift for Stable Diffusion 3
    model = loaded(folder)[0]
    expected = model.decode(theirs(folder, kind, scheduler, image=image, **more, **given))
    ours = model.inpaint(image, mask, PROMPTS, SEEDS, steps=5, scheduler=scheduler, **given)
    torch.testing.assert_close(ours * mask, expected * mask, atol=1e-4, rtol=0)
    assert torch.equal(ours * (1 - mask), image * (1 - mask)), "outside the mask not a bit changes"


def make_inpainting(folder, to):
    """A checkpoint whose U-Net takes nine channels."""
    shutil.copytree(folder, to)
    index = json.loads((to / "model_index.json").read_text())
    index["_class_name"] = index["_class_name"].replace("Pipeline", "InpaintPipeline")
    (to / "model_index.json").write_text(json.dumps(index | {"_diffusers_version": diffusers.__version__}))
    config = dict(diffusers.UNet2DConditionModel.load_config(to / "unet")) | {"in_channels": 9}
    shutil.rmtree(to / "unet")
    torch.manual_seed(6)
    diffusers.UNet2DConditionModel.from_config(config).save_pretrained(to / "unet")
    return to


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_an_inpainting_checkpoint_equals_diffusers_and_draws_plain_pictures_too(request, tmp_path, image, mask, family):
    fixture, _, kind = PIPELINES[family]
    folder = make_inpainting(request.getfixturevalue(fixture), tmp_path / "m")
    model = loaded(folder)[0]
    given = {"image": image, "num_inference_steps": 4, "guidance_scale": 2.0, "height": 32, "width": 32}
    masks = mask.expand(2, -1, -1, -1)
    for strength in (1.0, 0.5):
        expected = theirs(folder, kind, mask_image=masks, strength=strength, **given)
        ours = model.inpaint(image, mask, PROMPTS, SEEDS, 2.0, steps=4, strength=strength)
        torch.testing.assert_close(ours * mask, expected * mask, atol=1e-4, rtol=0)
        assert torch.equal(ours * (1 - mask), image * (1 - mask))
    expected = theirs(folder, kind, mask_image=torch.ones_like(masks), strength=1.0, **given)
    # The tiny autoencoder's norms divide by next to nothing over plain grey, which makes the most of rounding.
    torch.testing.assert_close(model.sample(PROMPTS, SEEDS, 2.0, steps=4), expected, atol=1e-3, rtol=0)


FOREIGN = [
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "DEISMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "SASolverScheduler",
    "LCMScheduler",
    "TCDScheduler",
    "IPNDMScheduler",
    "EDMEulerScheduler",
    "EDMDPMSolverMultistepScheduler",
    "FlowMatchHeunDiscreteScheduler",
]


SPREADS = ((1 - diffusers.DDPMScheduler(**NOISE).alphas_cumprod) ** 0.5).numpy()


def knowing(point, kind):
    """A network that knows the picture: of a latent as it is shown one, the prediction that implies the point."""

    def predict(latent, timestep, t):
        at = float(timestep)
        if kind == "flow":
            return (latent - point) / (at / 1000)
        if kind == "own clock":
            return (math.cos(at * math.pi / 2) * latent - point) / math.sin(at * math.pi / 2)
        if kind == "edm":
            sigma, data = math.exp(4 * at), 0.5
            total = sigma**2 + data**2
            return (point - data**2 / total * latent * total**0.5) / (sigma * data / total**0.5)
        spread = float(np.interp(at, np.arange(1000), SPREADS))
        return (latent - (1 - spread**2) ** 0.5 * point) / spread

    return predict


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("strength", [1.0, 0.5, 0.01])
@pytest.mark.parametrize("class_name", [*SCHEDULERS.values(), *FOREIGN, "PNDM with Runge-Kutta"])
def test_a_network_that_knows_the_picture_lands_on_it_from_any_strength(class_name, strength):
    if class_name == "IPNDMScheduler" and strength == 1:
        pytest.skip("over a whole schedule of eight steps diffusers' own drifts, with a start or without")
    own = "PNDMScheduler" if " " in class_name else class_name
    found = getattr(diffusers, own)
    more = {"clip_sample": False, "skip_prk_steps": own == class_name, "timestep_spacing": "leading", "sigma_max": 80.0}
    takes = set(found._get_init_keys(found))
    scheduler = found(**{key: value for key, value in (NOISE | more).items() if key in takes})
    kind = "flow" if "Flow" in own else "edm" if "EDM" in own else "own clock" if "IPNDM" in own else "epsilon"
    point = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    generators = image_generators([3])
    noise = initial_noise(generators, (4, 4, 4))
    mask = (torch.arange(4) < 2).float().expand(1, 1, 4, 4)
    other = torch.where(mask > 0, point, torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1)))
    for start in (Start((Task("t"),), clean=point), Start((Task("t"),), clean=other, mask=mask)):
        states = list(denoise(knowing(point, kind), scheduler, noise, generators, 8, start=start, strength=strength))
        torch.testing.assert_close(states[-1].latent, start.clean, atol=0.1, rtol=0)
        assert states[0].t <= strength + 0.2


CALL = {"steps": 4, "rows_per_call": 4}


def test_strength_0_is_the_reconstruction_and_1_the_plain_sample_to_the_bit(tiny, image):
    given = {"prompts": PROMPTS, "seeds": SEEDS, **CALL}
    assert torch.equal(tiny.image_to_image(image, **given, strength=0), tiny.reconstruct(image))
    for scheduler in ("ddim", "euler-ancestral", "dpm++2m"):
        plain = tiny.sample(**given, scheduler=scheduler)
        assert torch.equal(tiny.image_to_image(image, **given, scheduler=scheduler, strength=1), plain)


def test_the_more_strength_the_farther_from_the_start(tiny, image):
    kept, given = tiny.reconstruct(image), {"guidance_scale": 1.0, "steps": 10}
    drawn = [tiny.image_to_image(image, PROMPTS, SEEDS, **given, strength=s) for s in (0.1, 0.4, 1.0)]
    near, middle, far = [float((pictures - kept).square().mean()) for pictures in drawn]
    assert 0 < near < middle < far


def test_a_strength_takes_its_share_of_the_steps_and_never_none(tiny, image):
    assert [steps_run(10, strength) for strength in (0, 0.01, 0.7, 0.79, 1)] == [0, 1, 7, 7, 10]
    for strength in (0.0, 0.3, 0.7):
        settings = SamplingSettings.of(steps=10, strength=strength, guidance_scale=3.0)
        before = tiny.denoiser.rows
        tiny.image_to_image(image[0], "a house", 3, settings=settings)
        assert tiny.rows_alone(settings) == tiny.denoiser.rows - before == 2 * steps_run(10, strength)


def test_images_with_strengths_and_starts_of_their_own_are_those_of_single_calls_to_the_bit(tiny, image):
    each = [SamplingSettings.of(strength=strength, **CALL) for strength in (0.5, 0.0, 1.0)]
    together = tiny.image_to_image(image[0], "a house", 3, settings=each)
    for picture, own in zip(together, each):
        assert torch.equal(picture, tiny.image_to_image(image[0], "a house", 3, settings=own)[0])
    both = tiny.image_to_image(image, "a house", [3, 3], **CALL)
    assert torch.equal(both[1], tiny.image_to_image(image[1], "a house", 3, **CALL)[0])
    assert not torch.equal(both[0], both[1]), "one seed and prompt, and two starts"


def test_pixels_outside_the_mask_are_kept_whatever_its_edges(tiny, image):
    mask = torch.zeros(1, 32, 32)
    mask[:, 7:22, 3:18] = 1
    for strength in (0.0, 0.5, 1.0):
        drawn = tiny.inpaint(image, mask, PROMPTS, SEEDS, strength=strength, **CALL)
        assert torch.equal(drawn * (1 - mask), image * (1 - mask))
        assert not torch.equal(drawn * mask, image * mask)
    whole = tiny.inpaint(image, torch.ones(1, 32, 32), PROMPTS, SEEDS, **CALL)
    assert torch.equal(whole, tiny.sample(PROMPTS, SEEDS, **CALL)), "nothing known is an ordinary picture"


def test_outpainting_keeps_the_picture_within_the_larger_one(tiny, image):
    drawn = tiny.outpaint(image, PROMPTS, SEEDS, left=8, bottom=6, **CALL)
    assert drawn.shape == (2, 3, 38, 40) and torch.equal(drawn[:, :, :32, 8:], image)


def test_upscaling_begins_at_the_enlarged_picture_or_latent(tiny, image):
    enlarged = torch.nn.functional.interpolate(image, (48, 48), mode="bicubic").clamp(0, 1)
    latent = torch.nn.functional.interpolate(tiny.encode(image), (24, 24), mode="bilinear")
    for by, expected in (("image", tiny.reconstruct(enlarged)), ("latent", tiny.decode(latent))):
        assert torch.equal(tiny.upscale(image, PROMPTS, SEEDS, factor=1.5, by=by, strength=0), expected)
        drawn = tiny.upscale(image, PROMPTS, SEEDS, factor=1.5, by=by, steps=4)
        assert drawn.shape == (2, 3, 48, 48) and not torch.equal(drawn, expected)
    assert tiny.upscale(image, PROMPTS, SEEDS, factor=1.34, strength=0).shape == (2, 3, 42, 42), "the nearest that fits"


def test_interpolation_begins_and_ends_with_the_two_pictures_to_the_bit(tiny):
    ends = [tiny.sample(prompt, seed, **CALL)[0] for prompt, seed in zip(PROMPTS, SEEDS)]
    for scheduler in ("ddim", "euler-ancestral"):
        ends = [tiny.sample(prompt, seed, scheduler=scheduler, **CALL)[0] for prompt, seed in zip(PROMPTS, SEEDS)]
        frames = tiny.interpolate(PROMPTS, SEEDS, frames=4, scheduler=scheduler, **CALL)
        assert frames.shape == (4, 3, 32, 32) and torch.equal(frames[0], ends[0]) and torch.equal(frames[3], ends[1])
        assert len({frame.numpy().tobytes() for frame in frames}) == 4
    through = tiny.interpolate(PROMPTS, SEEDS, frames=3, through="latent", scheduler=scheduler, **CALL)
    assert torch.equal(through[0], ends[0]) and torch.equal(through[2], ends[1])


def test_between_two_prompts_of_one_seed_conditionings_are_on_a_line(tiny):
    frames = tiny.interpolate(PROMPTS, 7, frames=3, guidance_scale=1.0, steps=1, rows_per_call=1)
    pipeline = diffusers.StableDiffusionPipeline(**loaded(tiny.files[0])[1], requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    first, second = (pipeline.encode_prompt(prompt, "cpu", 1, False)[0] for prompt in PROMPTS)
    more = {"num_inference_steps": 1, "guidance_scale": 1.0, "output_type": "pt"}
    middle = pipeline(prompt_embeds=(first + second) / 2, generator=torch.Generator().manual_seed(7), **more).images
    torch.testing.assert_close(frames[1:2], middle, atol=1e-4, rtol=0)


def test_on_the_great_circle_a_noise_keeps_its_length():
    first, second = torch.nn.functional.normalize(torch.randn(2, 4096, generator=torch.Generator().manual_seed(0)))
    for share in (0.0, 0.25, 0.5, 1.0):
        between = slerp(first, second, share)
        angles = [
            torch.acos(((between * end).sum() / between.norm() / end.norm()).clamp(-1, 1)) for end in (first, second)
        ]
        torch.testing.assert_close(angles[0] * (1 - share), angles[1] * share, atol=2e-3, rtol=1e-2)
        assert abs(between.norm() - 1) < 1e-5
    assert torch.equal(slerp(first, second, 0), first) and torch.equal(slerp(first, second, 1), second)
    assert torch.equal(slerp(first, first, 0.3), lerp(first, first, 0.3))


@pytest.mark.parametrize("name", ["between.gif", "between.webp"])
def test_an_animation_holds_its_frames_there_and_back(tmp_path, name):
    frames = torch.rand(4, 3, 8, 8)
    save_animation(tmp_path / name, frames, seconds=0.2)
    with Image.open(tmp_path / name) as picture:
        assert picture.n_frames == 6 and picture.info["loop"] == 0
    assert strip(frames).shape == (3, 8, 32) and list(tmp_path.iterdir()) == [tmp_path / name]


def test_a_recipe_of_a_task_makes_its_picture_again_of_the_same_files_only(tiny, image, mask):
    settings = SamplingSettings.of(steps=3, strength=0.5, rows_per_call=4, guidance_scale=2.0)
    start = inpainting.start_of(tiny, image[:1], mask)
    recipe = Recipe.from_json(tiny.recipe("a house", 3, settings, start=start).to_json())
    drawn = tiny.inpaint(image[:1], mask, "a house", 3, settings=settings)
    read_back = from_uint8(to_uint8(image[:1]))
    assert torch.equal(tiny.redraw(recipe, read_back, mask), drawn) and recipe.task.name == "inpainting"
    for given, message in (
        ((None, mask), "needs the image"),
        ((image[0], None), "needs the mask"),
        ((image[1], mask), "is of another image"),
        ((image[0], 1 - mask), "is of another mask"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            tiny.redraw(recipe, *given)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="is of inpainting and needs its start"):
        recipe.sample_settings()
    large = tiny.recipe("a house", 3, settings, start=upscaling.start_of(tiny, image[:1], 1.5))
    again = tiny.redraw(Recipe.from_json(large.to_json()), image[0])
    assert torch.equal(again, tiny.upscale(image[:1], "a house", 3, factor=1.5, settings=settings))


def test_a_recipe_without_a_task_holds_no_word_of_one(tiny):
    values = json.loads(tiny.recipe("a house", 3).to_json())
    assert "task" not in values and "strength" not in values
    assert torch.equal(tiny.redraw(tiny.recipe("a house", 3, steps=1)), tiny.sample("a house", 3, steps=1))


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda m, i: m.sample("a", 1, strength=0.5), "strength=0.5 .* there is none: use image_to_image"),
        (lambda m, i: m.image_to_image(i, "a", 1, strength=1.5), "strength must be from 0 to 1"),
        (lambda m, i: m.image_to_image(i * 255, "a", 1), "images must be in \\[0, 1\\]"),
        (lambda m, i: m.image_to_image(i[:, :2], "a", 1), "images must be \\(B, 3, H, W\\)"),
        (lambda m, i: m.image_to_image(i.numpy(), "a", 1), "images must be a tensor"),
        (lambda m, i: m.image_to_image(i, ["a", "b", "c"], 1), "images must be one or one per prompt: got 2 for 3"),
        (lambda m, i: m.image_to_image(i[..., :31], "a", 1), "multiples of 2"),
        (lambda m, i: m.image_to_image(i, PROMPTS, 1, height=64), "height must be the start's, 32 pixels"),
        (lambda m, i: m.inpaint(i, torch.ones(1, 16, 16), PROMPTS, 1), "masks must have the images' sides"),
        (lambda m, i: m.inpaint(i, torch.ones(3, 1, 32, 32), PROMPTS, 1), "as many, or one of either"),
        (lambda m, i: m.inpaint(i, torch.ones(3, 32, 32), PROMPTS, 1), "masks must be \\(B, 1, H, W\\)"),
        (lambda m, i: m.outpaint(i, PROMPTS, 1), "give left, right, top or bottom"),
        (lambda m, i: m.outpaint(i, PROMPTS, 1, left=-2), "left must be an integer"),
        (lambda m, i: m.upscale(i, PROMPTS, 1, factor=0.5), "factor must be from 1 to 16"),
        (lambda m, i: m.upscale(i, PROMPTS, 1, by="magic"), "by must be image or latent"),
        (lambda m, i: m.interpolate("a", 1), "two pictures are needed"),
        (lambda m, i: m.interpolate("a", [1, 2], frames=1), "frames must be an integer from 2"),
        (lambda m, i: m.interpolate("a", [1, 2], through="space"), "through must be noise or latent"),
        (lambda m, i: m.interpolate("a", [1, 2], strength=0.5), "strength=0.5 .* there is none"),
    ],
)
def test_what_a_task_cannot_take_is_named_before_the_network_runs(tiny, image, work, message):
    before = tiny.denoiser.calls
    with pytest.raises(ValueError, match=message) as caught:
        work(tiny, image)
    assert tiny.denoiser.calls == before and "\n" not in str(caught.value)
