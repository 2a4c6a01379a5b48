"""The options of the training recipes: each term's closed form, and that a step of each runs."""

from __future__ import annotations

import dataclasses
import functools
import types

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

import ldm_core
from evaluation import card, study
from ldm_core.loading import load_autoencoder
from ldm_core.training import (
    attention,
    compare,
    everyday,
    held_out,
    layout,
    lesson,
    losses,
    train_autoencoder,
    train_denoiser,
    train_text_encoder,
    trainer,
    wording,
)
from ldm_core.training.config import AUTOENCODERS, DENOISERS, TEXT_ENCODERS
from ldm_core.training.muon import Muon, orthogonalised
from ldm_core.training.tokenizer import build_tokenizer

COLOURS, NOUNS = {"red", "orange"}, {"dog", "umbrella"}


@pytest.mark.parametrize("columns", [20, 60], ids=["round by round", "in products"])
def test_muon_makes_a_matrix_orthogonal_and_keeps_its_spaces(columns):
    matrix = torch.randn(6, columns, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    made = orthogonalised(matrix, rounds=8)
    inner = u.T @ made @ v.T
    assert ((inner.diagonal() > 0.6) & (inner.diagonal() < 1.3)).all()
    torch.testing.assert_close(inner - inner.diagonal().diag(), torch.zeros(6, 6), atol=1e-4, rtol=0)
    torch.testing.assert_close(orthogonalised(matrix.T.contiguous(), rounds=8), made.T, atol=1e-4, rtol=0)
    rounded = orthogonalised(matrix, rounds=8, dtype=torch.bfloat16)
    assert (rounded - made).norm() < 0.15 * made.norm()


def test_muon_steps_as_far_as_it_says_and_moves_vectors_as_adam_does():
    weight, bias, twin = (
        torch.nn.Parameter(value) for value in (torch.zeros(8, 4, 3, 3), torch.zeros(5), torch.zeros(5))
    )
    optimizer, adam = Muon([weight, bias], lr=0.1), torch.optim.Adam([twin], lr=0.1, betas=(0.9, 0.99))
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        weight.grad = torch.randn(weight.shape, generator=generator)
        bias.grad = torch.randn(5, generator=generator)
        twin.grad = bias.grad.clone()
        optimizer.step(), adam.step()
        if step == 0:
            assert weight.square().mean().sqrt().item() == pytest.approx(0.1 * 0.2, rel=0.25)
    torch.testing.assert_close(bias, twin)


def test_half_the_size_is_the_mean_of_four():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert losses.halved(image).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_crops_begin_on_the_lines_that_the_recipe_says():
    rows, columns = np.mgrid[:64, :64].astype(np.uint8)
    images = np.stack([rows, columns, 0 * rows], axis=-1)[None]
    for line in (1, 16):
        config = dataclasses.replace(AUTOENCODERS["tiny"], image_size=64, crop_size=32, crop_line=line)
        crops = [train_autoencoder.batch_of(images, config, step) for step in range(4)]
        corners = torch.cat(crops)[:, :2, 0, 0].add(1).mul(127.5).round()
        assert {value % line for value in corners.flatten().tolist()} == {0}
        assert corners.max() == 32 or line == 1
        assert {value % 16 for value in corners.flatten().tolist()} != {0} or line == 16


def test_a_decoder_that_only_enlarges_is_equivariant_and_one_that_adds_grain_is_not():
    class Enlarging(torch.nn.Module):
        """Encodes by averaging; decodes by repeating, plus a checkerboard of the given strength."""

        def __init__(self, grain: float):
            super().__init__()
            self.grain = torch.nn.Parameter(torch.tensor(grain))

        def encode(self, image):
            return type("Encoded", (), {"latent": torch.nn.functional.avg_pool2d(image, 2)})

        def decode(self, z):
            large = z.repeat_interleave(2, -1).repeat_interleave(2, -2)
            rows, columns = (torch.arange(n) % 2 * 2 - 1 for n in large.shape[2:])
            return type("Decoded", (), {"sample": large + self.grain * rows[:, None] * columns})

    image = torch.randn(1, 3, 4, 4).repeat_interleave(4, -1).repeat_interleave(4, -2).bfloat16().float()
    plain = dataclasses.replace(AUTOENCODERS["tiny"], posterior_std=1e-9, kl_weight=0.0, gradient_weight=0.0)
    asked = dataclasses.replace(plain, equivariance_weight=0.5)
    for grain in (0.0, 0.25):
        alone, both = (
            train_autoencoder.loss_on(Enlarging(grain), image, config, torch.Generator().manual_seed(0))
            for config in (plain, asked)
        )
        expected = grain + plain.mse_weight * grain**2
        assert alone.item() == pytest.approx(expected, abs=1e-4)
        assert both.item() == pytest.approx(1.5 * expected, abs=1e-4)


def test_the_divergence_of_channels_equals_torchs_for_their_means_and_spreads():
    mean, spread = torch.tensor([0.0, 1.5, -2.0]), torch.tensor([1.0, 0.5, 3.0])
    signs = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)  # two values a channel: their spread is exact
    latent = mean.view(1, 3, 1, 1) + signs * spread.view(1, 3, 1, 1)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, spread), normal(0.0, 1.0)).mean()
    torch.testing.assert_close(losses.channel_divergence(latent), expected, atol=1e-4, rtol=1e-4)


def test_a_layout_is_least_surprising_where_the_shares_are_foretold_and_costs_their_entropy_then():
    covered = torch.zeros(1, 2, 4, 4)
    covered[0, 0, :, :2] = 1  # the first name's thing is the left half, the second's is nowhere
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    quarter = torch.full((1, 2, 4, 4), float(np.log(1 / 3)))  # says 0.25 everywhere
    expected = (2 * -np.log(0.25) - 2 * np.log(0.75)) / 4 - np.log(0.75)  # of the first name, and of the second
    assert losses.layout_surprise(quarter, covered).item() == pytest.approx(expected, abs=1e-6)
    # At half the resolution of the masks a cell's share is the mean of its four.
    patchy = torch.zeros(1, 1, 4, 4)
    patchy[..., ::2, ::2] = 1
    told = torch.full((1, 1, 2, 2), float(np.log(1 / 3)))
    assert losses.layout_surprise(told, patchy).item() == pytest.approx(entropy, abs=1e-6)
    assert losses.layout_surprise(0 * told, patchy) > losses.layout_surprise(told, patchy)


def test_the_layout_is_read_from_the_features_that_enter_the_last_level():
    config = dataclasses.replace(DENOISERS["tiny"], channels=(32, 64), heads=(1, 2), pooled_caption=False)
    unet = train_denoiser.build(config, 4, build_tokenizer(["cat"], 8), 8)["unet"]
    head = layout.LayoutHead(unet, ["cat", "red"])
    kept = {}
    unet.up_blocks[-1].register_forward_pre_hook(lambda block, inputs, named: kept.update(named), with_kwargs=True)
    unet(torch.randn(3, 4, 8, 8), 5, torch.randn(3, 7, 32))
    torch.testing.assert_close(head(), head.read(kept["hidden_states"]))
    with pytest.raises(RuntimeError, match="not been called"):
        head()
    covered = layout.layouts([{"red": np.eye(2, dtype=np.float16)}, {}], head.names)
    assert covered.shape == (2, 2, 2, 2) and covered[0, 1].tolist() == [[1, 0], [0, 1]] and covered.sum() == 2


def test_min_snr_weights_are_those_of_the_paper():
    alpha_bar = torch.tensor([0.9, 0.5, 0.1])  # snr 9, 1, 1/9
    torch.testing.assert_close(losses.min_snr_weight(alpha_bar, 5.0, "epsilon"), torch.tensor([5 / 9, 1.0, 1.0]))
    torch.testing.assert_close(
        losses.min_snr_weight(alpha_bar, 5.0, "v_prediction"), torch.tensor([5 / 10, 1 / 2, (1 / 9) / (10 / 9)])
    )


def test_logit_normal_times_crowd_the_middle_as_the_normal_distribution_says():
    times = losses.timesteps(20_000, 1000, "logit_normal", torch.Generator().manual_seed(0))
    assert times.min() >= 0 and times.max() < 1000
    # logit(0.25) is -1.0986, of which the standard normal distribution has 0.136 below.
    assert (times < 250).float().mean().item() == pytest.approx(0.136, abs=0.01)
    with pytest.raises(ValueError, match="time_sampling"):
        losses.timesteps(1, 10, "cosine", torch.Generator())


def test_attention_inside_a_mask_costs_nothing_and_half_outside_a_quarter():
    masks = torch.zeros(1, 2, 4, 4)
    masks[0, 0, :, :2] = 1  # the first word's thing is the left half; the second word names nothing
    counted = torch.tensor([[1.0, 0.0]])
    left, even = torch.zeros(1, 4, 4, 2), torch.full((1, 4, 4, 2), 0.5)
    left[:, :, :2, 0] = 1
    assert losses.attention_outside(left.flatten(1, 2), masks, counted).item() == pytest.approx(0)
    assert losses.attention_outside(even.flatten(1, 2), masks, counted).item() == pytest.approx(0.25)
    coarse = torch.full((1, 4, 2), 0.5)  # maps of 2 x 2 are compared with masks shrunk to it
    assert losses.attention_outside(coarse, masks, counted).item() == pytest.approx(0.25)
    assert losses.attention_outside(even.flatten(1, 2), masks, 0 * counted) == 0


def test_attributes_that_add_up_leave_no_gap():
    first, second, neither = torch.randn(3, 2, 4, 2, 2)
    assert losses.composition_gap(first + second - neither, first, second, neither).item() == pytest.approx(
        0, abs=1e-10
    )
    off = first + second - neither + 0.5
    assert losses.composition_gap(off, first, second, neither).item() == pytest.approx(0.25)


def test_cross_attention_that_keeps_its_maps_computes_what_diffusers_does():
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
        cross_attention_dim=16,
    ).eval()
    latent, text = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 16)
    with torch.no_grad():
        expected = unet(latent, 7, encoder_hidden_states=text).sample
        kept = attention.keep_maps(unet)
        torch.testing.assert_close(unet(latent, 7, encoder_hidden_states=text).sample, expected, atol=1e-5, rtol=1e-4)
    assert {tuple(each.shape) for each in kept} == {(2, 64, 5), (2, 16, 5)}
    torch.testing.assert_close(kept[0].sum(-1), torch.ones(2, 64))


def test_captions_lose_colours_and_are_taken_apart():
    rng = np.random.default_rng(0)
    parts = wording.taken_apart("an orange dog, by the lake", COLOURS, NOUNS, rng)
    assert parts == ("a dog, by the lake", "an orange thing, by the lake", "a thing, by the lake")
    assert wording.taken_apart("a dog in an orange field", COLOURS, NOUNS, rng) is None
    less = {wording.less_one_attribute("an umbrella and a red umbrella", COLOURS, NOUNS, 1.0, rng) for _ in range(40)}
    assert less == {"an umbrella and an umbrella", "an umbrella and a red thing", "an umbrella and a thing"}
    assert wording.less_one_attribute("an orange dog", COLOURS, NOUNS, 0.0, rng) == "an orange dog"


def test_each_token_gets_the_mask_of_what_it_names_where_the_picture_has_it():
    dog = np.eye(4, dtype=np.float32)
    masks, counted = lesson.masks_of_tokens(
        torch.tensor([[9, 5, 6], [9, 5, 6]]), [{"dog": dog}, {}], {5: "dog", 6: "cat"}
    )
    assert counted.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert torch.equal(masks[0, 1], torch.from_numpy(dog)) and masks.shape == (2, 3, 4, 4)


def test_cells_of_things_weigh_more_the_less_noise_there_is():
    cat, cup = np.zeros((4, 4), np.float16), np.zeros((4, 4), np.float16)
    cat[:2, :2], cup[0, 0] = 1, 0.5
    masks = [{"cat": cat, "red": cat, "cup": cup}, {}]
    covered = lesson.covered_by_things(masks, 2)
    assert covered.tolist() == [[[1, 0], [0, 0]], [[0, 0], [0, 0]]]
    config = dataclasses.replace(DENOISERS["tiny"], thing_weight=4.0)
    asked = types.SimpleNamespace(config=config, corpus=types.SimpleNamespace(masks=lambda i: masks[i]))
    weights = lesson.Lesson.weight_of_cells(asked, [0, 1, 0], torch.tensor([0.25, 1.0, 0.0]), 2)
    assert weights.tolist() == [[[2, 1], [1, 1]], [[1, 1], [1, 1]], [[1, 1], [1, 1]]]


EVERYTHING = dataclasses.replace(
    DENOISERS["tiny"],
    data="everyday",
    pool=8,
    image_size=64,
    reading_steps=1,
    optimizer="muon",
    time_sampling="logit_normal",
    min_snr_gamma=5.0,
    pooled_caption=False,
    thing_weight=1.0,
    mask_weight=0.1,
    layout_weight=0.1,
    attribute_dropout=0.5,
    composition_weight=0.25,
    steps=2,
)


@pytest.fixture(scope="module")
def everyday_autoencoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("everyday")
    config = dataclasses.replace(
        AUTOENCODERS["scenes-cpu"],
        image_size=64,
        crop_size=32,
        pool=8,
        channels=(16,) * 5,
        crop_batch=2,
        crop_steps=3,
    )
    assert train_autoencoder.train(config, folder, "cpu")
    return folder, config


@pytest.fixture(scope="module")
def everyday_model(everyday_autoencoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("everyday-model")
    assert train_denoiser.train(EVERYTHING, everyday_autoencoder[0] / "vae", out, "cpu")
    return out / "model"


def test_a_folder_of_every_option_opens_in_diffusers_own_pipeline_and_draws_the_same(everyday_model):
    model = ldm_core.load(str(everyday_model), device="cpu", dtype="fp32")
    ours = model.sample("a red dog", 3, 2.0, steps=2)
    pipeline = StableDiffusionPipeline.from_pretrained(everyday_model, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    latent = pipeline(  # whose last step hands decode() a generator, which AutoencoderDC's does not take
        "a red dog",
        generator=torch.Generator().manual_seed(3),
        guidance_scale=2.0,
        num_inference_steps=2,
        output_type="latent",
    ).images
    assert pipeline.vae_scale_factor == 16
    with torch.inference_mode():
        theirs = (pipeline.vae.decode(latent / pipeline.vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
    assert ours.shape == (1, 3, 64, 64)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_the_card_of_an_everyday_model_prints_its_bars_and_what_was_drawn_of_the_withheld(
    everyday_model, tmp_path, capsys
):
    given = {"--count": "3", "--withheld": "1", "--guidance-scales": "1,2", "--steps": "1", "--out": str(tmp_path)}
    assert card.main([str(everyday_model), *(word for pair in given.items() for word in pair)]) == 0
    said = capsys.readouterr().out
    table = said[said.index("the bars, at w = ") :].splitlines()[2:]
    assert len(table) == 8 and all(line.split()[-1] in ("yes", "no") for line in table)
    assert table[0].split()[-1] == "no" and "coco.txt" in table[7] and table[7].split()[-1] == "yes"
    assert "never seen" in said and "relation" in said
    withheld = pd.read_csv(tmp_path / "withheld" / "images.csv")
    assert 4 <= len(withheld) <= 8 and withheld["guidance_scale"].nunique() == 1


def test_the_study_of_composition_teaches_a_model_with_examples_and_asks_for_what_was_withheld(
    everyday_model, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(DENOISERS, "tiny-everyday", dataclasses.replace(EVERYTHING, pool=12))
    given = {"model": everyday_model, "recipe": "tiny-everyday", "shown": "0,1", "pool": 12, "withheld": 1, "steps": 1}
    command = ["--out", str(tmp_path), "composition", *(f"--{name}={value}" for name, value in given.items())]
    assert study.main(command) == 0
    drawn = pd.read_csv(tmp_path / "composition" / "drawn.csv")
    asked = drawn[drawn["figure"] == "drawn"]
    assert set(asked["shown"]) == {0, 1} and set(asked["combination"]) == {"withheld", "shown all along"}
    assert asked.groupby("combination")["n"].nunique().max() == 1, "the same prompts for each"
    taught = [latents.name for latents in sorted((tmp_path / "composition" / "work").glob("*/latents-*.npy"))]
    assert taught == ["latents-12-0.npy", "latents-12-1.npy"] and "shown all along" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        study.main(["--out", str(tmp_path), "composition", "--model", "fashion"])
    assert "--model must draw the world everyday" in capsys.readouterr().err


def test_a_frozen_encoder_gives_the_same_latents_and_scale_and_the_decoder_learns_on(everyday_autoencoder, tmp_path):
    folder, config = everyday_autoencoder
    decoder_alone = dataclasses.replace(config, frozen_encoder=True, equivariance_weight=0.0)
    with pytest.raises(ValueError, match="--init must name"):
        train_autoencoder.train(decoder_alone, tmp_path / "without", "cpu")
    assert train_autoencoder.train(decoder_alone, tmp_path, "cpu", init=folder / "vae")
    before, after = (load_autoencoder(path / "vae").vae for path in (folder, tmp_path))
    assert before.config.scaling_factor == after.config.scaling_factor
    changed = {name for name, value in before.state_dict().items() if not torch.equal(value, after.state_dict()[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)


def test_decibels_are_those_of_the_rounded_pictures_of_the_held_out_seeds(everyday_autoencoder):
    folder, _ = everyday_autoencoder
    mean, error = held_out.psnr(folder / "vae", "everyday", 64, count=2)
    coder, found = load_autoencoder(folder / "vae"), []
    for image, caption in held_out.pictures("everyday", 2, 64):
        kept = coder.reconstruct(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0].permute(1, 2, 0)
        found.append(10 * np.log10(255**2 / np.mean((np.rint(kept.numpy() * 255) - image) ** 2)))
        assert image.shape == (64, 64, 3) and caption
    assert mean == pytest.approx(np.mean(found), abs=1e-3)
    assert error == pytest.approx(abs(found[0] - found[1]) / 2, abs=1e-3)  # of two values


def test_a_denoiser_that_says_nothing_errs_by_the_whole_of_v(everyday_autoencoder, tmp_path):
    config = dataclasses.replace(
        DENOISERS["tiny"], data="everyday", pool=4, image_size=64, steps=1, learning_rate=0.0, weight_decay=0.0
    )
    train_denoiser.train(config, everyday_autoencoder[0] / "vae", tmp_path, "cpu")
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "model" / "unet")
    torch.nn.init.zeros_(unet.conv_out.weight), torch.nn.init.zeros_(unet.conv_out.bias)
    unet.save_pretrained(tmp_path / "model" / "unet")
    # v of unit noise and latents of about unit spread has a mean square of about one.
    error, by_its_caption, on_things = held_out.v_error(tmp_path / "model", "everyday", 64, "cpu", count=8)
    assert error == pytest.approx(1, abs=0.4) and by_its_caption == 0 and 0.2 < on_things < 3


def test_an_autoencoder_goes_on_from_the_weights_of_a_former_stage(everyday_autoencoder, tmp_path):
    folder, config = everyday_autoencoder
    still = dataclasses.replace(config, learning_rate=0.0)
    assert train_autoencoder.train(still, tmp_path, "cpu", init=folder / "vae")
    before, after = (load_autoencoder(each / "vae").vae.state_dict() for each in (folder, tmp_path))
    assert all(torch.equal(before[name], after[name]) for name in before)
    wider = dataclasses.replace(config, channels=(24,) * 5)
    with pytest.raises(ValueError, match="another shape"):
        train_autoencoder.train(wider, tmp_path / "wider", "cpu", init=folder / "vae")


def test_a_text_encoder_reads_apart_reports_by_sort_and_starts_a_denoiser(everyday_autoencoder, tmp_path):
    text = TEXT_ENCODERS["tiny"]
    assert train_text_encoder.train(text, tmp_path / "text", "cpu")
    rows = dict(line.split(",")[::2] for line in (tmp_path / "text" / "reading.csv").read_text().splitlines()[1:])
    assert {"captions", "captions of what no picture shows", "facts: colour", "facts: relation"} <= rows.keys()
    again = dataclasses.replace(text, learning_rate=0.0, weight_decay=0.0)
    assert train_text_encoder.train(again, tmp_path / "more", "cpu", init=tmp_path / "text" / "model")
    config = dataclasses.replace(DENOISERS["tiny"], data="everyday", pool=4, image_size=64, steps=1)
    train_denoiser.train(
        config, everyday_autoencoder[0] / "vae", tmp_path / "drawn", "cpu", init=tmp_path / "more" / "model"
    )
    first, last = (
        CLIPTextModel.from_pretrained(tmp_path / name / "model" / "text_encoder").state_dict()
        for name in ("text", "drawn")
    )
    assert all(torch.equal(first[name], last[name]) for name in first)


def test_the_text_encoder_hears_of_what_no_picture_shows():
    pictured = everyday.training_scenes(300)
    assert not any(scene.has_unseen_pair or scene.has_unseen_relation for scene in pictured)
    captions = [everyday.heard(index) for index in range(600)]
    assert any(everyday.is_withheld(caption) for caption in captions)
    told = set().union(*map(everyday.facts_of, captions))
    assert told <= set(everyday.facts()) and any(fact.endswith(" thing") for fact in told)
    assert {everyday.sort_of(fact) for fact in told} == {
        "sky",
        "ground",
        "scenery",
        "kind",
        "colour",
        "count",
        "size",
        "place",
        "relation",
    }
    assert not {everyday.judged(index) for index in range(50)} & set(captions)


def test_so_many_pictures_of_each_withheld_combination_are_shown_where_a_recipe_asks():
    pictured = everyday.training_scenes(40, shown=2)
    rare = [scene for scene in pictured if scene.has_unseen_pair or scene.has_unseen_relation]
    for kind, colour in everyday.world.UNSEEN_PAIRS:
        assert sum(any((t.kind, t.colour) == (kind, colour) for t in scene.things) for scene in rare) >= 2
    assert len(pictured) == 40 and len(rare) == 2 * 8 and pictured[:24] == everyday.training_scenes(24)
    with pytest.raises(ValueError, match="room"):
        everyday.training_scenes(10, shown=2)


def test_masks_say_where_each_kind_and_colour_is():
    scene = next(scene for scene in everyday.training_scenes(50) if scene.things and scene.things[0].colour)
    masks = everyday.masks_of(scene)
    assert masks.keys() == {name for thing in scene.things for name in (thing.kind, thing.colour) if name}
    assert all(mask.shape == (16, 16) and mask.sum() > 0 and mask.max() <= 1 for mask in masks.values())


def test_recipes_are_changed_by_name_and_compared_at_equal_time(tmp_path):
    config = compare.changed(DENOISERS["tiny"], "mask_weight=0.1,optimizer=muon")
    assert config.mask_weight == 0.1 and config.optimizer == "muon"
    assert compare.changed(DENOISERS["tiny"], "channels=(32,64);steps=2").channels == (32, 64)
    with pytest.raises(ValueError, match="name=value"):
        compare.changed(DENOISERS["tiny"], "masks=1")

    def train(options, folder):
        folder.mkdir(parents=True)
        (folder / "log.csv").write_text("250,0.5,10\n300,0.4,12\n")
        return True

    assert compare.compare(["", "a=1"], tmp_path, 0.2, train, lambda folder: (len(folder.name),))
    lines = (tmp_path / "compare.csv").read_text().splitlines()
    assert lines[1:] == ["as it is,300,0.2,8.0000", "a=1,300,0.2,3.0000"]


def test_denoisers_are_compared_by_one_command_on_latents_that_they_share(everyday_autoencoder, tmp_path, monkeypatch):
    small = dataclasses.replace(DENOISERS["tiny"], data="everyday", pool=4, image_size=64)
    monkeypatch.setitem(DENOISERS, "small", small)
    command = ["denoiser", "small", "--minutes", "0.002", "--out", str(tmp_path), "--device", "cpu"]
    command += ["--autoencoder", str(everyday_autoencoder[0] / "vae"), "--options", "", "pooled_caption=False"]
    monkeypatch.setattr(held_out, "v_error", functools.partial(held_out.v_error, count=2))
    assert compare.main(command) == 0
    rows = [line.split(",") for line in (tmp_path / "compare.csv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["options", "as it is", "pooled_caption=False"]
    assert all(0 < float(row[3]) < 10 and abs(float(row[4])) < 1 for row in rows[1:])
    assert rows[0][4:] == ["by its caption", "on things"] and all(0 < float(row[5]) < 10 for row in rows[1:])
    assert [path.name for path in tmp_path.glob("**/latents*.npy")] == ["latents-4-0.npy"]


def test_a_run_of_so_many_minutes_ends_with_them_its_rate_at_zero(tmp_path):
    config = dataclasses.replace(AUTOENCODERS["tiny"], crop_steps=1000)
    run = trainer.Trainer(torch.nn.Linear(2, 2), config, tmp_path, 0, "cpu", minutes=1.0)
    assert run.learning_rate() == config.learning_rate and not run.finished
    run.seconds = 30.0
    assert run.learning_rate() == pytest.approx(config.learning_rate / 2)
    run.seconds = 60.0
    assert run.learning_rate() == pytest.approx(0.0) and run.finished
