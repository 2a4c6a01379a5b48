"""Exported graphs: read back by `load`, close to the model that they were, refused in one line where something is asked of
them that they cannot do."""

from __future__ import annotations

import json

import pytest
import torch

from ldm_core import load
from ldm_core.export import export, main
from ldm_core.settings import SamplingSettings

pytest.importorskip("openvino")
CLOSE = 1 / 255
ARGUMENTS = {"prompts": ["a red house", "a boat"], "seeds": [1, 2]}
SETTINGS = SamplingSettings.of(steps=3, guidance_scale=2.0)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """What is compiled here goes into no user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory):
    """The tiny checkpoint as OpenVINO's files."""
    folder = tmp_path_factory.mktemp("exports") / "tiny"
    export(tiny, folder, "openvino", "fp32", ["a boat"])
    return folder


def test_an_export_draws_encodes_and_decodes_as_its_model_does(exported, tiny):
    model = load(str(exported))
    assert (model.engine, model.precision, model.spec.steps) == ("openvino", "float32", tiny.spec.steps)
    assert not list(exported.rglob("*.safetensors")) and tiny.engine == "torch"
    images = tiny.sample(**ARGUMENTS, settings=SETTINGS)
    torch.testing.assert_close(model.sample(**ARGUMENTS, settings=SETTINGS), images, atol=CLOSE, rtol=0)
    torch.testing.assert_close(model.reconstruct(images), tiny.reconstruct(images), atol=CLOSE, rtol=0)
    wide = SETTINGS.replaced(width=48)
    torch.testing.assert_close(
        model.sample("a boat", 3, settings=wide), tiny.sample("a boat", 3, settings=wide), atol=CLOSE, rtol=0
    )


def test_an_export_says_nothing_of_the_folder_it_was_made_from(exported, tiny):
    assert "_name_or_path" in tiny.autoencoder.vae.config, "the test could not tell"
    for path in exported.rglob("*.json"):
        assert "_name_or_path" not in path.read_text()


def test_a_recipe_of_an_export_names_it(exported, tiny):
    recipe = load(str(exported)).recipe("a boat", 3)
    assert (recipe.model, recipe.engine, recipe.dtype) == (str(exported), "openvino", "float32")
    assert recipe.weights not in ("", tiny.weights)


def test_int8_is_static_by_channel_and_stays_near(tiny_v_folder, tmp_path):
    """Of a model that predicts v: the latents of one that predicts noise grow over the steps where its weights are random, and
    the ranges with them, so that most of their 255 values go unused (an error of 0.25 was measured, 0.02 at the last steps)."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    plain = load(str(tiny_v_folder), device="cpu", dtype="float32", engine="torch")
    export(plain, tmp_path / "int8", "onnx", "int8", ["a red house"])
    nodes = onnx.load(tmp_path / "int8" / "unet" / "model.onnx").graph
    kinds = [node.op_type for node in nodes.node]
    assert "QuantizeLinear" in kinds and "DynamicQuantizeLinear" not in kinds
    scales = [each for each in nodes.initializer if each.name.endswith("_scale")]
    assert max(len(onnx.numpy_helper.to_array(each).reshape(-1)) for each in scales) >= 32  # one of each channel
    model = load(str(tmp_path / "int8"))
    assert model.precision == model.recipe("a boat", 3).dtype == "int8"
    noise = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    text = [each.conditioner.encode("a boat") for each in (model, plain)]
    predicted = [
        each.denoiser(noise, torch.tensor(500), type(own).stack([own] * 2), 2)
        for each, own in zip((model, plain), text)
    ]
    apart = (predicted[0] - predicted[1]).norm() / predicted[1].norm()
    assert 1e-6 < apart < 0.08  # 0.051 to 0.055 were measured at all times


def test_weights_in_bfloat16_are_half_the_size(tiny, exported, tmp_path):
    export(tiny, tmp_path / "bf16", "openvino", "bf16", ["a boat"])
    half, whole = ((folder / "unet" / "model.bin").stat().st_size for folder in (tmp_path / "bf16", exported))
    assert 0.45 < half / whole < 0.6
    assert load(str(tmp_path / "bf16")).precision == "bfloat16"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "torch"}, "is an export and runs by openvino"),
        ({"dtype": "bfloat16"}, "was exported in fp32, got dtype 'bfloat16'"),
        ({"compiled": True}, "compiles by itself"),
    ],
)
def test_an_export_is_run_as_it_was_made(exported, options, words):
    with pytest.raises(ValueError, match=words):
        load(str(exported), device="cpu", **options)


def test_an_export_that_lacks_a_graph_or_lies_is_one_line(exported, tmp_path):
    import shutil

    folder = tmp_path / "broken"
    shutil.copytree(exported, folder)
    (folder / "vae" / "decoder.xml").unlink()
    with pytest.raises(ValueError, match=r"not whole: .*decoder\.xml is missing"):
        load(str(folder))
    (folder / "export.json").write_text(json.dumps({"format": "coreml", "precision": "fp32"}))
    with pytest.raises(ValueError, match="has format 'coreml'; known: onnx, openvino"):
        load(str(folder))


def test_the_command_refuses_in_one_line_and_leaves_nothing(exported, tiny_folder, tmp_path, capsys):
    for words, said in (
        ([str(tiny_folder), "--out", str(exported)], "is there already"),
        ([str(exported), "--out", str(tmp_path / "twice")], "merge|no diffusers folder|runs by openvino"),
        (["scens", "--out", str(tmp_path / "x")], "did you mean 'scenes'"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        line = capsys.readouterr().err
        assert stopped.value.code == 2 and line.count("\n") == 1
        assert any(part in line for part in said.split("|"))
    assert not list(tmp_path.iterdir())
