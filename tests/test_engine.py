"""Networks by OpenVINO: the same pictures but for rounding, the same contract, chosen and stamped."""

from __future__ import annotations

import copy
import json
import os

import pytest
import torch

from evaluation import run
from ldm_core import engine, load
from ldm_core.loading import load_autoencoder
from ldm_core.recipe import Recipe, read_png
from ldm_core.registry import WEIGHTS
from ldm_core.settings import SamplingSettings

openvino_network = pytest.importorskip("ldm_core.openvino_network")
CLOSE = 1 / 255


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """What is compiled here goes into no user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder / "ldm-eval" / "openvino"


@pytest.fixture(scope="module")
def loaded(tiny_folder, own_cache):
    """The tiny checkpoint under OpenVINO, and the file with what was found out about it."""
    model = load(str(tiny_folder), device="cpu", dtype="float32", engine="openvino")
    (file,) = own_cache.glob("*.json")
    return model, file


@pytest.fixture
def quick(loaded):
    """The model."""
    return loaded[0]


@pytest.fixture
def trial_file(loaded):
    """The file."""
    return loaded[1]


def settings(**values) -> SamplingSettings:
    return SamplingSettings.of(steps=3, **values)


def test_pictures_of_both_engines_differ_by_rounding_and_calls_are_counted(quick, tiny):
    before = quick.network_calls, quick.network_rows
    arguments = {"prompts": ["a red house", "a boat"], "seeds": [1, 2], "settings": settings(guidance_scale=3.0)}
    torch.testing.assert_close(quick.sample(**arguments), tiny.sample(**arguments), atol=CLOSE, rtol=0)
    assert quick.engine == "openvino" and tiny.engine == "torch"
    assert (quick.network_calls - before[0], quick.network_rows - before[1]) == (3, 12)


def test_a_run_repeats_to_the_byte_and_no_image_depends_on_its_neighbours(quick):
    fixed = settings(guidance_scale=3.0, rows_per_call=4)
    alone = quick.sample("a red house", 1, settings=fixed)
    assert torch.equal(alone, quick.sample("a red house", 1, settings=fixed))
    among = quick.sample(["a boat", "a red house", "a tree"], [5, 1, 6], settings=fixed)
    assert torch.equal(alone[0], among[1])


def test_what_was_compiled_is_read_again_and_gives_the_same_bytes(quick, tiny_folder, own_cache):
    fixed = settings(rows_per_call=4)
    picture, kept = quick.sample("a boat", 3, settings=fixed), set(own_cache.glob("*.blob"))
    again = load(str(tiny_folder), device="cpu", dtype="float32", engine="openvino")
    assert torch.equal(again.sample("a boat", 3, settings=fixed), picture)
    assert kept and set(own_cache.glob("*.blob")) == kept
    for file in kept:
        file.write_bytes(file.read_bytes()[:-1])
    damaged = load(str(tiny_folder), device="cpu", dtype="float32", engine="openvino")
    assert torch.equal(damaged.sample("a boat", 3, settings=fixed), picture)


def test_the_cache_keeps_what_was_used_last(monkeypatch, tmp_path):
    monkeypatch.setattr(openvino_network, "KEPT_BYTES", 250)
    for index, used in enumerate((30, 10, 20)):
        path = tmp_path / f"{index}.blob"
        path.write_bytes(bytes(100))
        os.utime(path, (used, used))
    openvino_network._keep(tmp_path / "3.blob", bytes(100 - openvino_network.CHECKSUM))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.blob", "3.blob"]


def test_other_weights_are_other_graphs(tiny, tiny_v_folder):
    sources = [openvino_network.TorchSource(tiny.denoiser.network) for _ in range(2)]
    other = load(str(tiny_v_folder), device="cpu", dtype="float32").denoiser.network
    assert sources[0].identity == sources[1].identity != openvino_network.TorchSource(other).identity
    network = copy.deepcopy(tiny.denoiser.network)  # other tests compare the session's own to the bit
    changed = openvino_network.TorchSource(network)
    with torch.no_grad():  # as a merged LoRA does
        next(network.parameters()).add_(1)
    assert changed.identity != sources[0].identity


@pytest.mark.parametrize("family", ["xl", "sd3"])
def test_families_with_pooled_text_run_by_openvino_too(family, request):
    folder = str(request.getfixturevalue(f"tiny_{family}_folder"))
    arguments = {"prompts": "a red house", "seeds": 1, "settings": settings(guidance_scale=2.0)}
    theirs = load(folder, device="cpu", dtype="float32").sample(**arguments)
    model = load(folder, device="cpu", dtype="float32", engine="openvino")
    assert model.engine == "openvino"
    torch.testing.assert_close(model.sample(**arguments), theirs, atol=CLOSE, rtol=0)


def test_a_recipe_says_its_engine_and_one_of_torch_keeps_its_bytes(quick, tiny):
    made = quick.recipe("a boat", 3)
    assert made.engine == "openvino" and "openvino" in made.versions
    assert Recipe.from_json(made.to_json()) == made
    plain = json.loads(tiny.recipe("a boat", 3).to_json())
    assert "engine" not in plain and Recipe.from_json(json.dumps(plain)).engine == "torch"


def test_a_run_goes_on_by_the_engine_that_it_began_with(tiny_folder, tmp_path, capsys):
    (tmp_path / "p.txt").write_text("a boat\na red house\n")
    words = ["--model", str(tiny_folder), "--prompts", str(tmp_path / "p.txt"), "--out", str(tmp_path / "run")]
    words += [
        "--steps",
        "2",
        "--device",
        "cpu",
        "--dtype",
        "fp32",
        "--metrics",
        "scene_accuracy",
        "--guidance-scales",
        "2",
    ]
    assert run.main([*words, "--limit", "1", "--engine", "openvino"]) == 0
    assert "float32 on cpu by openvino" in capsys.readouterr().out
    (picture,) = (tmp_path / "run" / "images").glob("*/*.png")
    assert read_png(picture).engine == "openvino"
    assert run.main([*words, "--dry-run"]) == 0  # though LDM_ENGINE says torch here
    assert "float32 on cpu by openvino" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "run.json").read_text())["protocol"]["engine"] == "openvino"
    with pytest.raises(SystemExit):
        run.main([*words, "--engine", "torch"])
    assert "engine: openvino there, nothing now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "tensorrt"}, "engine must be one of torch, openvino, got 'tensorrt'"),
        ({"engine": "openvino", "compiled": True}, "compiles by itself"),
        ({"engine": "openvino", "dtype": "float16"}, "calculates in float32, bfloat16, and the dtype is float16"),
    ],
)
def test_what_no_engine_can_do_is_said_before_anything_is_read(options, words, tiny_folder):
    with pytest.raises(ValueError, match=words):
        load(str(tiny_folder), device="cpu", **options)


@pytest.mark.parametrize(
    ("trial", "chosen"),
    [
        (engine.Trial(1.0, 0.5, 1e-6), "openvino"),
        (engine.Trial(1.0, 0.99, 1e-6), "torch"),
        (engine.Trial(1.0, 0.5, 0.1), "torch"),
    ],
)
def test_openvino_is_chosen_where_it_was_found_quicker_and_agreeing(
    trial, chosen, tiny_folder, trial_file, monkeypatch
):
    before = trial_file.read_text()
    monkeypatch.delenv("LDM_ENGINE", raising=False)
    try:
        trial_file.write_text(json.dumps(vars(trial)))
        assert load(str(tiny_folder), device="cpu", dtype="float32").engine == chosen
        if trial.apart > 0.01:
            with pytest.raises(ValueError, match=r"does not agree with torch .* 10\.0% apart"):
                load(str(tiny_folder), device="cpu", dtype="float32", engine="openvino")
    finally:
        trial_file.write_text(before)


FOUND = vars(engine.Trial(1.0, 0.5, 1e-6, 1e-3))
NO_TRIALS = (
    b"",
    b"{",
    b"[]",
    b"\xff",
    b"{}",
    b"[" * 100_000,
    *(
        json.dumps(FOUND | damaged).encode()
        for damaged in (
            {"torch_seconds": "1"},
            {"openvino_seconds": -1},
            {"apart": float("nan")},
            {"decoded_apart": None},
            {"failed": 5},
        )
    ),
    json.dumps({name: value for name, value in FOUND.items() if name != "decoded_apart"}).encode(),
)


def test_a_damaged_record_of_a_trial_counts_as_none(tmp_path):
    for content in NO_TRIALS:
        (tmp_path / "t.json").write_bytes(content)
        assert engine._read(tmp_path / "t.json") is None, content[:80]
    assert engine._read(tmp_path / "none.json") is None
    (tmp_path / "t.json").write_text(json.dumps(FOUND))
    assert engine._read(tmp_path / "t.json") == engine.Trial(**FOUND)


def test_a_trial_measures_both_engines_and_how_far_apart_they_are(trial_file):
    found = engine.Trial(**json.loads(trial_file.read_text()))
    assert found.torch_seconds > 0 and found.openvino_seconds > 0
    assert 0 < found.apart < 1e-4 and not found.failed


def test_a_bfloat16_model_decodes_in_bfloat16_where_that_changes_less_than_a_level(tiny_folder, own_cache):
    known = set(own_cache.glob("*.json"))
    model = load(str(tiny_folder), device="cpu", dtype="bfloat16", engine="openvino")
    (file,) = set(own_cache.glob("*.json")) - known
    found = json.loads(file.read_text())
    assert 0 < found["decoded_apart"] < engine.LEVEL and model.autoencoder._decode.precision == "bf16"
    latents = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    rough = model.decode(latents)
    file.write_text(json.dumps(found | {"decoded_apart": 2 * engine.LEVEL}))
    careful = load(str(tiny_folder), device="cpu", dtype="bfloat16", engine="openvino")
    assert careful.engine == "openvino" and careful.autoencoder._decode.precision == "f32"
    exact = careful.decode(latents)
    apart = float((rough - exact).square().mean().sqrt())
    assert apart < engine.LEVEL
    rounds = "BF16" in openvino_network.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert (apart > 0) == rounds, "a processor without bfloat16 calculates in float32 whatever it is asked for"
    torch.testing.assert_close(exact, load(str(tiny_folder), device="cpu", engine="torch").decode(latents))


@pytest.mark.parametrize("name", ["photo-f8", "scenes/vae"])
def test_deep_autoencoders_decode_by_openvino_too(name):
    coder = load_autoencoder(WEIGHTS / name)
    decode = openvino_network.OpenVinoNetwork(openvino_network.TorchSource(coder.vae, "decode"), torch.float32)
    for rows, side in ((1, 4), (2, 8)):
        latents = torch.randn(rows, coder.latent_channels, side, side, generator=torch.Generator().manual_seed(rows))
        with torch.inference_mode():
            expected = coder.vae.decode(latents).sample
        torch.testing.assert_close(decode(latents).sample, expected, atol=1e-4, rtol=1e-4)
