"""Names, folders, hub ids, and every way they can be wrong, in one line each."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import subprocess
import sys

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file

import ldm_core
from ldm_core import precision, registry


def test_the_registry_and_the_package_import_no_torch():
    code = "import sys, ldm_core; ldm_core.MODELS['scenes']; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_folder_brings_its_native_size_and_hash(tiny, tiny_folder):
    assert (tiny.height, tiny.width, tiny.factor, tiny.scheduler_name) == (32, 32, 2, "ddim")
    assert len(tiny.weights) == 64


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("scens", "did you mean 'scenes'"),
        ("sd15", "did you mean 'sd1.5'"),
        ("", "unknown model ''"),
        ("./nowhere/at/all", "unknown model"),
    ],
)
def test_unknown_names_get_a_suggestion(name, message):
    with pytest.raises(ValueError, match=message):
        ldm_core.load(name)


def test_a_folder_that_is_no_checkpoint_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"no model_index\.json"):
        ldm_core.load(str(tmp_path))


def test_another_family_is_named(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(ValueError, match="is a FluxPipeline"):
        ldm_core.load(str(tmp_path))


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_first_weight(path):
    weights = load_file(path)
    weights.pop(min(weights))
    save_file(weights, path, {"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: shutil.rmtree(m / "unet"), "unet is missing"),
        (lambda m: shutil.rmtree(m / "scheduler"), "scheduler_config.json is missing"),
        (lambda m: (m / "tokenizer" / "tokenizer_config.json").unlink(), "tokenizer_config.json is missing"),
        (lambda m: (m / "text_encoder" / "model.safetensors").unlink(), "cannot load .*text_encoder"),
        (lambda m: (m / "model_index.json").write_text("{"), "model_index.json is damaged"),
        (lambda m: (m / "unet" / "config.json").write_text("{"), "unet/config.json is damaged"),
        (lambda m: (m / "vae" / "config.json").write_bytes(b"\xff\xfe{"), "vae/config.json is damaged"),
        (lambda m: (m / "model_index.json").write_text('{"a": ' + "9" * 5000 + "}"), "model_index.json is damaged"),
        (lambda m: (m / "vae" / "config.json").write_text("[" * 99_999), "vae/config.json is damaged"),
        (
            lambda m: (m / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "Foo"}'),
            "'Foo' is unknown",
        ),
        (lambda m: cut_in_half(m / "vae" / "diffusion_pytorch_model.safetensors"), "cannot load .*vae"),
        (lambda m: cut_in_half(m / "text_encoder" / "model.safetensors"), "cannot load .*text_encoder"),
        (
            lambda m: without_first_weight(m / "unet" / "diffusion_pytorch_model.safetensors"),
            "unet: 1 weights are missing",
        ),
        (
            lambda m: without_first_weight(m / "text_encoder" / "model.safetensors"),
            "text_encoder: 1 weights are missing",
        ),
    ],
)
def test_a_damaged_checkpoint_says_in_one_line_what_is_wrong(tiny_folder, tmp_path, damage, message):
    shutil.copytree(tiny_folder, tmp_path / "m")
    damage(tmp_path / "m")
    with pytest.raises(ValueError, match=message) as caught:
        ldm_core.load(str(tmp_path / "m"), device="cpu")
    assert "\n" not in str(caught.value)


def test_sharded_half_precision_files_load_as_float32(tiny, tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "m")
    shutil.rmtree(tmp_path / "m" / "unet")
    copy.deepcopy(tiny.denoiser.network).half().save_pretrained(tmp_path / "m" / "unet", max_shard_size="200KB")
    assert len(list((tmp_path / "m" / "unet").glob("*-of-*.safetensors"))) > 1
    half = ldm_core.load(str(tmp_path / "m"), device="cpu", dtype="fp32")
    assert half.dtype == torch.float32
    images = [model.sample("a house", 3, 2.0, steps=3) for model in (tiny, half)]
    torch.testing.assert_close(*images, atol=0.02, rtol=0)


INDEX = "diffusion_pytorch_model.safetensors.index.json"


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        "{}",
        '{"weight_map": []}',
        '{"weight_map": {"conv_in.weight": 5}}',
        '{"metadata": {}, "weight_map": {"conv_in.weight": "gone.safetensors"}}',
        '{"metadata": 1, "weight_map": {"conv_in.weight": "../../vae/diffusion_pytorch_model.safetensors"}}',
    ],
)
def test_a_damaged_list_of_shards_is_one_line(tiny, tiny_folder, tmp_path, content):
    shutil.copytree(tiny_folder, tmp_path / "m")
    shutil.rmtree(tmp_path / "m" / "unet")
    copy.deepcopy(tiny.denoiser.network).save_pretrained(tmp_path / "m" / "unet", max_shard_size="400KB")
    (tmp_path / "m" / "unet" / INDEX).write_text(content)
    with pytest.raises(ValueError, match="cannot load .*unet") as caught:
        ldm_core.load(str(tmp_path / "m"), device="cpu")
    assert "\n" not in str(caught.value)


class Runs:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


@pytest.mark.parametrize(
    ("part", "safe", "pickled"),
    [
        ("text_encoder", "model.safetensors", "pytorch_model.bin"),
        ("unet", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
        ("vae", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
    ],
)
@pytest.mark.parametrize("hostile", [True, False])
def test_a_pickle_in_place_of_weights_runs_nothing_and_is_one_line_or_plain_weights(
    tiny, tiny_folder, tmp_path, part, safe, pickled, hostile
):
    folder = tmp_path / "m"
    shutil.copytree(tiny_folder, folder)
    weights = load_file(folder / part / safe)
    (folder / part / safe).unlink()
    if not hostile:
        torch.save(weights, folder / part / pickled)
        model = ldm_core.load(str(folder), device="cpu", dtype="fp32")
        pictures = [each.sample("a house", 3, 2.0, steps=1) for each in (tiny, model)]
        assert torch.equal(*pictures) and model.weights != tiny.weights
        return
    with (folder / part / pickled).open("wb") as file:
        pickle.dump({"weight": Runs(tmp_path / "ran")}, file)
    with pytest.raises(ValueError, match=f"cannot load .*{part}") as caught:
        ldm_core.load(str(folder), device="cpu")
    assert "\n" not in str(caught.value) and not (tmp_path / "ran").exists()


def test_an_unreachable_hub_says_what_would_do(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=r"hub cannot be reached .* 'scenes'"):
        ldm_core.load("nobody/nothing-at-all")


def test_devices_and_precisions_are_checked(tiny_folder):
    with pytest.raises(ValueError, match="device 'moon'"):
        ldm_core.load(str(tiny_folder), device="moon")
    with pytest.raises(ValueError, match="dtype must be one of fp32"):
        ldm_core.load(str(tiny_folder), dtype="int3")
    assert (
        precision.choose_dtype("bf16", "cpu") is torch.bfloat16
        and precision.choose_dtype(None, "cuda:0") is torch.bfloat16
    )


@pytest.mark.parametrize("multiplies", [True, False])
def test_what_is_trained_is_rounded_only_where_the_processor_multiplies_in_bfloat16(multiplies, monkeypatch):
    monkeypatch.setattr(precision, "_cpu_has_bfloat16", lambda: multiplies)
    weights, taken = torch.randn(4, 4), torch.bfloat16 if multiplies else torch.float32
    with precision.mixed("cpu"):
        assert (weights @ weights).dtype == precision.fast("cpu") == precision.choose_dtype(None, "cpu") == taken
    assert precision.fast("cuda:0") is torch.bfloat16 and precision.fast("mps") is torch.float32


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": 5}, "name must be a name or a path, got 5"),
        ({"name": "scenes\0"}, "name must be a name or a path"),
        ({"vae": ["scenes"]}, "vae must be a name or a path"),
        ({"lora": 0.5}, "lora must be a name or a path"),
        ({"control": b"x"}, "control must be a name or a path"),
        ({"device": []}, "device .* cannot be used here"),
        ({"device": {"a": 1}}, "device .* cannot be used here"),
        ({"dtype": ["fp32"]}, "dtype must be one of fp32"),
        ({"dtype": torch.int8}, "dtype must be one of fp32.*got torch.int8"),
        ({"engine": "moon"}, "engine must be one of"),
    ],
)
def test_what_is_no_name_no_device_and_no_precision_is_one_line(tiny_folder, given, words):
    with pytest.raises(ValueError, match=words) as caught:
        ldm_core.load(**{"name": str(tiny_folder), "device": "cpu"} | given)
    assert "\n" not in str(caught.value)


def test_a_path_is_as_good_as_its_text(tiny, tiny_folder, tiny_v_folder):
    model = ldm_core.load(tiny_folder, device=torch.device("cpu"), dtype=torch.float32, vae=tiny_v_folder)
    assert model.spec.reference == tiny.spec.reference and model.vae == str(tiny_v_folder)
    assert model.recipe("a house", 3).vae == str(tiny_v_folder)


def test_bfloat16_stays_close_to_float32(tiny, tiny_folder):
    half = ldm_core.load(str(tiny_folder), device="cpu", dtype="bf16")
    a, b = (model.sample("a house", 3, 2.0, steps=5) for model in (tiny, half))
    assert 0 < (a - b).abs().mean() < 0.02


def test_a_swapped_autoencoder_decodes(tiny, tiny_folder, tiny_v_folder):
    swapped = ldm_core.load(str(tiny_folder), device="cpu", dtype="fp32", vae=str(tiny_v_folder))
    assert swapped.weights != tiny.weights and swapped.sample("a house", 3, 1.0, steps=1).shape == (1, 3, 32, 32)
    with pytest.raises(ValueError, match="did you mean 'scenes'"):
        ldm_core.load(str(tiny_folder), vae="scens")
    with pytest.raises(ValueError, match="no autoencoder folder"):
        ldm_core.load(str(tiny_folder), vae=str(tiny_folder / "scheduler"))


def test_unseen_words_are_counted_by_prompt(tiny):
    assert tiny.unseen_words(["a red zebra zebra", "Zebra on the Lake!", "a house"]) == {"zebra": 2}


def test_long_prompts_are_noticed(tiny):
    assert tiny.conditioner.is_truncated("a house " * 20) and not tiny.conditioner.is_truncated("a house")


def test_a_swapped_autoencoder_may_be_a_registry_name(tiny, tiny_folder, tiny_v_folder, monkeypatch):
    monkeypatch.setitem(registry.MODELS, "other", registry.ModelSpec("other", str(tiny_v_folder)))
    by_name, by_folder = (
        ldm_core.load(str(tiny_folder), device="cpu", vae=vae) for vae in ("other", str(tiny_v_folder / "vae"))
    )
    assert by_name.vae == "other" and torch.equal(by_name.decode(z := torch.randn(1, 4, 8, 8)), by_folder.decode(z))
    assert not torch.equal(by_name.decode(z), tiny.decode(z))


def test_a_swapped_autoencoder_with_other_latents_is_refused(tiny_folder, tmp_path):
    AutoencoderTiny(
        latent_channels=3,
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    ).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has 3 latent channels, the denoiser takes 4"):
        ldm_core.load(str(tiny_folder), device="cpu", vae=str(tmp_path))
