"""Schedulers of every class against diffusers' own, built by diffusers itself; what they predict, in closed form."""

from __future__ import annotations

import itertools
import json
import math
import shutil

import diffusers
import pytest
import torch

import ldm_core
from ldm_core.recipe import Recipe
from ldm_core.sampling import check_scheduler, denoise, image_generators, initial_noise
from ldm_core.schedulers import (
    DIFFUSION,
    EDM,
    FLOW,
    SCHEDULERS,
    dynamic_shift,
    kind_of,
    make_scheduler,
    names_of,
    set_steps,
    time_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of diffusers' DEIS about numpy, by the thousand
PROMPTS, SEEDS = ["a red house at night", "clouds"], [7, 8]
NOISE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
DIFFUSERS_PIPELINE = {
    "sd": diffusers.StableDiffusionPipeline,
    "v": diffusers.StableDiffusionPipeline,
    "xl": diffusers.StableDiffusionXLPipeline,
    "sd3": diffusers.StableDiffusion3Pipeline,
}
FOLDERS = {"sd": "tiny_folder", "v": "tiny_v_folder", "xl": "tiny_xl_folder", "sd3": "tiny_sd3_folder"}
EDM_PLAYGROUND = {"sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}
FOREIGN = [
    ("sd", "HeunDiscreteScheduler", {}),
    ("sd", "LMSDiscreteScheduler", {"use_karras_sigmas": True}),
    ("sd", "KDPM2DiscreteScheduler", {}),
    ("sd", "KDPM2AncestralDiscreteScheduler", {}),
    ("sd", "DEISMultistepScheduler", {"solver_order": 3}),
    ("sd", "DPMSolverSinglestepScheduler", {}),
    ("sd", "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}),
    ("sd", "SASolverScheduler", {}),
    ("sd", "LCMScheduler", {}),
    ("sd", "TCDScheduler", {}),
    ("sd", "IPNDMScheduler", {}),
    ("sd", "PNDMScheduler", {"skip_prk_steps": False}),
    (
        "v",
        "DDIMScheduler",
        {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"},
    ),
    ("sd", "DDIMScheduler", {"thresholding": True}),
    ("sd", "DDIMScheduler", {"clip_sample": True, "steps_offset": 0}),
    ("sd", "DDPMScheduler", {"variance_type": "fixed_large", "timestep_spacing": "linspace"}),
    (
        "sd",
        "DDPMScheduler",
        {"trained_betas": [0.001 + 0.00001 * index for index in range(900)], "num_train_timesteps": 900},
    ),
    ("sd", "EulerDiscreteScheduler", {"use_exponential_sigmas": True, "final_sigmas_type": "sigma_min"}),
    ("xl", "DDIMScheduler", {"clip_sample": True}),
    ("xl", "EDMEulerScheduler", EDM_PLAYGROUND),
    ("xl", "EDMDPMSolverMultistepScheduler", EDM_PLAYGROUND | {"prediction_type": "v_prediction"}),
    ("sd3", "FlowMatchHeunDiscreteScheduler", {"shift": 3.0}),
    ("sd3", "FlowMatchEulerDiscreteScheduler", {"use_dynamic_shifting": True}),
    (
        "sd3",
        "FlowMatchEulerDiscreteScheduler",
        {"use_dynamic_shifting": True, "base_shift": 0.9, "max_image_seq_len": 512},
    ),
    (
        "sd3",
        "UniPCMultistepScheduler",
        {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0},
    ),
]


def with_scheduler(folder, to, class_name, values):
    """A copy of a checkpoint with another scheduler, as diffusers saves it."""
    shutil.copytree(folder, to)
    shutil.rmtree(to / "scheduler")
    kind = getattr(diffusers, class_name)
    takes = set(kind._get_init_keys(kind))
    kind(**{key: value for key, value in NOISE.items() if key in takes} | values).save_pretrained(to / "scheduler")
    index = json.loads((to / "model_index.json").read_text()) | {"scheduler": ["diffusers", class_name]}
    (to / "model_index.json").write_text(json.dumps(index))
    return to


@pytest.mark.parametrize(("family", "class_name", "values"), FOREIGN)
def test_any_scheduler_of_a_folder_draws_previews_and_replays_as_diffusers(
    request, tmp_path, family, class_name, values
):
    own = request.getfixturevalue(FOLDERS[family])
    folder = with_scheduler(own, tmp_path / "m", class_name, values)
    pipeline = DIFFUSERS_PIPELINE[family].from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    theirs = pipeline(PROMPTS, generator=generators, num_inference_steps=6, guidance_scale=5.0, output_type="pt").images
    model = ldm_core.load(str(folder), device="cpu", dtype="float32")
    ours = model.sample(PROMPTS, SEEDS, 5.0, steps=6)
    torch.testing.assert_close(ours, theirs, atol=3e-4, rtol=0)
    states = list(model.denoise(PROMPTS, SEEDS, 5.0, steps=6))
    times = [state.t for state in states]
    assert (
        all(1 >= before >= after >= 0 for before, after in itertools.pairwise(times))
        and times[0] > 0.7
        and times[-1] < 0.4
    )
    assert (states[-1].clean - states[-1].latent).std() < 0.2 * states[-1].latent.std()
    assert model.scheduler_names[0] == model.scheduler_name
    recipe = Recipe.from_json(
        model.recipe(PROMPTS[0], SEEDS[0], guidance_scale=5.0, steps=6, rows_per_call=4).to_json()
    )
    first, again = (model.sample(**recipe.sample_settings()) for _ in range(2))
    assert torch.equal(first, again) and recipe.settings.scheduler == model.scheduler_name
    torch.testing.assert_close(first[0], ours[0], atol=1e-4, rtol=0)


NEVER_SAMPLE = {"HeunDiscreteScheduler", "LMSDiscreteScheduler", "PNDMScheduler", "EulerAncestralDiscreteScheduler"}
POINT_CLASSES = [
    "DDIMScheduler",
    "DDPMScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
    "SASolverScheduler",
    "PNDMScheduler",
    "TCDScheduler",
]


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("class_name", POINT_CLASSES)
def test_the_clean_latent_is_the_point_that_every_prediction_points_to(class_name, prediction_type):
    if prediction_type == "sample" and class_name in NEVER_SAMPLE:
        pytest.skip("diffusers has no such prediction there")
    kind = getattr(diffusers, class_name)
    more = {"clip_sample": False, "skip_prk_steps": True, "timestep_spacing": "leading", "solver_order": 2}
    takes = set(kind._get_init_keys(kind))
    scheduler = kind(prediction_type=prediction_type, **NOISE, **{k: v for k, v in more.items() if k in takes})
    signals = diffusers.DDPMScheduler(**NOISE).alphas_cumprod.sqrt()
    point = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))

    def predict(latent, timestep, t):
        signal = float(signals[int(timestep)])
        spread = math.sqrt(1 - signal**2)
        return {
            "epsilon": (latent - signal * point) / spread,
            "v_prediction": (signal * latent - point) / spread,
            "sample": point.clone(),
        }[prediction_type]

    generators = image_generators([3])
    states = list(denoise(predict, scheduler, initial_noise(generators, (4, 4, 4)), generators, 7))
    for state in states:
        torch.testing.assert_close(state.clean, point, atol=2e-3, rtol=0)
    torch.testing.assert_close(states[-1].latent, point, atol=0.15, rtol=0)


@pytest.mark.parametrize("class_name", ["FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"])
def test_a_straight_flow_predicts_its_end_from_the_first_step_on(class_name):
    point, noise = torch.randn(1, 4, 4, 4), torch.randn(1, 4, 4, 4)
    scheduler = getattr(diffusers, class_name)(shift=3.0)
    for state in denoise(lambda z, timestep, t: noise - point, scheduler, noise, image_generators([0]), 5):
        torch.testing.assert_close(state.clean, point, atol=1e-4, rtol=0)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("class_name", ["EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"])
def test_an_edm_network_of_nothing_leaves_the_skipped_part_alone(class_name, prediction_type):
    scheduler = getattr(diffusers, class_name)(**EDM_PLAYGROUND, prediction_type=prediction_type)
    noise = torch.randn(1, 4, 4, 4)
    state = next(denoise(lambda z, timestep, t: torch.zeros_like(z), scheduler, noise, image_generators([0]), 5))
    sigma = 80.0  # c_skip = sigma_data^2 / (sigma^2 + sigma_data^2), Karras et al. 2022, table 1
    expected = 0.5**2 / (sigma**2 + 0.5**2) * noise * float(scheduler.init_noise_sigma)
    torch.testing.assert_close(state.clean, expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("name", names_of(DIFFUSION))
def test_a_name_keeps_the_noise_schedule_that_the_model_was_trained_with(name):
    trained = diffusers.DDIMScheduler(**NOISE, rescale_betas_zero_snr=False, num_train_timesteps=900)
    made = make_scheduler(dict(trained.config) | {"_class_name": "DDIMScheduler"}, name)
    assert type(made).__name__ == SCHEDULERS[name]
    torch.testing.assert_close(made.alphas_cumprod, trained.alphas_cumprod, atol=1e-7, rtol=0)
    assert made.config.num_train_timesteps == 900


SOLVERS = {
    "algorithm_type": "sde-dpmsolver++",
    "solver_order": 3,
    "solver_type": "heun",
    "lower_order_final": False,
    "euler_at_final": True,
    "final_sigmas_type": "sigma_min",
    "thresholding": True,
    "variance_type": "learned",
}


@pytest.mark.parametrize("name", names_of(DIFFUSION))
def test_a_swapped_scheduler_keeps_no_solver_key_of_the_old_class(name):
    old = {
        "_class_name": "DEISMultistepScheduler",
        "use_karras_sigmas": True,
        **NOISE,
        **SOLVERS,
        "algorithm_type": "deis",
    }
    made, plain = make_scheduler(old, name), getattr(diffusers, SCHEDULERS[name])(**NOISE)
    for key in SOLVERS:
        assert made.config.get(key) == plain.config.get(key), key
    if "use_karras_sigmas" in plain.config:
        assert made.config.use_karras_sigmas is True, "which noise levels is not the solver's business"


@pytest.mark.parametrize(("family", "class_name", "values"), FOREIGN[::3])
def test_every_other_scheduler_that_fits_can_be_swapped_in(request, tmp_path, family, class_name, values):
    own = request.getfixturevalue(FOLDERS[family])
    model = ldm_core.load(str(with_scheduler(own, tmp_path / "m", class_name, values)), device="cpu", dtype="float32")
    for name in model.scheduler_names:
        assert torch.isfinite(model.sample("a house", 3, 1.0, steps=4, scheduler=name)).all(), name


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"_class_name": "DDIMScheduler"}, DIFFUSION),
        ({"_class_name": "UniPCMultistepScheduler"}, DIFFUSION),
        ({"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True}, FLOW),
        ({"_class_name": "FlowMatchHeunDiscreteScheduler"}, FLOW),
        ({"_class_name": "EDMEulerScheduler"}, EDM),
    ],
)
def test_the_kind_of_a_scheduler_is_what_its_model_was_trained_as(config, kind):
    assert kind_of(config) == kind


@pytest.mark.parametrize("name", ["ddim", "ddpm", "pndm"])
@pytest.mark.parametrize("trained", [1000, 100])
def test_as_many_steps_as_the_model_was_trained_at_go_through_every_level_once(name, trained):
    config = {"_class_name": "DDIMScheduler", **NOISE, "num_train_timesteps": trained, "steps_offset": 1}
    scheduler = make_scheduler(config, name)
    set_steps(scheduler, trained)
    assert sorted({int(t) for t in scheduler.timesteps}) == list(range(trained))
    assert max(time_of(scheduler, t) for t in scheduler.timesteps) == 1.0
    with pytest.raises(ValueError, match=f"steps={trained + 1} does not fit the scheduler {name}"):
        set_steps(make_scheduler(config, name), trained + 1)


def test_the_dynamic_shift_is_linear_between_its_two_lengths():
    config = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.16}
    assert dynamic_shift(config, 256) == 0.5 and dynamic_shift(config, 4096) == pytest.approx(1.16)
    assert dynamic_shift(config, 2176) == pytest.approx(0.83)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "names no class"),
        ({"_class_name": ["DDIMScheduler"]}, "names no class"),
        ({"_class_name": "UNet2DModel"}, "'UNet2DModel' is unknown"),
        ({"_class_name": "__name__"}, "'__name__' is unknown"),
        ({"_class_name": "DDIMScheduler", "num_train_timesteps": 10**12}, "num_train_timesteps is 1000000000000"),
        ({"_class_name": "DDIMScheduler", "num_train_timesteps": "x"}, "num_train_timesteps must be an integer"),
        ({"_class_name": "DDIMScheduler", "num_train_timesteps": 0}, "num_train_timesteps must be an integer"),
        ({"_class_name": "DPMSolverMultistepScheduler", "solver_order": 10**9}, "solver_order is 1000000000"),
        ({"_class_name": "DDIMScheduler", "beta_start": "low"}, "cannot be made of its config"),
        ({"_class_name": "DDIMScheduler", "beta_end": float("inf")}, "cannot"),
        ({"_class_name": "DDIMScheduler", "beta_schedule": "bent"}, "cannot be made of its config"),
        ({"_class_name": "DDIMScheduler", "prediction_type": "future"}, "cannot draw"),
        ({"_class_name": "DDIMScheduler", "trained_betas": ["a"]}, "cannot be made of its config"),
        ({"_class_name": "EulerDiscreteScheduler", "timestep_spacing": []}, "cannot"),
        ({"_class_name": "DDPMScheduler", "variance_type": "learned"}, "cannot draw"),
        ({"_class_name": "RePaintScheduler"}, "cannot draw"),
        ({"_class_name": "ScoreSdeVeScheduler"}, "cannot draw"),
    ],
)
def test_a_config_that_cannot_draw_is_refused_in_one_line(config, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_scheduler(config)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("own", ["FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler", "DDIMScheduler"])
def test_schedulers_of_another_kind_do_not_fit(own):
    config = {"_class_name": own}
    for name in SCHEDULERS:
        if kind_of({"_class_name": SCHEDULERS[name]}) != kind_of(config):
            with pytest.raises(ValueError, match=f"does not fit a model trained for {own}"):
                make_scheduler(config, name)
