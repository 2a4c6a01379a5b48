"""The studies that count: what a call needs, sizes of the published networks, cost in pixels and in latents."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel

from evaluation.benchmarks import meter, published
from evaluation.studies import cost, sizes
from evaluation.studies.study import FAILS, HOLDS, IN_PART

WIDTH, LONG = 8, 4  # of a matrix, and of its columns


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_live_bytes_are_those_of_the_tensors_that_are_alive_at_once(device):
    given, weights = (torch.empty(LONG, WIDTH, device=device), torch.empty(WIDTH, WIDTH, device=device))

    def call():
        first = given @ weights
        second = first * 2  # beside the first one
        del first
        return second.relu()  # beside the second one

    found = meter.need_of(call, training=False)
    assert found.peak_bytes == 2 * LONG * WIDTH * 4, "never three of them"
    assert found.flops == 2 * LONG * WIDTH * WIDTH and found.scores_bytes == 0


def test_a_training_step_keeps_what_its_backward_pass_reads():
    """x -> x w -> relu: the relu's output is kept, and the gradients of both come on top; views cost nothing."""
    given = torch.empty(LONG, WIDTH, device="meta", requires_grad=True)
    weights = torch.empty(WIDTH, WIDTH, device="meta")
    matrix = LONG * WIDTH * 4
    kept = meter.need_of(lambda: (given @ weights).relu().view(-1), training=True)
    forward = meter.need_of(lambda: (given @ weights).relu().view(-1), training=False)
    assert forward.peak_bytes == 2 * matrix < kept.peak_bytes <= 4 * matrix


def tiny_unet(**more) -> UNet2DConditionModel:
    """Two resolutions, one block each; the upper attends three times, the middle once, with two heads."""
    return UNet2DConditionModel(
        block_out_channels=(32, 32),
        layers_per_block=1,
        cross_attention_dim=8,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **more,
    )


def test_plain_attention_keeps_all_scores_and_fused_attention_none():
    positions = 16
    with torch.device("meta"):
        unet = tiny_unet()
        words = torch.empty(1, 3, 8)
        call = lambda: unet(torch.empty(1, 4, positions, positions, device="meta"), 1, words).sample  # noqa: E731  # it reads better so
    meter.set_attention(unet, fused=False)
    plain = meter.need_of(call, training=False)
    heads, n = 2, positions**2
    assert plain.largest_scores_bytes == heads * n * n * 4
    inner = n // 4  # of the middle block
    self_and_words = 3 * heads * (n * n + 3 * n) * 4 + heads * (inner * inner + 3 * inner) * 4
    assert plain.scores_bytes == self_and_words
    meter.set_attention(unet, fused=True)
    with meter.FusedAttention():
        fused = meter.need_of(call, training=False)
    assert fused.scores_bytes == 0 and fused.peak_bytes < plain.peak_bytes


def test_fused_attention_has_the_shapes_of_the_real_one_forward_and_backward():
    query, words = torch.randn(1, 2, 5, 4, requires_grad=True), torch.randn(1, 2, 3, 4)
    with meter.FusedAttention():
        out = F.scaled_dot_product_attention(query, words, words)
        out.sum().backward()
    assert out.shape == F.scaled_dot_product_attention(query, words, words).shape
    assert query.grad is not None and query.grad.shape == query.shape


def test_the_published_networks_have_the_sizes_of_their_files():
    """Values in the safetensors files of the hub: Stable Diffusion 1.5's U-Net and VAE, CLIP ViT-L's text tower."""
    parts = sizes.parts("sd1.5")
    counted = {name: sum(map(meter.parameters, networks)) for name, networks in parts.items()}
    assert counted == {"U-Net": 859_520_964, "text encoder": 123_060_480, "autoencoder": 83_653_863}
    assert meter.parameters(published.built(lambda: published.unet("sdxl"))) == 2_567_463_684


def counted_row(model: str, part: str, learned: float, tables: float = 0) -> dict:
    return {"model": model, "part": part, "parameters": learned * 1e6, "fixed tables": tables * 1e6}


def test_a_number_is_right_within_rounding_and_with_fixed_tables_only_where_these_explain_it(monkeypatch):
    said = [sizes.Said("a", "U-Net", 860, "t"), sizes.Said("b", "U-Net", 2500, "t"), sizes.Said("c", "U-Net", 354, "t")]
    monkeypatch.setattr(sizes, "SAID", said)
    rows = [("a", 859.5, 0.0), ("b", 2243.2, 226.5), ("c", 340.4, 0.0)]
    counted = pd.DataFrame([counted_row(model, "U-Net", *values) for model, *values in rows])
    compared = sizes.compare(counted)
    assert compared["right"].tolist() == ["yes", "with fixed tables", "no"]
    assert compared["said / counted - 1"].iloc[2] == pytest.approx(354 / 340.4 - 1)
    memory = pd.DataFrame({"model": ["a"], "said": [4.0], "at the most, fused": [2.5], "at the most, plain": [3.3]})
    verdict, words = sizes.concluded(compared, memory)
    assert verdict == IN_PART and "2 of 3 parameter counts are right" in words and "c's U-Net: 354 said, 340.4" in words
    memory["at the most, fused"] = 4.0
    assert sizes.concluded(compared[:2], memory)[0] == HOLDS
    assert sizes.concluded(compared[2:], memory)[0] == FAILS


def test_the_texts_table_of_attention_is_one_byte_a_score_and_grows_sixteenfold():
    table = cost.score_table([64, 128, 256, 512, 1024])
    assert (table["bytes a score, one head"] == 1).all()
    assert table["said over the row above"].dropna().tolist() == [16] * 4
    assert table["GB, float16, 8 heads"].iloc[0] == pytest.approx(16 * 64**4 / 1e9)


@pytest.fixture
def narrow(monkeypatch):
    """The study of a U-Net of two resolutions, in float16 on the meta device still."""

    def small(space):
        with torch.device("meta"):
            return tiny_unet(in_channels=cost.CHANNELS[space], out_channels=cost.CHANNELS[space]).half()

    monkeypatch.setattr(cost, "network", small)


def test_latents_have_48_times_fewer_values_and_less_of_everything(narrow):
    rows = pd.DataFrame([cost.needed(space, 64) for space in cost.CHANNELS])
    timed = pd.DataFrame(
        [
            {"space": space, "pixels": 64, "forward s": s, "step s": 3 * s}
            for space, s in (("pixels", 2.0), ("latents", 0.2))
        ]
    )
    saved, quicker = cost.savings(rows), cost.speedups(timed)
    assert saved["values"].item() == 48 and saved["GFLOP"].item() > 48
    assert quicker.loc[64, "step s"] == pytest.approx(10)
    verdict, words = cost.concluded(rows, cost.score_table([64, 128]), saved, quicker)
    assert verdict == IN_PART and "48 times fewer" in words and "by 16" in words and "10.0 times as long" in words
    assert "as long" not in cost.concluded(rows, cost.score_table([64, 128]), saved, cost.speedups(pd.DataFrame()))[1]
    heads, size = 2, 2
    scores = [heads * size * 64**4 / 1e9, heads * size * 8**2 * 77 / 1e9]  # 64 positions of a latent look at 77 words
    assert rows["largest scores GB"].tolist() == scores


def test_the_same_shape_runs_and_is_timed():
    row = cost.timing("latents", 64)
    assert row["forward s"] > 0 and row["step s"] > 0
