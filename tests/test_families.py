"""Every family against diffusers' own pipeline of it, on small checkpoints of the real classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import diffusers
import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

import ldm_core
from ldm_core import registry
from ldm_core.identity import weights_hash
from ldm_core.schedulers import SCHEDULERS
from tests import authors_layout
from tests.conftest import make_sd3_checkpoint, small_vae

PROMPTS = ["a red house at night", "two boats on a lake " * 12, "clouds"]  # the second is longer than CLIP reads
SEEDS = [7, 8, 2**32 - 1]
FAMILIES = {
    "sd": ("tiny_folder", diffusers.StableDiffusionPipeline),
    "sdxl": ("tiny_xl_folder", diffusers.StableDiffusionXLPipeline),
    "sd3": ("tiny_sd3_folder", diffusers.StableDiffusion3Pipeline),
}


def family(request, name):
    fixture, kind = FAMILIES[name]
    return request.getfixturevalue(fixture), kind


def theirs(folder, kind, scheduler=None, *, lora=None, vae=None, absent=(), **arguments):
    """The pictures of diffusers' pipeline."""
    pipeline = kind.from_pretrained(folder, **dict.fromkeys(absent))
    pipeline.set_progress_bar_config(disable=True)
    if scheduler is not None:
        more = {} if "clip_sample" in pipeline.scheduler.config else {"clip_sample": False}  # latents leave [-1, 1]
        pipeline.scheduler = getattr(diffusers, SCHEDULERS[scheduler]).from_config(pipeline.scheduler.config, **more)
    if vae is not None:
        pipeline.vae = diffusers.AutoencoderKL.from_pretrained(vae / "vae")
    if lora is not None:
        path, weight = lora
        pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name="one")
        pipeline.set_adapters("one", weight)
    given = {"height": 24, "width": 40, "num_inference_steps": 5, "guidance_scale": 5.0} | arguments
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    return pipeline(PROMPTS, generator=generators, output_type="pt", **given).images


def ours(folder, scheduler=None, guidance_scale=5.0, lora=None, vae=None, **settings):
    model = ldm_core.load(str(folder), device="cpu", dtype="float32", lora=lora, vae=vae)
    given = {"steps": 5, "height": 24, "width": 40} | settings
    return model.sample(PROMPTS, SEEDS, guidance_scale, scheduler=scheduler, **given)


@pytest.mark.parametrize(
    ("name", "scheduler"),
    [
        ("sdxl", None),
        ("sdxl", "euler-ancestral"),
        ("sdxl", "ddim"),
        ("sdxl", "dpm++2m"),
        ("sdxl", "unipc"),
        ("sd3", None),
    ],
)
def test_pictures_of_every_family_equal_diffusers_own(request, name, scheduler):
    folder, kind = family(request, name)
    torch.testing.assert_close(ours(folder, scheduler), theirs(folder, kind, scheduler), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_negative_prompt_means_the_same_as_in_diffusers(request, name):
    folder, kind = family(request, name)
    expected = theirs(folder, kind, negative_prompt=["a pine"] * 3)
    torch.testing.assert_close(ours(folder, negative_prompt="a pine"), expected, atol=1e-4, rtol=0)
    assert (expected - theirs(folder, kind)).abs().max() > 1e-3, "the test could not tell"


@pytest.mark.parametrize("name", ["sdxl", "sd3"])
def test_without_guidance_every_family_equals_diffusers(request, name):
    folder, kind = family(request, name)
    torch.testing.assert_close(ours(folder, None, 1.0), theirs(folder, kind, guidance_scale=1.0), atol=1e-4, rtol=0)


def test_sd3_without_t5_equals_diffusers(tmp_path):
    folder = make_sd3_checkpoint(tmp_path, with_t5=False)
    expected = theirs(folder, diffusers.StableDiffusion3Pipeline, absent=("text_encoder_3", "tokenizer_3"))
    torch.testing.assert_close(ours(folder), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_swapped_autoencoder_equals_diffusers(request, name, tmp_path):
    folder, kind = family(request, name)
    torch.manual_seed(11)
    shift = {"shift_factor": 0.1} if name == "sd3" else {}  # diffusers' older pipelines know none
    small_vae(**shift).save_pretrained(tmp_path / "vae")
    expected = theirs(folder, kind, vae=tmp_path)
    torch.testing.assert_close(ours(folder, vae=str(tmp_path / "vae")), expected, atol=1e-4, rtol=0)


def make_lora(folder, name, path):
    """A file of random low-rank weights for the attention of a checkpoint's denoiser, in diffusers' layout."""
    model = ldm_core.load(str(folder), device="cpu", dtype="float32")
    torch.manual_seed(4)
    net = model.denoiser.network
    net.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights="gaussian"))
    for key, parameter in net.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, std=0.3)
    layers = "transformer_lora_layers" if name == "sd3" else "unet_lora_layers"
    FAMILIES[name][1].save_lora_weights(path.parent, weight_name=path.name, **{layers: get_peft_model_state_dict(net)})


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_merged_lora_equals_diffusers_with_its_adapter(request, name, tmp_path):
    folder, kind = family(request, name)
    path = tmp_path / "style.safetensors"
    make_lora(folder, name, path)
    expected = theirs(folder, kind, lora=(path, 0.6))
    torch.testing.assert_close(ours(folder, lora=f"{path}:0.6"), expected, atol=1e-4, rtol=0)
    assert (expected - theirs(folder, kind)).abs().max() > 1e-3, "the test could not tell"


@pytest.mark.parametrize("alpha", [1.0, 3.0])
def test_a_lora_is_merged_at_alpha_over_rank(tiny_folder, tmp_path, alpha):
    plain = ldm_core.load(str(tiny_folder), device="cpu", dtype="float32")
    place = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    before = plain.denoiser.network.get_submodule(place).weight.detach()
    down, up = torch.randn(4, before.shape[1]), torch.randn(before.shape[0], 4)
    name = f"lora_unet_{place.replace('.', '_')}"
    weights = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(alpha)}
    save_file(weights, tmp_path / "style.safetensors")
    model = ldm_core.load(str(tiny_folder), device="cpu", dtype="float32", lora=f"{tmp_path / 'style.safetensors'}:0.5")
    expected = before + 0.5 * (alpha / 4) * up @ down
    torch.testing.assert_close(model.denoiser.network.get_submodule(place).weight.detach(), expected)


@pytest.mark.parametrize("use_rslora", [False, True])
def test_a_lora_whose_header_gives_layers_an_alpha_by_their_names_is_merged_at_each_ones_own(
    tiny_folder, tmp_path, use_rslora
):
    plain = ldm_core.load(str(tiny_folder), device="cpu", dtype="float32").denoiser.network
    block = "down_blocks.1.attentions.0.transformer_blocks.0"
    alphas, weights, expected = (
        {f"{block}.attn1.to_q": 6.0, f"{block}.attn2.to_q": 6.0, f"{block}.attn1.to_v": 1.0},
        {},
        {},
    )
    for place, alpha in alphas.items():
        before = plain.get_submodule(place).weight.detach()
        down, up = torch.randn(4, before.shape[1]), torch.randn(before.shape[0], 4)
        weights |= {f"unet.{place}.lora_A.weight": down, f"unet.{place}.lora_B.weight": up}
        expected[place] = before + alpha / (2 if use_rslora else 4) * up @ down
    config = {"r": 4, "lora_alpha": 1.0, "alpha_pattern": {"to_q": 6.0}, "target_modules": list(alphas)}
    said = {f"unet.{key}": value for key, value in (config | {"use_rslora": use_rslora}).items()}
    save_file(weights, tmp_path / "l.safetensors", metadata={"lora_adapter_metadata": json.dumps(said)})
    merged = ldm_core.load(str(tiny_folder), device="cpu", dtype="float32", lora=str(tmp_path / "l.safetensors"))
    for place, wanted in expected.items():
        found = merged.denoiser.network.get_submodule(place).weight.detach()
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_one_file_merged_by_two_weights_is_two_models(tiny_folder, tmp_path):
    make_lora(tiny_folder, "sd", tmp_path / "style.safetensors")
    path = tmp_path / "style.safetensors"
    plain, *weighed = (
        ldm_core.load(str(tiny_folder), device="cpu", lora=f"{path}{weight}").weights
        for weight in ("", ":1", ":0.5", ":0.8")
    )
    assert plain == weighed[0] == weights_hash([tiny_folder, path]) and len({plain, *weighed}) == 3


@pytest.mark.parametrize("layout", ["kohya", "diffusers"])
def test_a_lora_of_the_text_encoder_is_merged_there(tiny_folder, tmp_path, layout):
    places = [f"encoder.layers.1.{part}" for part in ("self_attn.q_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2")]

    def layers(lora=None):
        model = ldm_core.load(str(tiny_folder), device="cpu", dtype="float32", lora=lora)
        found = dict(model.conditioner.text_encoders[0].network.named_modules())
        return {place: found[name].weight.detach() for place in places for name in found if name.endswith(place)}

    before, weights, expected = layers(), {}, {}
    for place, weight in before.items():
        down, up = torch.randn(4, weight.shape[1]), torch.randn(weight.shape[0], 4)
        expected[place], name = weight + 0.5 * up @ down, f"lora_te_text_model_{place.replace('.', '_')}"
        pair = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(2.0)}
        if layout == "diffusers":
            name = f"text_encoder.text_model.{place}"
            pair = {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": 0.5 * up}
        weights |= pair
    save_file(weights, tmp_path / "l.safetensors")
    merged = layers(str(tmp_path / "l.safetensors"))
    for place in places:
        torch.testing.assert_close(merged[place], expected[place], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("alpha", "header", "message"),
    [
        (torch.tensor(float("nan")), {}, "not finite.*alpha"),
        (torch.ones(2), {}, "cannot be merged"),
        (None, {"unet.lora_alpha": "much"}, "says no alpha for"),
        (None, {"unet.lora_alpha": 2.0, "unet.alpha_pattern": {"(": 1}}, "says no alpha for"),
        (None, {"unet.lora_alpha": 2.0, "unet.alpha_pattern": ["to_q"]}, "says no alpha for"),
    ],
)
def test_a_lora_without_a_sound_alpha_is_refused_in_one_line(tiny_folder, tmp_path, alpha, header, message):
    make_lora(tiny_folder, "sd", tmp_path / "style.safetensors")
    weights = load_file(tmp_path / "style.safetensors")
    if alpha is not None:
        weights[f"{next(iter(weights)).split('.lora_')[0]}.alpha"] = alpha
    save_file(weights, tmp_path / "style.safetensors", metadata={"lora_adapter_metadata": json.dumps(header)})
    with pytest.raises(ValueError, match=message) as caught:
        ldm_core.load(str(tiny_folder), device="cpu", lora=str(tmp_path / "style.safetensors"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lora_unet_x.hada_w1_a", torch.ones(2, 2), "are no low-rank pairs.*hada_w1_a"),
        ("lora_unet_x.lokr_w1", torch.ones(2, 2), "are no low-rank pairs.*lokr_w1"),
        ("unet.x.to_q.lora_magnitude_vector", torch.ones(2), "are no low-rank pairs.*magnitude"),
        ("PLACE.dora_scale", torch.ones(64, 1), "are no low-rank pairs.*dora_scale"),
        ("foreign.key", torch.ones(2), "are no low-rank pairs.*foreign.key"),
        ("lora_unet_x.lora_down.weight", torch.ones(2, 2), "lack their other half.*lora_unet_x"),
        ("lora_unet_x.alpha", torch.tensor(2.0), "lack their other half.*lora_unet_x"),
    ],
)
def test_what_a_lora_file_holds_beside_low_rank_pairs_is_refused_by_name(tiny_folder, tmp_path, key, value, message):
    make_lora(tiny_folder, "sd", tmp_path / "style.safetensors")
    weights = load_file(tmp_path / "style.safetensors")
    place = next(iter(weights)).removesuffix(".lora_A.weight")
    save_file(weights | {key.replace("PLACE", place): value}, tmp_path / "style.safetensors")
    with pytest.raises(ValueError, match=message) as caught:
        ldm_core.load(str(tiny_folder), device="cpu", lora=str(tmp_path / "style.safetensors"))
    assert "\n" not in str(caught.value)


def test_layers_of_a_lora_that_the_model_has_not_are_refused_by_name(tiny_folder, tmp_path):
    make_lora(tiny_folder, "sd", tmp_path / "style.safetensors")
    place = "unet.down_blocks.9.attentions.0.transformer_blocks.0.attn1.to_q"
    more = {f"{place}.lora_A.weight": torch.randn(2, 64), f"{place}.lora_B.weight": torch.randn(64, 2)}
    save_file(load_file(tmp_path / "style.safetensors") | more, tmp_path / "style.safetensors")
    with pytest.raises(ValueError, match=r"down_blocks\.9|does not fit"):
        ldm_core.load(str(tiny_folder), device="cpu", lora=str(tmp_path / "style.safetensors"))


def test_a_lora_that_does_not_fit_is_one_line(tiny_folder, tiny_sd3_folder, tmp_path):
    path = tmp_path / "style.safetensors"
    make_lora(tiny_sd3_folder, "sd3", path)
    for text, message in (
        (str(path), "does not fit this model"),
        (f"{path}:much", "FILE:WEIGHT.*got 'much'"),
        (f"{path}:nan", "finite"),
        (str(tmp_path / "none.safetensors"), "is no file"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            ldm_core.load(str(tiny_folder), device="cpu", lora=text)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_offloaded_networks_draw_the_same_and_lie_in_main_memory_afterwards(request, name):
    folder, _ = family(request, name)
    plain, offloaded = (ldm_core.load(str(folder), device="cpu", dtype="float32", offload=on) for on in (False, True))
    assert torch.equal(plain.sample("a house", 3, 2.0, steps=2), offloaded.sample("a house", 3, 2.0, steps=2))
    moved = []
    for part, net in (
        ("text", next(offloaded.conditioner.networks)),
        ("denoiser", offloaded.denoiser.network),
        ("autoencoder", offloaded.autoencoder.vae),
    ):
        net.to = lambda device, part=part: moved.append((part, str(device)))
    offloaded.placement.device = torch.device("cpu")
    offloaded.sample("a house", 3, 2.0, steps=2)
    assert [part for part, _ in moved] == ["text", "text", "denoiser", "denoiser", "autoencoder", "autoencoder"]


def test_a_model_that_does_not_fit_says_what_it_needs(monkeypatch):
    monkeypatch.setattr("ldm_core.placement.free_gb", lambda device: 3.0)
    with pytest.raises(ValueError, match="'sdxl' needs about 20 GB on cpu and 3 GB are free"):
        ldm_core.load("sdxl", device="cpu", dtype="float32")


def test_an_autoencoder_of_another_family_is_refused_before_anything_is_fetched(tiny_folder, monkeypatch):
    spec = registry.ModelSpec("mine", str(tiny_folder), latents="sd")
    monkeypatch.setitem(registry.MODELS, "mine", spec)
    with pytest.raises(ValueError, match="'sdxl-vae' keeps latents of sdxl, model 'mine' draws those of sd"):
        ldm_core.load("mine", device="cpu", vae="sdxl-vae")


def test_sizes_that_a_family_cannot_halve_are_refused(tiny_sd3_folder, tiny_xl_folder):
    with pytest.raises(ValueError, match="width must be a positive multiple of 4 pixels, got 38"):
        ours(tiny_sd3_folder, width=38)
    assert ours(tiny_xl_folder, width=38).shape == (3, 3, 24, 38)


def test_a_missing_t5_is_allowed_and_a_missing_clip_is_not(tiny_sd3_folder, tmp_path):
    shutil.copytree(tiny_sd3_folder, tmp_path / "m")
    shutil.rmtree(tmp_path / "m" / "text_encoder_2")
    with pytest.raises(ValueError, match="text_encoder_2 is missing"):
        ldm_core.load(str(tmp_path / "m"), device="cpu")


def single_file(name, model):
    """The weights of a model of each family as its authors' file holds them."""
    networks = [encoder.network.state_dict() for encoder in model.conditioner.text_encoders]
    made = authors_layout.autoencoder(model.autoencoder.vae.state_dict())
    denoiser = model.denoiser.network.state_dict()
    if name == "sd3":
        networks[0].pop("text_projection.weight")  # none in the file: it is the identity
        made |= authors_layout.transformer(denoiser)
        for text, part in zip(networks, ("clip_l", "clip_g", "t5xxl")):
            made |= {f"text_encoders.{part}.transformer.{key}": value for key, value in text.items()}
        return {key: value.clone() for key, value in made.items()}
    made |= authors_layout.unet(denoiser)
    place = "cond_stage_model" if name == "sd" else "conditioner.embedders.0"
    made |= {f"{place}.transformer.text_model.{key}": value for key, value in networks[0].items()}
    return made if name == "sd" else made | authors_layout.open_clip(networks[1], "conditioner.embedders.1.model")


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_single_file_of_the_authors_layout_draws_what_its_folder_does(request, name, tmp_path):
    folder, _ = family(request, name)
    model = ldm_core.load(str(folder), device="cpu", dtype="float32")
    if name == "sd3":
        torch.nn.init.eye_(model.conditioner.text_encoders[0].network.text_projection.weight)
    save_file(single_file(name, model), tmp_path / "mine.safetensors")
    again = ldm_core.load(str(tmp_path / "mine.safetensors"), device="cpu", dtype="float32", config=str(folder))
    assert again.spec.name == "mine" and (again.height, again.width) == (32, 32) and again.weights != model.weights
    assert again.configs == model.configs, "the same folder says how they are drawn"
    pictures = [each.sample(PROMPTS, SEEDS, 3.0, steps=3) for each in (model, again)]
    torch.testing.assert_close(*pictures, atol=1e-5, rtol=0)


def test_what_is_wrong_with_a_single_file_is_one_line(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    damaged, strange = tmp_path / "damaged.safetensors", tmp_path / "strange.safetensors"
    damaged.write_bytes(b"no weights")
    save_file({"weight": torch.zeros(2)}, strange)
    for path, config, message in (
        (damaged, None, "cannot be read"),
        (damaged, str(tiny_folder), "cannot load"),
        (strange, str(tiny_folder), "cannot load"),
        (strange, None, "needs the configs of .* give --config FOLDER"),
        (tiny_folder, str(tiny_folder), "goes with a single"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            ldm_core.load(str(path), device="cpu", config=config)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_denoiser_compiles_as_one_graph_and_draws_the_same(request, name):
    folder, _ = family(request, name)
    model = ldm_core.load(str(folder), device="cpu", dtype="float32")
    plain = model.sample("a house", 3, 2.0, steps=2)
    torch._dynamo.reset()
    model.denoiser.compile(backend="aot_eager")
    torch.testing.assert_close(model.sample("a house", 3, 2.0, steps=2), plain, atol=1e-4, rtol=0)
    assert model.denoiser.compiled


def changed(folder, to, *, drop=(), **values):
    """A copy of a checkpoint; values by file and key, `unet__sample_size=8` for unet/config.json; `drop` takes keys away."""
    shutil.copytree(folder, to)
    for name, value in {**dict.fromkeys(drop), **values}.items():
        part, key = name.split("__")
        path = to / part / ("tokenizer_config.json" if part.startswith("tokenizer") else "config.json")
        path = to / "model_index.json" if part == "index" else path
        config = json.loads(path.read_text())
        if name in drop:
            del config[key]
        else:
            config[key] = value
        path.write_text(json.dumps(config))
    return to


def native(folder, kind):
    """Pictures at the size that the checkpoint's own config says, ours and diffusers'."""
    model = ldm_core.load(str(folder), device="cpu", dtype="float32")
    own = theirs(folder, kind, height=None, width=None)
    return model, model.sample(PROMPTS, SEEDS, 5.0, steps=5), own


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sd", {"unet__sample_size": [12, 20]}),
        ("sd", {"unet__center_input_sample": True}),
        ("sd", {"text_encoder__use_attention_mask": True}),
        ("sdxl", {"text_encoder__use_attention_mask": True}),
        ("sdxl", {"index__force_zeros_for_empty_prompt": False}),
        ("sdxl", {"vae__latents_mean": [-1.6, 1.7, 0.5, -0.7], "vae__latents_std": [8.4, 5.9, 2.5, 4.0]}),
        ("sdxl", {"vae__latents_mean": [-1.6, 1.7, 0.5, -0.7]}),
    ],
)
def test_what_a_config_says_is_drawn_as_diffusers_draws_it(request, tmp_path, name, values):
    folder, kind = family(request, name)
    _, drawn, expected = native(changed(folder, tmp_path / "m", **values), kind)
    torch.testing.assert_close(drawn, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize(("name", "width"), [("sd", 16), ("sdxl", 17)])
def test_a_network_that_takes_the_weight_itself_is_given_it_and_asked_once(request, tmp_path, name, width):
    folder, kind = family(request, name)
    shutil.copytree(folder, tmp_path / "m")
    torch.manual_seed(3)
    config = json.loads((folder / "unet" / "config.json").read_text()) | {"time_cond_proj_dim": width}
    diffusers.UNet2DConditionModel.from_config(config).save_pretrained(tmp_path / "m" / "unet")
    model, drawn, expected = native(tmp_path / "m", kind)
    torch.testing.assert_close(drawn, expected, atol=1e-4, rtol=0)
    before = model.network_rows
    grid = model.sweep("a house", 1, [0, 1, 3, 7], steps=2, rows_per_call=4)
    assert model.network_rows - before == 4 + 4 and len({image.numpy().tobytes() for image in grid}) == 4
    assert torch.equal(grid[2], model.sample("a house", 1, 3, steps=2, rows_per_call=4))


def test_a_config_without_a_size_takes_its_familys(tiny_folder, tiny_xl_folder, tmp_path):
    for name, folder, side in (("a", tiny_folder, 2 * 64), ("b", tiny_xl_folder, 2 * 128)):
        model = ldm_core.load(str(changed(folder, tmp_path / name, unet__sample_size=None)), device="cpu")
        assert (model.height, model.width) == (side, side)


def test_an_old_config_means_64_where_it_says_less(tiny_folder, tmp_path):
    folder = changed(tiny_folder, tmp_path / "m", unet___diffusers_version="0.6.0")
    assert ldm_core.load(str(folder), device="cpu").height == 2 * 64


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("sd", {"unet__sample_size": [4, 5, 6]}, "sample_size .4, 5, 6.: a positive integer, or two"),
        ("sd", {"unet__sample_size": "large"}, "sample_size"),
        ("sd", {"unet__sample_size": -1}, "sample_size"),
        ("sd", {"unet__num_class_embeds": 4}, "weights are missing|class labels"),
        ("sd", {"vae__scaling_factor": "x"}, "scaling_factor must be a finite number"),
        ("sdxl", {"index__force_zeros_for_empty_prompt": []}, "force_zeros_for_empty_prompt must be true or false"),
        ("sdxl", {"vae__latents_mean": [1.0], "vae__latents_std": [1.0]}, "latents_mean must be 4 numbers"),
        ("sdxl", {"vae__latents_mean": ["a"] * 4, "vae__latents_std": [1.0] * 4}, "latents_mean"),
        ("sdxl", {"vae__latents_mean": [0.0] * 4, "vae__latents_std": [0.0] * 4}, "latents_std"),
    ],
)
def test_what_a_config_asks_and_nobody_can_give_is_refused_in_one_line(request, tmp_path, name, values, message):
    folder, _ = family(request, name)
    with pytest.raises(ValueError, match=message) as caught:
        ldm_core.load(str(changed(folder, tmp_path / "m", **values)), device="cpu")
    assert "\n" not in str(caught.value)


def test_a_unet_that_wants_class_labels_is_refused(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "m")
    config = json.loads((tiny_folder / "unet" / "config.json").read_text())
    for more, words in (({"num_class_embeds": 4}, "class labels"), ({"out_channels": 8}, "out_channels is 8")):
        diffusers.UNet2DConditionModel.from_config(config | more).save_pretrained(tmp_path / "m" / "unet")
        with pytest.raises(ValueError, match=f"cannot run .*{words}"):
            ldm_core.load(str(tmp_path / "m"), device="cpu")


def test_a_tokenizer_that_names_no_length_has_the_text_encoders(tiny_folder, tmp_path):
    folder = changed(tiny_folder, tmp_path / "m", drop=["tokenizer__model_max_length"])
    model = ldm_core.load(str(folder), device="cpu", dtype="float32")
    assert model.conditioner.text_encoders[0].length == 24
    torch.testing.assert_close(
        model.sample(PROMPTS, SEEDS, 5.0, steps=3), ours(tiny_folder, steps=3, height=32, width=32)
    )


def test_half_precision_files_alone_are_read(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "m")
    for path in (tmp_path / "m").rglob("*.safetensors"):
        path.rename(path.with_suffix(".fp16.safetensors"))
    assert torch.equal(ours(tmp_path / "m"), ours(tiny_folder))


def test_sdxl_without_its_first_text_encoder_equals_diffusers(tiny_xl_folder, tmp_path):
    absent = {"index__text_encoder": [None, None], "index__tokenizer": [None, None]}
    folder = changed(tiny_xl_folder, tmp_path / "m", **absent)
    for part in ("text_encoder", "tokenizer"):
        shutil.rmtree(folder / part)
    torch.manual_seed(3)
    config = json.loads((folder / "unet" / "config.json").read_text()) | {"cross_attention_dim": 48}
    diffusers.UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
    expected = theirs(folder, diffusers.StableDiffusionXLPipeline, absent=("text_encoder", "tokenizer"))
    torch.testing.assert_close(ours(folder), expected, atol=1e-4, rtol=0)


def marked_file(name, model, path, change):
    """The single file of a model with a change to its keys."""
    weights = single_file(name, model)
    change(weights)
    save_file({key: value.contiguous().clone() for key, value in weights.items()}, path)
    return str(path)


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ({"v_pred": torch.tensor([])}, {"prediction_type": "v_prediction", "_class_name": "EulerDiscreteScheduler"}),
        (
            {"v_pred": torch.tensor([]), "ztsnr": torch.tensor([])},
            {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
        ),
        (
            {"edm_vpred.sigma_min": torch.tensor(0.002), "edm_vpred.sigma_max": torch.tensor(120.0)},
            {"_class_name": "EDMEulerScheduler", "sigma_max": 120.0, "prediction_type": "v_prediction"},
        ),
        (
            {"edm_mean": torch.arange(4.0).view(1, 4, 1, 1), "edm_std": torch.ones(1, 4, 1, 1)},
            {"_class_name": "EDMDPMSolverMultistepScheduler", "sigma_data": 0.5},
        ),
    ],
)
def test_the_marks_in_a_single_file_decide_how_it_is_drawn(tiny_xl_folder, tmp_path, marks, expected):
    plain = ldm_core.load(str(tiny_xl_folder), device="cpu", dtype="float32")
    path = marked_file("sdxl", plain, tmp_path / "m.safetensors", lambda weights: weights.update(marks))
    model = ldm_core.load(path, device="cpu", dtype="float32", config=str(tiny_xl_folder))
    assert expected.items() <= model.scheduler_config.items()
    assert torch.isfinite(model.sample("a house", 3, 2.0, steps=3)).all()
    if "edm_mean" in marks:
        assert model.autoencoder.shift.flatten().tolist() == [0, 1, 2, 3] and model.autoencoder.scaling.unique() == 0.5


def test_zero_terminal_snr_in_a_file_whose_scheduler_knows_none_is_drawn_by_one_that_does(tiny_folder, tmp_path):
    folder = changed(tiny_folder, tmp_path / "m")
    shutil.rmtree(folder / "scheduler")
    diffusers.PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True).save_pretrained(folder / "scheduler")
    plain = ldm_core.load(str(folder), device="cpu", dtype="float32")
    marks = {"v_pred": torch.tensor([]), "ztsnr": torch.tensor([])}
    path = marked_file("sd", plain, tmp_path / "m.safetensors", lambda weights: weights.update(marks))
    model = ldm_core.load(path, device="cpu", dtype="float32", config=str(folder))
    assert model.scheduler_name == "euler" and model.scheduler_config["beta_schedule"] == "scaled_linear"


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_weight_missing_from_a_single_file_is_named(request, tmp_path, name):
    folder, _ = family(request, name)
    plain = ldm_core.load(str(folder), device="cpu", dtype="float32")
    for mark in ("token_embedding", "first_stage_model.decoder.conv_in.weight"):

        def without(weights, mark=mark):
            del weights[next(key for key in weights if mark in key)]

        path = marked_file(name, plain, tmp_path / "m.safetensors", without)
        with pytest.raises(ValueError, match="missing|cannot load") as caught:
            ldm_core.load(path, device="cpu", config=str(folder))
        assert "\n" not in str(caught.value) and ("embedding" in str(caught.value) or "conv_in" in str(caught.value))


def test_a_single_file_of_sd3_may_do_without_t5(tmp_path):
    with_t5, without = make_sd3_checkpoint(tmp_path / "a"), make_sd3_checkpoint(tmp_path / "b", with_t5=False)
    plain = ldm_core.load(str(without), device="cpu", dtype="float32")
    torch.nn.init.eye_(plain.conditioner.text_encoders[0].network.text_projection.weight)
    path = marked_file("sd3", plain, tmp_path / "m.safetensors", lambda weights: None)
    model = ldm_core.load(path, device="cpu", dtype="float32", config=str(without))
    pictures = [each.sample(PROMPTS, SEEDS, 3.0, steps=3) for each in (plain, model)]
    torch.testing.assert_close(*pictures, atol=1e-5, rtol=0)
    beside = ldm_core.load(path, device="cpu", dtype="float32", config=str(with_t5))
    assert len(beside.conditioner.text_encoders) == 3, "the config's folder has one"
    assert beside.weights == weights_hash([Path(path), with_t5 / "text_encoder_3"]) != model.weights
    shutil.rmtree(with_t5 / "text_encoder_3")
    assert len(ldm_core.load(path, device="cpu", config=str(with_t5)).conditioner.text_encoders) == 2
