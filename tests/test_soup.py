"""The mean of two models: of each weight of their U-Nets, and nothing else of the second."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel

from ldm_core.training import soup


def unet(seed: int, width: int = 32) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(width,),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        cross_attention_dim=16,
        attention_head_dim=1,
    )


@pytest.fixture
def models(tmp_path):
    """Two folders in half precision, the first in several files, and of each its network."""
    networks = [unet(seed).half() for seed in (0, 1)]
    for name, network, size in zip("ab", networks, ("100KB", "10GB")):
        network.save_pretrained(tmp_path / name / "unet", max_shard_size=size)
        (tmp_path / name / "tokenizer").mkdir()
        (tmp_path / name / "tokenizer" / "words.txt").write_text(f"words of {name}")
        (tmp_path / name / "README.md").write_text(f"what is said of {name}")
    assert len(soup.weights_of(tmp_path / "a")) > 1 == len(soup.weights_of(tmp_path / "b"))
    return tmp_path, networks


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_each_weight_lies_between_those_of_the_two_and_the_rest_is_the_first_models(models, share):
    folder, (first, second) = models
    given = [] if share == 0.5 else ["--share", str(share)]
    assert soup.main([str(folder / "a"), str(folder / "b"), *given, "--out", str(folder / "c")]) == 0
    made = UNet2DConditionModel.from_pretrained(folder / "c" / "unet", torch_dtype=torch.float16).state_dict()
    one, other = first.state_dict(), second.state_dict()
    assert made.keys() == one.keys()
    for name, value in made.items():
        expected = (1 - share) * one[name].double() + share * other[name].double()
        torch.testing.assert_close(value.double(), expected, rtol=2**-10, atol=1e-6)
    assert (folder / "c" / "tokenizer" / "words.txt").read_text() == "words of a"
    assert not (folder / "c" / "README.md").exists(), "it is said of another model"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a", "b", "--share", "0"], "--share must be between 0 and 1, got 0.0"),
        (["a", "b", "--share", "nan"], "--share must be between 0 and 1, got nan"),
        (["a", "none"], "is no model's folder: it has no unet/*.safetensors"),
        (["a", "wide"], "the two U-Nets have other shapes than each other"),
        (["a", "b", "--out", "b"], "is there already; choose a new folder"),
    ],
)
def test_what_has_no_mean_is_one_line_and_leaves_nothing(models, monkeypatch, capsys, given, message):
    folder, _ = models
    unet(2, width=64).save_pretrained(folder / "wide" / "unet")
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit, match="2"):
        soup.main(["--out", "c", *given])
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert sorted(folder.rglob("*")) == before
