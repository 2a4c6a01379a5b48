"""Word maps: the picture stays as it is, the maps are the library's own attention, and their score can tell good from bad."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor

import ldm_core
from evaluation import word_maps as scoring
from ldm_core import word_maps
from ldm_core.attention import halved_to, watched
from ldm_core.conditioning import Conditioning

PROMPT = "a red house, at night"
GIVEN = {"steps": 3, "guidance_scale": 3.0, "height": 24, "width": 40}


@pytest.mark.parametrize("name", ["tiny_folder", "tiny_xl_folder"])
def test_the_picture_of_word_maps_is_the_plain_sample_to_the_bit(request, name):
    model = ldm_core.load(str(request.getfixturevalue(name)), device="cpu", dtype="float32")
    every = []
    for rows in (1, 4):  # the prompt's row by itself, and beside the unconditional one and what fills the call
        found = model.word_maps(PROMPT, 7, rows_per_call=rows, **GIVEN)
        assert torch.equal(found.picture, model.sample(PROMPT, 7, rows_per_call=rows, **GIVEN)[0])
        assert found.words == ("a", "red", "house", "at", "night") and found.steps.shape == (3, 5, 12, 20)
        assert len(found.times) == 3 and found.times[0] > found.times[-1]
        torch.testing.assert_close(found.maps, found.steps.mean(0))
        every.append(found.steps)
    torch.testing.assert_close(*every, atol=1e-5, rtol=0)


def test_maps_are_the_attention_that_the_library_itself_computes(tiny, monkeypatch):
    told = Conditioning.stack([tiny.conditioner.encode(PROMPT)])
    latent = torch.randn(1, 4, 12, 20, generator=torch.Generator().manual_seed(1))
    with watched(tiny.denoiser.network) as maps:
        tiny.denoiser(latent, torch.tensor(500), told, 1)
    scores, known = [], Attention.get_attention_scores

    def noted(self, query, key, attention_mask=None):
        scores.append((key.shape[1], known(self, query, key, attention_mask)))
        return scores[-1][1]

    monkeypatch.setattr(Attention, "get_attention_scores", noted)
    before = tiny.denoiser.network.attn_processors
    try:
        tiny.denoiser.network.set_attn_processor(AttnProcessor())
        tiny.denoiser(latent, torch.tensor(500), told, 1)
    finally:
        tiny.denoiser.network.set_attn_processor(before)
    theirs = [each.mean(0) for tokens, each in scores if tokens == told.tokens.shape[1]]
    assert len(maps.kept) == len(theirs) > 1
    for own, other in zip(maps.kept.values(), theirs):
        torch.testing.assert_close(own, other, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(own.sum(-1), torch.ones(len(own)))


def test_nothing_is_left_on_the_network_where_the_block_fails(tiny):
    with pytest.raises(KeyError), watched(tiny.denoiser.network):
        raise KeyError
    assert not any(module._forward_pre_hooks for module in tiny.denoiser.network.modules())


@pytest.mark.parametrize(
    ("sides", "positions", "expected"),
    [
        ((16, 16), 64, (8, 8)),
        ((12, 20), 60, (6, 10)),
        ((13, 7), 28, (7, 4)),
        ((13, 7), 8, (4, 2)),
        ((5, 5), 25, (5, 5)),
    ],
)
def test_positions_are_halvings_of_the_latent_rounded_up(sides, positions, expected):
    assert halved_to(*sides, positions) == expected
    with pytest.raises(ValueError, match="are no halving of"):
        halved_to(*sides, positions + 1)


def test_a_word_of_several_tokens_has_the_mean_of_their_maps(tiny):
    words = word_maps.words_of_prompt(tiny.conditioner, "A house, xyz; night!")
    assert [word.text for word in words] == ["A", "house", "xyz", "night"]
    assert [word.tokens for word in words] == [(1,), (2,), (4, 5, 6), (8,)]
    tokens = torch.arange(10.0).view(10, 1, 1).expand(-1, 2, 2)
    assert word_maps.of_words(tokens, words)[:, 0, 0].tolist() == [1, 2, 5, 8]


def test_words_beyond_what_the_encoder_reads_have_no_map(tiny):
    words = word_maps.words_of_prompt(tiny.conditioner, "house " * 40)
    assert len(words) == tiny.conditioner.text_encoders[-1].length - 2


def test_heat_is_coldest_and_hottest_where_the_map_is_least_and_most():
    shown = word_maps.heat(torch.zeros(3, 8, 8), torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    assert shown.shape == (3, 8, 8)
    torch.testing.assert_close(shown[:, 0, 7], 0.5 * torch.tensor(word_maps.HOT))
    torch.testing.assert_close(shown[:, 7, 0], 0.5 * torch.tensor(word_maps.COLD))


def test_what_has_no_word_maps_is_refused_in_one_line(tiny, tiny_sd3_folder):
    sd3 = ldm_core.load(str(tiny_sd3_folder), device="cpu", dtype="float32")
    compiled = copy.copy(tiny.denoiser)
    compiled._run = compiled.network.forward  # as after `compile`, which takes seconds
    for call, message in (
        (lambda: sd3.word_maps(PROMPT, 1), "SD3Transformer2DModel attends to words and picture as one"),
        (lambda: tiny.word_maps(PROMPT, 1, guidance_scale=0), "guidance_scale 0 draws without the prompt"),
        (lambda: tiny.word_maps("", 1), "must hold a word"),
        (lambda: tiny.word_maps("a house", 1, steps=1).heat("boat"), "word must be one of a, house, got 'boat'"),
        (lambda: word_maps.check_watchable(compiled), "not compiled"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def compared(seed, kind, shift):
    """A square mask and a map whose peak is `shift` columns off it."""
    mask = torch.zeros(32, 32)
    mask[8:16, 8:16] = 1
    own = torch.roll(mask, shift, 1)
    return scoring.Compared(seed, kind, own, mask, own)


def test_a_map_that_is_the_mask_scores_1_and_one_beside_it_0():
    exact, beside = ([compared(seed, "house", shift) for seed in range(4)] for shift in (0, 8))
    assert scoring.figures(exact, exact)["iou"].value == scoring.figures(exact, exact)["pointing"].value == 1
    assert scoring.figures(beside, exact)["iou"].value == scoring.figures(beside, exact)["pointing"].value == 0
    half = compared(0, "house", 4)
    assert scoring.iou(half.map, half.mask, 0.5) == pytest.approx(1 / 3)


def test_chance_is_the_mask_of_the_same_kind_in_another_drawing():
    found = [compared(seed, kind, 0) for seed, kind in enumerate(["house", "boat", "house", "moon"])]
    others = scoring.with_others_masks(found)
    assert [one.kind for one in others] == ["house", "house"]
    assert others[0].mask is found[2].mask and others[1].mask is found[0].mask


def test_only_nouns_that_name_one_thing_in_the_drawing_are_asked_for():
    module, _ = scoring.WORLDS["everyday"]
    asked = list(scoring.drawings("everyday", module.HELD_OUT_SEEDS[:12], 64))
    assert asked
    for one in asked:
        kinds = [thing.kind for thing in module.random_scene(one.seed).things]
        for noun, kind, mask in one.nouns:
            assert kinds.count(kind) == 1 and noun in one.caption.lower() and mask.mean() >= scoring.LEAST_AREA
