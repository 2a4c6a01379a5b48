"""Guidance rules: equal to diffusers' guiders, else to closed forms; and through the sampler, alone and in sweeps."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import guiders
from diffusers.guiders import frequency_decoupled_guidance as of_bands
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer
from scipy import ndimage

from ldm_core import guidance_rules as rules
from ldm_core import load
from ldm_core.guidance import Guidance, combine, rescale
from ldm_core.guidance_rules import RULES, parse_rule
from ldm_core.predictions import clean_of, clean_slope, renoising
from ldm_core.schedulers import make_scheduler, set_steps
from ldm_core.settings import SamplingSettings, from_text

W = 4.0
PROMPT = "a red house"
ROW = torch.tensor([1.0, 4, 6, 4, 1]) / 16
KERNEL = (ROW[:, None] * ROW).numpy()  # Burt & Adelson's


@pytest.fixture
def pair():
    """Two predictions that have something in common, as real ones have."""
    generator = torch.Generator().manual_seed(0)
    uncond, change = (torch.randn(3, 4, 16, 16, generator=generator) for _ in range(2))
    return uncond + 0.3 * change, uncond


def plain(cond, uncond, w=W):
    return combine(cond, uncond, torch.full((len(cond),), w))


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("eta", "norm", "momentum"), [(0.0, 15.0, -0.5), (0.3, 2.0, -0.75), (1.0, 5.0, 0.0)])
def test_apg_is_diffusers_over_several_steps(pair, eta, norm, momentum):
    theirs = guiders.AdaptiveProjectedGuidance(
        guidance_scale=W - 1, eta=eta, adaptive_projected_guidance_rescale=norm, use_original_formulation=True
    )
    theirs.momentum_buffer = MomentumBuffer(momentum)
    average = None
    for turn in range(3):
        cond, uncond = (part.roll(turn, 2) for part in pair)
        ours, average = rules.apg(cond, uncond, W, average, eta=eta, norm=norm, momentum=momentum)
        close(ours, theirs.forward(cond, uncond).pred)


def test_cfg_zero_is_diffusers(pair):
    theirs = guiders.ClassifierFreeZeroStarGuidance(guidance_scale=W, zero_init_steps=0)
    theirs.set_state(step=0, num_inference_steps=10, timestep=torch.tensor(999))
    close(rules.cfg_zero(*pair, W), theirs.forward(*pair).pred)


@pytest.mark.parametrize("alpha", [8.0, 1.0])
def test_mambo_g_is_diffusers(pair, alpha):
    theirs = guiders.MagnitudeAwareGuidance(guidance_scale=W, alpha=alpha)
    tokens = (part.flatten(2) for part in pair)  # theirs takes rows of tokens alone: its norm is over two dimensions
    close(rules.mambo_g(*pair, W, alpha=alpha).flatten(2), theirs.forward(*tokens).pred)


def test_tcfg_is_the_singular_value_decomposition_in_float64_and_diffusers_as_far_as_its_own_float32_goes(pair):
    cond, uncond = (part.double() for part in pair)
    *_, right = torch.linalg.svd(torch.stack([cond, uncond], 1).flatten(2), full_matrices=False)
    first = right[:, 0].view_as(cond)
    damped = (uncond * first).sum((1, 2, 3), keepdim=True) * first
    torch.testing.assert_close(rules.tcfg(cond, uncond, W), damped + W * (cond - damped), atol=1e-12, rtol=1e-12)
    theirs = guiders.TangentialClassifierFreeGuidance(guidance_scale=W).forward(*pair).pred
    torch.testing.assert_close(rules.tcfg(*pair, W), theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("low", "high"), [(0.5, 1.0), (0.9, 0.2), (0.1, 1.7)])
def test_fdg_is_diffusers_over_a_pyramid_of_scipys_blur(pair, monkeypatch, low, high):
    """Theirs takes its pyramid from kornia, which is restated here: blurred, then bilinear to half or twice the sides."""

    def blurred(values):
        return torch.from_numpy(ndimage.convolve(values.numpy(), KERNEL[None, None], mode="mirror"))

    def down(values):
        return blurred(values).unflatten(3, (-1, 2)).mean(4).unflatten(2, (-1, 2)).mean(3)

    def up(values):
        return blurred(
            torch.from_numpy(ndimage.zoom(values.numpy(), (1, 1, 2, 2), order=1, mode="nearest", grid_mode=True))
        )

    monkeypatch.setattr(of_bands, "_CAN_USE_KORNIA", True)
    monkeypatch.setattr(of_bands, "upsample_and_blur_func", up)
    monkeypatch.setattr(
        of_bands, "build_laplacian_pyramid_func", lambda values, levels: [values - up(down(values)), down(values)]
    )
    theirs = guiders.FrequencyDecoupledGuidance(guidance_scales=[1 + high * (W - 1), 1 + low * (W - 1)])
    close(rules.fdg(*pair, W, low=low, high=high), theirs.forward(*pair).pred)


@pytest.mark.parametrize("amount", [0.0, 0.7, 1.0])
def test_plain_guidance_and_its_rescaling_are_diffusers(pair, amount):
    theirs = guiders.ClassifierFreeGuidance(guidance_scale=W, guidance_rescale=amount)
    close(rescale(plain(*pair), pair[0], amount), theirs.forward(*pair).pred)


def test_the_pyramid_of_fdg_adds_up_and_parts_slow_from_quick_changes():
    x = torch.linspace(-1, 1, 32).view(1, 1, 1, 32)
    ramp, waves = (x * x.mT).expand(1, 4, 32, 32), torch.ones(1, 4, 32, 32)
    waves = waves * (-1) ** torch.arange(32)
    nothing = torch.zeros_like(ramp)
    for difference, kept in ((ramp, "low"), (waves, "high")):
        low = rules.fdg(difference, nothing, 2.0, low=1, high=0) - difference
        high = rules.fdg(difference, nothing, 2.0, low=0, high=1) - difference
        torch.testing.assert_close(low + high, difference)
        own = {"low": low, "high": high}[kept]
        inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
        assert (own - difference)[inner].norm() < 0.05 * difference[inner].norm()


def test_a_step_of_the_pyramid_keeps_what_is_even(pair):
    flat = torch.full((1, 2, 5, 7), 3.0)
    close(rules._halved(flat), torch.full((1, 2, 2, 3), 3.0))
    close(rules._enlarged(rules._halved(flat), flat), flat)
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[..., 4, 4] = 256
    row = torch.tensor([1.0, 4, 6, 4, 1])
    assert torch.equal(rules._blurred(impulse)[0, 0, 2:7, 2:7], row[:, None] * row)


@pytest.mark.parametrize(
    "off",
    [
        lambda c, u, w: rules.apg(c, u, w, eta=1, norm=math.inf, momentum=0)[0],
        lambda c, u, w: rules.fdg(c, u, w, low=1, high=1),
        lambda c, u, w: rules.mambo_g(c, u, w, alpha=0),
    ],
)
def test_parameters_that_switch_a_rule_off_leave_plain_guidance(pair, off):
    torch.testing.assert_close(off(*pair, W), plain(*pair), atol=1e-5, rtol=1e-5)


def test_cfg_zero_is_plain_where_u_is_the_projection_of_c_already():
    uncond = torch.zeros(1, 1, 2, 2)
    uncond[..., 0, 0], apart = 2.0, torch.zeros(1, 1, 2, 2)
    apart[..., 1, 1] = 5.0
    close(rules.cfg_zero(uncond + apart, uncond, W), plain(uncond + apart, uncond))


def test_apg_without_the_parallel_part_moves_at_a_right_angle_to_c_and_no_further_than_its_bound(pair):
    cond, uncond = pair
    moved = rules.apg(cond, uncond, 2.0, eta=0, norm=1.5, momentum=0)[0] - cond
    assert (moved * cond).sum((1, 2, 3)).abs().max() < 1e-4 and moved.flatten(1).norm(dim=1).max() <= 1.5 + 1e-5


def test_tcfg_changes_nothing_where_both_predictions_lie_along_one_direction(pair):
    cond = pair[0]
    close(rules.tcfg(cond, 0.5 * cond, W), plain(cond, 0.5 * cond))


def test_a_rule_has_one_spelling_whatever_was_typed():
    for typed in ("apg:eta=0.5,norm=15", " apg:eta=0.5:norm=15.0 ", "apg:norm=15,eta=.5,momentum=-0.5"):
        assert parse_rule(typed).text == "apg:eta=0.5" == Guidance(rule=typed).rule
    assert parse_rule("apg:norm=inf").text == "apg:norm=inf" and parse_rule("cfg").text == "cfg"
    assert all(parse_rule(parse_rule(name).text).rule is rule for name, rule in RULES.items() if not rule.weaker)
    path = "autoguidance:model=C:/models/a b,weights=12ab"
    assert parse_rule(path)["model"] == "C:/models/a b" and parse_rule(path)["weights"] == "12ab"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("agp", "guidance_rule must be one of cfg, apg, .*got 'agp'; did you mean apg"),
        ("apg:etta=0", "takes eta=..., norm=..., momentum=..., each once; got 'etta=0'; did you mean eta"),
        ("apg:eta", "each once; got 'eta'"),
        ("apg:eta=0,eta=1", "each once; got 'eta=1'"),
        ("apg:eta=inf", "eta of the guidance_rule apg must be a finite number, got inf"),
        ("apg:norm=0", "norm of the guidance_rule apg must be a finite number >= 1e-06, got 0"),
        ("apg:norm=nan", "norm of the guidance_rule apg"),
        ("apg:eta=much", "eta of the guidance_rule apg must be a number, got 'much'"),
        ("mambo-g:alpha=-1", "alpha of the guidance_rule mambo-g"),
        ("cfg-zero:zero=1.5", "zero of the guidance_rule cfg-zero must be an integer"),
        ("cfg-zero:zero=inf", "zero of the guidance_rule cfg-zero must be"),
        ("tcfg:x=1", "takes no parameters; got 'x=1'"),
        ("autoguidance", "needs the weaker model: autoguidance:model=NAME"),
        (3, "guidance_rule must be a text like apg"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_one_line(typed, words):
    with pytest.raises(ValueError, match=words) as refused:
        SamplingSettings.of(guidance_rule=typed)
    assert "\n" not in str(refused.value)


def test_cfg_pp_takes_weights_up_to_one():
    assert SamplingSettings.of(guidance_rule="cfg++", guidance_scale=0.6).guidance.rule == "cfg++"
    for more in ({"guidance_scale": 4}, {"guidance_scale": 0.5, "guidance_schedule": "linear"}):
        with pytest.raises(ValueError, match=r"guidance_rule cfg\+\+ takes a constant guidance_scale from 0 to 1"):
            SamplingSettings.of(guidance_rule="cfg++", **more)


def test_plain_guidance_is_not_written_into_files_so_that_older_ones_keep_their_bytes():
    assert "guidance_rule" not in SamplingSettings().stored()
    held = SamplingSettings.of(guidance_rule="apg:eta=0,norm=3").stored()
    assert held["guidance_rule"] == "apg:norm=3" and SamplingSettings.from_stored(held).guidance.rule == "apg:norm=3"
    assert from_text("guidance_rule", "default") == "cfg"


@pytest.mark.parametrize("name", ["ddim", "euler", "flow-euler"])
def test_the_clean_latent_is_linear_in_the_prediction_with_the_slope_that_is_told(name, pair):
    config = {"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "prediction_type": "v_prediction"}
    scheduler = make_scheduler({"_class_name": "FlowMatchEulerDiscreteScheduler"} if "flow" in name else config, name)
    set_steps(scheduler, 5)
    latent = torch.randn(pair[0].shape, generator=torch.Generator().manual_seed(1))
    for timestep in scheduler.timesteps:
        apart = clean_of(scheduler, pair[0], latent, timestep) - clean_of(scheduler, pair[1], latent, timestep)
        expected = clean_slope(scheduler, timestep) * (pair[0] - pair[1])
        torch.testing.assert_close(apart, expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_cfg_pp_on_ddim_is_the_papers_step(pair, prediction_type):
    config = {"_class_name": "DDIMScheduler", "clip_sample": False, "prediction_type": prediction_type}
    scheduler = make_scheduler(config)
    set_steps(scheduler, 10)
    cond, uncond = (part.double() for part in pair)
    guided, z = uncond + 0.6 * (cond - uncond), torch.randn(3, 4, 16, 16, dtype=torch.float64)
    for timestep in (scheduler.timesteps[2], scheduler.timesteps[-1]):
        stepped = scheduler.step(guided, timestep, z).prev_sample
        ours = stepped + renoising(scheduler, timestep) * (uncond - guided)
        a, before = scheduler.alphas_cumprod[timestep].double(), int(timestep) - 100
        a_next = scheduler.alphas_cumprod[before].double() if before >= 0 else scheduler.final_alpha_cumprod.double()
        if prediction_type == "epsilon":
            eps, clean = uncond, (z - (1 - a).sqrt() * guided) / a.sqrt()
        else:
            eps, clean = a.sqrt() * uncond + (1 - a).sqrt() * z, a.sqrt() * z - (1 - a).sqrt() * guided
        torch.testing.assert_close(ours, a_next.sqrt() * clean + (1 - a_next).sqrt() * eps, atol=1e-5, rtol=1e-5)


def test_cfg_pp_by_euler_draws_what_ddim_draws(tiny):
    settings = SamplingSettings.of(guidance_rule="cfg++", guidance_scale=0.7, steps=6)
    one, other = (tiny.sample(PROMPT, 7, settings=settings, scheduler=name) for name in ("ddim", "euler"))
    plain_one = tiny.sample(PROMPT, 7, 0.7, steps=6, scheduler="ddim")
    assert (one - other).abs().max() < 0.1 * (one - plain_one).abs().max()


SWEPT = ["cfg", "apg", "apg:norm=2", "cfg-zero", "fdg", "tcfg", "mambo-g"]


def test_a_sweep_over_rules_is_single_runs_to_the_bit_at_equal_call_shape(tiny):
    settings = SamplingSettings.of(steps=4, guidance_scale=5, rows_per_call=4, guidance_interval=(0, 0.8))
    swept = tiny.sweep([PROMPT, "a boat"], [7, 8], axes={"guidance_rule": SWEPT}, settings=settings)
    for rule, images in zip(SWEPT, swept):
        assert torch.equal(images[:1], tiny.sample(PROMPT, 7, settings=settings, guidance_rule=rule)), rule
    apart = [(images - swept[0]).abs().max() for images in swept[1:]]
    assert all(each > 0 for each in apart), "every rule draws something of its own"


def test_rules_share_the_rows_of_the_first_step_and_each_needs_two_a_step(tiny):
    before = tiny.network_rows
    tiny.sweep(PROMPT, 7, axes={"guidance_rule": SWEPT}, settings=SamplingSettings.of(steps=3, guidance_scale=5))
    assert tiny.network_rows - before == 2 + 2 * 2 * len(SWEPT)
    for rule in SWEPT:
        assert tiny.rows_alone(SamplingSettings.of(steps=3, guidance_scale=5, guidance_rule=rule)) == 6
        assert tiny.rows_alone(SamplingSettings.of(steps=3, guidance_scale=1, guidance_rule=rule)) == 3
    assert tiny.rows_alone(SamplingSettings.of(steps=3, guidance_scale=1, guidance_rule="cfg++", scheduler="ddim")) == 6


@pytest.mark.parametrize("rule", SWEPT)
def test_without_guidance_every_rule_draws_the_conditional_picture(tiny, rule):
    base = SamplingSettings.of(steps=2, guidance_scale=1)
    assert torch.equal(tiny.sample(PROMPT, 7, settings=base, guidance_rule=rule), tiny.sample(PROMPT, 7, settings=base))


def test_cfg_zero_lets_a_flow_model_stand_still_at_first(tiny_sd3_folder):
    model = load(str(tiny_sd3_folder), device="cpu", dtype="float32")
    given = {"steps": 3, "height": 16, "width": 16, "guidance_rule": "cfg-zero:zero=2"}
    before = model.network_rows
    first, second, third = (state.latent for state in model.denoise(PROMPT, 7, 5.0, **given))
    assert torch.equal(first, second) and not torch.equal(second, third)
    assert model.network_rows - before == 2 == model.rows_alone(SamplingSettings.of(guidance_scale=5.0, **given))


def test_autoguidance_takes_a_weaker_model_in_place_of_the_empty_prompt(tiny, tmp_path_factory, tiny_folder):
    from conftest import make_checkpoint

    weaker = make_checkpoint(tmp_path_factory.mktemp("weaker"), seed=5)
    rule = f"autoguidance:model={weaker}"
    settings = SamplingSettings.of(steps=2, guidance_scale=3, guidance_rule=rule, rows_per_call=2)
    whole = tiny.resolve(settings)
    held = load(str(weaker), device="cpu", dtype="float32")
    assert whole.guidance.guider["weights"] == held.weights[:12], "the weaker model's identity is in the settings"
    before = tiny.network_rows
    image = tiny.sample(PROMPT, 7, settings=settings)
    assert tiny.network_rows - before == 4 == tiny.rows_alone(settings)
    own, weak = (list(model.denoise(PROMPT, 7, 1.0, steps=2))[-1].latent for model in (tiny, held))
    for w, expected in ((1.0, own), (0.0, weak)):
        *_, last = tiny.denoise(PROMPT, 7, w, settings=settings)
        torch.testing.assert_close(last.latent, expected, atol=1e-5, rtol=1e-5)
    own = tiny.decode(own)
    assert not torch.equal(image, own) and not torch.equal(image, tiny.sample(PROMPT, 7, 3.0, steps=2))
    same = f"autoguidance:model={tiny_folder}"
    torch.testing.assert_close(tiny.sample(PROMPT, 7, settings=settings, guidance_rule=same), own, atol=1e-4, rtol=1e-4)
    swept = tiny.sweep(PROMPT, 7, axes={"guidance_rule": ["cfg", rule, same]}, settings=settings)
    assert torch.equal(swept[1], image)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"guidance_rule": "cfg++", "scheduler": "dpm++2m", "guidance_scale": 0.5}, "exact with ddim and euler"),
        ({"guidance_rule": "cfg++"}, "takes a constant guidance_scale from 0 to 1"),
        ({"guidance_rule": "cfg-zero:zero=2"}, "zero=2 of guidance_rule cfg-zero is for flow models"),
        ({"guidance_rule": "autoguidance:model=nowhere-to-be-found"}, "nowhere-to-be-found"),
        ({"guidance_rule": "autoguidance:model=fashion"}, "of fashion is"),
    ],
)
def test_a_rule_that_does_not_fit_a_model_is_refused_before_any_network_runs(tiny, given, words):
    before = tiny.network_calls
    with pytest.raises(ValueError, match=words) as refused:
        tiny.sample(PROMPT, 7, **given)
    assert tiny.network_calls == before and "\n" not in str(refused.value)


def test_autoguidance_refuses_weights_that_are_not_the_recipes_and_a_negative_prompt(tiny, tiny_folder):
    rule = f"autoguidance:model={tiny_folder}"
    with pytest.raises(ValueError, match="and 0123 are asked for"):
        tiny.sample(PROMPT, 7, guidance_rule=f"{rule}:weights=0123")
    with pytest.raises(ValueError, match="leave negative_prompt out"):
        tiny.sample(PROMPT, 7, guidance_rule=rule, negative_prompt="night")


@pytest.mark.parametrize("rule", ["apg:eta=0.2,norm=5", "cfg-zero", "fdg:low=0.3"])
def test_a_recipe_replays_a_rule(tiny, rule):
    from ldm_core.recipe import Recipe

    recipe = tiny.recipe(PROMPT, 7, guidance_rule=rule, steps=2, guidance_scale=4, rows_per_call=2)
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe and again.settings.guidance.rule == parse_rule(rule).text
    assert torch.equal(
        tiny.sample(**again.sample_settings()),
        tiny.sample(PROMPT, 7, 4, steps=2, guidance_rule=rule, rows_per_call=2),
    )
