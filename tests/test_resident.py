"""Training with everything on the device: closed forms, then the lessons of the other commands, then a tiny run of all stages."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import re
import time
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

import ldm_core
from ldm_core.loading import load_autoencoder
from ldm_core.training import (
    attention,
    everyday,
    layout,
    lesson,
    losses,
    train_autoencoder,
    train_denoiser,
    train_resident,
    train_text_encoder,
)
from ldm_core.training.batch import batch_of
from ldm_core.training.config import AUTOENCODERS, DENOISERS, TEXT_ENCODERS
from ldm_core.training.corpus import load_corpus
from ldm_core.training.folder import save_half, save_text_encoder
from ldm_core.training.muon import Muon
from ldm_core.training.resident import drawing, lessons, network, rows, stage, stages, step, studio
from ldm_core.training.resident.average import Average
from ldm_core.training.resident.recipe import RESIDENTS
from ldm_core.training.tokenizer import build_tokenizer
from ldm_core.training.trainer import optimizer_of

ALL = "text=2,decoder=2,denoiser=3,turbo=2,control=2"
DENOISER = dataclasses.replace(RESIDENTS["tiny"].denoiser, image_size=64, min_snr_gamma=5.0)
AUTOENCODER = dataclasses.replace(
    AUTOENCODERS["scenes-gpu"], image_size=64, channels=(16,) * 5, whole_batch=2, ema_decay=0.5
)
RECIPE = dataclasses.replace(
    RESIDENTS["tiny"],
    denoiser=DENOISER,
    decoder=AUTOENCODER,
    turbo=dataclasses.replace(RESIDENTS["tiny"].turbo, image_size=64),
    control=dataclasses.replace(RESIDENTS["tiny"].control, image_size=64),
)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(everyday.words(), 64)


@pytest.fixture(scope="module")
def init(tmp_path_factory, tokenizer):
    """A model's folder before there is a U-Net: an untrained autoencoder and text encoder."""
    folder = tmp_path_factory.mktemp("resident")
    torch.manual_seed(0)
    vae = train_autoencoder.build(AUTOENCODER)
    vae.register_to_config(scaling_factor=1.0)
    save_half(vae, folder / "vae")
    reader = train_text_encoder.build(TEXT_ENCODERS["tiny"], tokenizer, load_corpus("everyday", 1, 16))
    save_text_encoder(folder, reader["text_encoder"], tokenizer, everyday.words())
    return folder


@pytest.fixture(scope="module")
def run(init, tmp_path_factory):
    """Every stage, by the command's own function."""
    out = tmp_path_factory.mktemp("run")
    assert train_resident.train(RECIPE, init, out, "cpu", train_resident.numbers_by_stage(ALL), {}, workers=1) == []
    return out


def layers():
    """Matrices and convolutions, some of one shape, with what Adam moves."""
    torch.manual_seed(1)
    inner = [nn.Conv2d(8, 16, 3), nn.Conv2d(16, 16, 3), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(16, 40)]
    return nn.Sequential(nn.Conv2d(3, 8, 1), *inner)


def test_matrices_that_move_together_move_as_one_by_one():
    plain, together = layers(), layers()
    optimizers = [
        Muon(net.parameters(), 0.01, weight_decay=0.1, plain=[net[0].weight], capturable=capturable)
        for net, capturable in ((plain, False), (together, True))
    ]
    began = [value.clone() for value in plain.parameters()]
    for turn in range(5):
        for net, optimizer in zip((plain, together), optimizers):
            generator = torch.Generator().manual_seed(turn)
            for value in net.parameters():
                value.grad = torch.randn(value.shape, generator=generator)
            optimizer.step()
    for start, (name, one), other in zip(began, plain.named_parameters(), together.parameters()):
        exact, moved = one.ndim == 1 or name == "0.weight", (one - start).norm()
        assert moved > 0 and (one - other).norm() < (1e-4 if exact else 0.08) * moved, "but for bfloat16"


def test_a_rate_that_lies_on_the_device_is_filled_and_one_that_does_not_is_refused():
    parameter = nn.Parameter(torch.ones(3, 2))
    optimizer = Muon([parameter], lr=0.1, capturable=True)
    step.set_rate(optimizer, 0.0)
    parameter.grad = torch.ones(3, 2)
    optimizer.step()
    assert torch.equal(parameter, torch.ones(3, 2)) and optimizer.state[parameter]["momentum"].any()
    step.forget(optimizer)
    assert not optimizer.state[parameter]["momentum"].any()
    with pytest.raises(TypeError, match="must be a tensor, got 0.1"):
        step.set_rate(Muon([parameter], lr=0.1), 0.0)


def test_rows_are_drawn_from_what_is_published_only_and_never_beyond_their_capacity():
    kept = rows.Rows(5, "cpu", {"value": ((), torch.float32)})
    kept.add({"value": torch.arange(1.0, 4.0), "other": torch.zeros(3)})
    assert kept.chosen(100).unique().tolist() == [0], "nothing is published"
    kept.publish(2)
    assert kept.chosen(200).unique().tolist() == [0, 1]
    kept.add({"value": torch.arange(4.0, 9.0)})
    assert kept.full and kept["value"].tolist() == [1, 2, 3, 4, 5]


def test_bits_and_places_are_what_they_were_packed_from():
    shown = np.random.default_rng(0).random((2, 16, 16)) > 0.5
    packed = torch.from_numpy(np.packbits(shown, axis=2))
    assert np.array_equal(lessons.unpacked(packed)[:, 0].numpy(), shown)
    assert lessons.stated(torch.tensor([[2, 0, -1], [-1, -1, -1]]), 4).tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]


def test_the_rate_rises_and_falls_to_nothing():
    assert stage.rate_at(stage.WARM / 2, 1.0) == pytest.approx(0.5)
    assert stage.rate_at(0.5, 3.0) == pytest.approx(1.5) and stage.rate_at(1.0, 1.0) == pytest.approx(0)


def test_lessons_drawn_ahead_hold_the_pictures_the_captions_and_the_masks_of_the_corpus(tokenizer):
    made = drawing.Drawing(tokenizer, 64, 64, 2, attribute_dropout=0.0)
    corpus = load_corpus("everyday", 8, 64)
    with studio.Studio({"silhouettes": made.silhouettes}, workers=1, chunk=8) as workers:
        kind, found = next(taken for _ in range(300) if (taken := workers.take(wait=0.1)))
    assert kind == "silhouettes"
    assert all(np.array_equal(found["images"][i], corpus.images[i]) for i in range(8))
    told = [[corpus.caption(i, k) for k in range(2)] for i in range(8)]
    assert [
        [tokenizer.decode(line, skip_special_tokens=True).strip() for line in each] for each in found["tokens"]
    ] == [
        [tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True).strip() for text in each]
        for each in told
    ]
    shown = lessons.unpacked(torch.from_numpy(found["silhouettes"]))[:, 0].numpy()
    assert np.abs(shown - np.stack([corpus.silhouette(i) for i in range(8)]) / 255.0).mean() < 0.02, "but for edges"
    masks, names = torch.from_numpy(found["masks"]).float() / 255, torch.from_numpy(found["names"]).long()
    covered = layout.layouts([corpus.masks(i) for i in range(8)], drawing.NAMES)
    torch.testing.assert_close(
        lessons.covered_by_names(masks, names, len(drawing.NAMES)), covered, atol=1 / 255, rtol=0
    )


def test_captions_heard_ahead_are_those_that_the_text_encoder_hears_with_what_they_state(tokenizer):
    made = drawing.Drawing(tokenizer, 64, 64, 1, 0.0).heard(3, 1)
    facts = everyday.facts()
    for row, index in zip(range(3), itertools.count(3 * drawing.HEARD)):
        said = everyday.heard(index)
        assert tokenizer(said, padding="max_length", max_length=64).input_ids == made["tokens"][row].tolist()
        assert {facts[k] for k in made["facts"][row] if k >= 0} == everyday.facts_of(said)


def test_a_maker_that_fails_is_said_and_the_others_work_on():
    def broken(start, count):
        raise OSError("no ink")

    said = []
    makers = {"good": lambda start, count: {"place": np.arange(start, start + count)}, "bad": broken}
    with studio.Studio(makers, workers=1, chunk=2, say=said.append) as workers:
        found = [taken for _ in range(6) if (taken := workers.take(wait=5.0))]
    assert found and {kind for kind, _ in found} == {"good"} and "could not make bad: OSError('no ink')" in said[0]


def test_attention_outside_few_masks_is_that_outside_a_mask_a_token():
    generator = torch.Generator().manual_seed(0)
    looked_up = torch.randn(2, 16, 6, generator=generator).softmax(-1)
    masks = (torch.rand(2, 3, 4, 4, generator=generator) > 0.5).float()
    place = torch.tensor([[0, -1, 2, 2, -1, 1], [-1, -1, -1, 0, -1, -1]])
    match = place[:, :, None] == torch.arange(3)
    spread = torch.einsum("btm,bmhw->bthw", match.float(), masks)
    expected = losses.attention_outside(looked_up, spread, match.any(2).float())
    torch.testing.assert_close(losses.attention_outside_slots(looked_up, masks, match), expected)


@pytest.fixture
def lesson_pair(tokenizer, monkeypatch):
    """The denoiser's lesson of train_denoiser and that on resident rows: the same networks, pictures and arithmetic."""
    monkeypatch.setattr(lesson, "mixed", lambda device: nullcontext())
    monkeypatch.setattr(network, "mixed", lambda device: nullcontext())
    torch.manual_seed(0)
    corpus, scheduler = load_corpus("everyday", 8, 64), train_denoiser.noise_schedule(DENOISER)
    module = train_denoiser.build(DENOISER, 16, tokenizer, 4)
    module["layout"] = layout.LayoutHead(module["unet"], drawing.NAMES)
    twin = copy.deepcopy(module["unet"])
    head = layout.LayoutHead(twin, drawing.NAMES)
    head.read.load_state_dict(module["layout"].read.state_dict())
    latents = np.random.default_rng(0).standard_normal((8, 16, 4, 4)).astype(np.float16)
    theirs = lesson.Lesson(module, tokenizer, corpus, latents, scheduler, DENOISER, "cpu")
    made = drawing.Drawing(tokenizer, 64, 64, 2, 0.0).pictures(0, 8)
    kept = rows.Rows(
        8,
        "cpu",
        {name: (made[name].shape[1:], torch.from_numpy(made[name]).dtype) for name in ("tokens", "masks", "names")}
        | {"latents": ((16, 4, 4), torch.float16)},
    )
    kept.add({name: torch.from_numpy(value) for name, value in {**made, "latents": latents}.items()})
    kept.publish(8)
    nothing = torch.tensor(tokenizer("", padding="max_length", max_length=64).input_ids)
    telling = lessons.Telling(kept, module["text_encoder"].requires_grad_(False), nothing, 0.1)
    named = lessons.names_of_tokens(tokenizer, everyday.names(), drawing.NAMES)
    predict = network.predictor(twin, "plain", "cpu")
    ours = lessons.DenoiserLesson(predict, head, attention.keep_maps(twin), telling, scheduler, named, DENOISER)
    return theirs, ours, twin


def test_the_loss_on_resident_rows_is_that_of_the_other_command_on_the_same_batch(lesson_pair):
    theirs, ours, _ = lesson_pair
    kept = ours.telling.rows
    for number in range(3):
        batch = batch_of(theirs.latents, theirs.corpus, DENOISER, number, "cpu")
        t, _, _ = batch.noised(theirs.alpha_bars, DENOISER.time_sampling, DENOISER.prediction_type)
        masks, names = kept["masks"][batch.pictures].float() / 255, kept["names"][batch.pictures].long()
        found = ours.error(batch.clean, batch.noise, t, theirs.tokens_of(batch.captions), masks, names)
        assert found.item() == pytest.approx(theirs.loss(number).item(), rel=1e-3), "masks are of 8 bits"


def test_the_u_net_in_bfloat16_says_nearly_the_same_and_teaches_the_weights_in_float32(lesson_pair):
    _, ours, unet = lesson_pair
    plain = network._seeded_loss(ours)
    ours.predict = network.predictor(unet, "bf16", "cpu")
    torch.manual_seed(0)
    loss = ours.loss()
    loss.backward()
    assert loss.item() == pytest.approx(plain, rel=network.AGREES) and loss.item() != plain
    gradients = [value.grad for value in unet.parameters()]
    assert all(value is not None and value.dtype == torch.float32 for value in gradients)
    assert all(value.dtype == torch.float32 for value in unet.parameters())


def test_a_way_that_fails_is_left_out_of_the_trial_which_moves_no_weight(lesson_pair):
    _, ours, unet = lesson_pair
    before, said = [value.clone() for value in unet.parameters()], []
    module = nn.ModuleDict({"unet": unet, "layout": ours.layout})
    optimizer = optimizer_of(module, DENOISER, capturable=True)
    chosen = network.quickest(ours, unet, optimizer, "cpu", 0.01, said.append, ways=("plain", "by post"))
    assert chosen == "plain" and "by post: left out, ValueError" in said[-1]
    assert all(torch.equal(value, old) for value, old in zip(unet.parameters(), before))


def test_what_takes_too_long_is_stopped():
    with pytest.raises(TimeoutError, match="not done in 0.05 seconds"), network.limited(0.05):
        time.sleep(10)
    with network.limited(0.05):
        pass
    time.sleep(0.1)


@pytest.mark.slow
def test_the_compiled_ways_agree_with_the_plain_one(lesson_pair):
    _, ours, unet = lesson_pair
    plain = network._seeded_loss(ours)
    for way in ("compiled", "bf16-compiled"):
        ours.predict = network.predictor(unet, way, "cpu", backend="aot_eager")
        torch.manual_seed(0)
        loss = ours.loss()
        loss.backward()
        assert loss.item() == pytest.approx(plain, rel=network.AGREES)


class NothingComes:
    """In place of an intake whose lessons are all there."""

    def ingest(self):
        return False


class Clock:
    """A second each time that it is asked."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def simple_stage(tmp_path, loss_of_turn, seconds):
    """A stage of one weight; loss_of_turn(turn, weight)."""
    module, turns = nn.Linear(1, 1), itertools.count()
    optimizer = Muon(module.parameters(), lr=0.1, capturable=True)
    taken = step.Step(lambda: loss_of_turn(next(turns), module.weight), optimizer, "cpu")
    course = stage.Course(tmp_path, {"text": seconds}, Clock())
    return module, lambda: stage.run_stage("text", taken, Average(module, 0.5), 0.1, NothingComes(), course)


def test_the_seconds_of_a_stage_that_runs_are_what_the_file_says_by_then(tmp_path):
    def loss(turn, weight):
        if turn == 20:
            (tmp_path / "seconds.json").write_text(json.dumps({"text": 100}))
        return weight.square().sum()

    _, teach = simple_stage(tmp_path, loss, seconds=1e6)
    assert 20 < teach() < 100
    course = stage.Course(tmp_path, {"text": 5.0, "turbo": 7.0})
    assert course.seconds("text") == 100 and course.seconds("turbo") == 7 and course.seconds("control") == 0
    (tmp_path / "seconds.json").write_text('{"text": 3')
    assert course.seconds("text") == 5, "half written"


def test_a_loss_that_is_lost_goes_back_to_the_average_at_half_the_rate_and_is_given_up_at_last(tmp_path, capsys):
    module, teach = simple_stage(
        tmp_path, lambda turn, weight: weight.square().sum() * (float("nan") if turn == 30 else 1), 200
    )
    teach()
    assert module.weight.isfinite().all() and "not finite at step" in capsys.readouterr().out
    module, teach = simple_stage(tmp_path, lambda turn, weight: weight.sum() * float("nan"), 1e4)
    began = module.weight.detach().clone()
    with pytest.raises(FloatingPointError, match=f"lost {stage.LOSSES + 1} times"):
        teach()
    assert torch.equal(module.weight, began)


def test_what_was_taught_on_a_gpu_is_the_network_that_ships():
    shapes = ("channels", "heads", "attention", "layers_per_block", "text_width", "text_layers", "pooled_caption")
    cpu, gpu = (DENOISERS[name] for name in ("scenes-cpu", "scenes-gpu"))
    assert all(getattr(cpu, name) == getattr(gpu, name) for name in shapes)
    recipe = RESIDENTS["scenes-gpu"]
    assert (gpu.batch, gpu.learning_rate, gpu.ema_decay, recipe.captions) == (512, 1.5e-3, 0.9995, 8)
    assert recipe.decoder.frozen_encoder and recipe.text.width == gpu.text_width


def test_stages_are_given_as_numbers_by_name():
    assert train_resident.numbers_by_stage("text=40,turbo=1.5") == {"text": 40, "turbo": 1.5}
    assert train_resident.ways_of("plain,bf16") == ("plain", "bf16")
    with pytest.raises(Exception, match="must be of plain, bf16, .* got fp8"):
        train_resident.ways_of("plain,fp8")
    for wrong in ("tex=4", "text", "text=-1", "text=inf"):
        with pytest.raises(Exception, match=rf"{wrong}.* must be STAGE=NUMBER above 0, the stage one of text"):
            train_resident.numbers_by_stage(wrong)


def test_a_run_of_every_stage_leaves_a_model_a_turbo_model_and_a_control_that_draw(init, run):
    control = ldm_core.load(str(run / "model"), device="cpu", control=str(run / "control"), engine="torch")
    turbo = ldm_core.load(str(run / "turbo"), device="cpu", engine="torch")
    for model in (control, turbo):
        assert model.sample("a red dog", 1, steps=2).isfinite().all()
    stages_noted = [line.split(",")[1] for line in (run / "log.csv").read_text().splitlines()]
    assert list(dict.fromkeys(stages_noted)) == ["text", "decoder", "denoiser", "turbo", "control"]
    assert (run / "reading.csv").read_text().startswith("what,count,read")
    began, ended = (load_autoencoder(folder / "vae").vae.encoder.state_dict() for folder in (init, run / "model"))
    assert all(torch.equal(value, ended[name]) for name, value in began.items()), "denoisers of its latents stay right"


def test_a_run_goes_on_from_what_another_left(run, tmp_path, capsys):
    assert train_resident.train(RECIPE, run / "model", tmp_path, "cpu", {"denoiser": 1.0}, {"denoiser": 1e-4}, 1) == []
    found, whole = re.search(r"begins with (\d+) of (\d+) tensors", capsys.readouterr().out).groups()
    assert found == whole
    weights = [
        ldm_core.load(str(folder / "model"), device="cpu", dtype="fp32", engine="torch").denoiser.network.state_dict()
        for folder in (run, tmp_path)
    ]
    apart = [(weights[0][name] - value).abs().max().item() for name, value in weights[1].items()]
    assert max(apart) < 0.01, "at a small rate it stays near"


def test_a_denoiser_that_was_taught_is_not_pulled_at_by_a_layout_head_of_random_weights(
    init, run, tmp_path, monkeypatch
):
    heads = []

    def seen(self, name, loss_of, module, recipe, save=None):
        heads.append(module["layout"].read.weight.detach().clone())

    monkeypatch.setattr(stages.Stages, "_teach", seen)
    for number, folder in enumerate((init, run / "model")):
        assert train_resident.train(RECIPE, folder, tmp_path / str(number), "cpu", {"denoiser": 1.0}, {}, 1) == []
    assert heads[0].any() and not heads[1].any()


def test_a_stage_that_fails_leaves_the_others(init, tmp_path, monkeypatch, capsys):
    def broken(self):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(stages.Stages, "text", broken)
    monkeypatch.setitem(RESIDENTS, "tiny", RECIPE)
    given = f"tiny --init {init} --out {tmp_path} --seconds text=1,decoder=1 --device cpu --workers 1"
    with pytest.raises(SystemExit) as ended:
        train_resident.main(given.split())
    told = capsys.readouterr()
    assert (
        ended.value.code == 2 and "these stages failed, the others are in" in told.err and "decoder: step" in told.out
    )
    assert (tmp_path / "model" / "vae" / "config.json").exists()


def test_a_folder_that_is_no_model_is_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match="must be a model's folder"):
        train_resident.train(RECIPE, tmp_path, tmp_path / "out", "cpu", {"text": 1.0}, {}, 1)
