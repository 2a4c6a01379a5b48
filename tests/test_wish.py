"""Readers of latents, and what a drawing lacks of what its caption asks for."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from transformers import CLIPTextModel, CLIPTokenizer

import ldm_core
from ldm_core.data.everyday import (
    GROUNDS,
    HELD_OUT_SEEDS,
    KINDS,
    RELATIONS,
    SKIES,
    Scene,
    Thing,
    caption,
    parse,
    random_scene,
)
from ldm_core.data.everyday.truth import ATTRIBUTES, GRID, MOST, UNSEEN, with_neighbours
from ldm_core.denoisers import guidance_embedding
from ldm_core.precision import mixed
from ldm_core.sampling import image_generators, initial_noise
from ldm_core.training import drawer, train_denoiser, train_latent_reader, train_turbo, turbo_lesson
from ldm_core.training.config import DENOISERS, LATENT_READERS, TURBOS
from ldm_core.training.corpus import load_corpus
from ldm_core.training.latent_reader import ANSWERS, LatentReader, counted, load_reader, misread, numbers_of_kinds
from ldm_core.training.lesson import Lesson
from ldm_core.training.wish import Wanted, surprise, surprise_of_number, wish_of
from ldm_core.training.wish_lesson import WRONG, Judge, WishLesson, harder, pull, with_wishes

SIDE = 16
SURE = 16.0  # a logit
SCENES_FOLDER = Path("ldm_core/weights/scenes")


@pytest.mark.parametrize(("mu", "count"), [(0.3, 1), (2.0, 1), (2.5, 3), (1e-3, 2), (0.7, 0)])
def test_what_is_surprising_in_a_number_is_how_much_less_likely_poisson_makes_it_than_the_best_mean(mu, count):
    expected = poisson.logpmf(count, count) - poisson.logpmf(count, mu)
    found = surprise_of_number(torch.tensor(mu, dtype=torch.double), count)
    assert found.item() == pytest.approx(expected, abs=1e-9)


def test_one_or_more_is_as_surprising_as_it_is_unlikely_that_no_cell_holds_one():
    for chances in ([0.01], [0.5, 0.5], [0.2, 0.9, 0.4]):
        cells = itertools.product((False, True), repeat=len(chances))
        some = sum(math.prod(c if here else 1 - c for c, here in zip(chances, one)) for one in cells if any(one))
        found = surprise_of_number(torch.tensor(chances, dtype=torch.double), None)
        assert found.item() == pytest.approx(-math.log(some), abs=1e-9)


def test_a_second_thing_pleases_nobody_who_asked_for_one_or_more():
    sure, other = torch.tensor(0.9999), torch.tensor(0.3, requires_grad=True)
    surprise_of_number(torch.stack([sure, other]), None).backward()
    assert abs(other.grad) < 0.01


def test_the_pull_on_a_thing_that_is_missing_does_not_fade_with_its_chance():
    logit = torch.tensor(-5.0, requires_grad=True)
    surprise_of_number(logit.sigmoid(), 1).backward()
    assert logit.grad == pytest.approx(-1, abs=0.02)


def kind(name):
    return (KINDS.index(name),)


def said(name, answer):
    return name, ATTRIBUTES[name].index(answer)


def test_a_wish_holds_every_number_that_a_caption_states():
    asked = parse("two small black dogs next to a horse on the beach at night, and a cat on the left")
    complete = Scene("night", "beach", tuple(Thing(one, count=1) for one in ("dog", "horse", "cat")))
    wish = wish_of(asked, complete)
    black, related = said("colour", "black"), said("relation", "next to")
    assert set(wish.wanted) == {
        Wanted(kind("dog"), (), 2),
        Wanted(kind("horse"), (), 1),
        Wanted(kind("cat"), (), 1),
        Wanted(kind("dog"), (black,), 2),
        Wanted(kind("dog"), (black, said("size", "small")), 2),
        Wanted((*kind("dog"), *kind("horse")), (related,)),
        Wanted(kind("cat"), (said("place", "left"),), 1),
    }
    assert wish.scene == (("sky", SKIES.index("night")), ("ground", GROUNDS.index("beach")))
    assert len(wish.absent) == len(KINDS) - 3 and not {*kind("dog"), *kind("cat")} & {*wish.absent}


def test_what_a_caption_does_not_name_may_be_there_unless_it_names_all():
    asked, scene = parse("a cat"), Scene("day", "field", (Thing("cat", count=1), Thing("dog", count=1)))
    assert wish_of(asked, scene).absent == ()
    assert len(wish_of(asked, dataclasses.replace(scene, things=scene.things[:1])).absent) == len(KINDS) - 1


def test_two_groups_of_a_kind_are_counted_together_and_each_by_its_colour():
    asked = Scene(None, None, (Thing("car", "red", 1), Thing("car", "blue", 2)))
    red, blue = said("colour", "red"), said("colour", "blue")
    expected = {Wanted(kind("car"), (), 3), Wanted(kind("car"), (red,), 1), Wanted(kind("car"), (blue,), 2)}
    assert set(wish_of(asked, asked).wanted) == expected


def truth_of(scenes):
    return {name: torch.from_numpy(values) for name, values in train_latent_reader.truth_of(scenes).items()}


def test_next_to_is_true_of_both_who_stand_beside_each_other_and_of_nobody_else():
    next_to, found = ATTRIBUTES["relation"].index("next to"), 0
    for seed in HELD_OUT_SEEDS[:300]:
        scene = random_scene(seed)
        labels = train_latent_reader.labels_of_drawing(scene)
        there = [(row, one) for row, one in enumerate(labels["kind"]) if one != UNSEEN]
        for row, _ in there:
            alone = all(
                abs(labels["box"][row][3] - labels["box"][other][3]) > 0.1 for other, _ in there if other != row
            )
            assert not (alone and labels["relation"][row] == next_to)
        for thing in scene.things:
            if thing.relation == "next to":
                kinds = {KINDS.index(thing.kind), KINDS.index(scene.things[thing.other].kind)}
                assert kinds <= {one for row, one in there if labels["relation"][row] == next_to}
                found += 1
    assert found > 5


def test_what_a_scene_says_of_a_relation_stays_where_neighbours_are_told():
    riding, next_to = (ATTRIBUTES["relation"].index(name) for name in ("riding", "next to"))
    said = {
        "kind": np.array([1, 2, 1, UNSEEN]),
        "colour": np.array([0, 0, 0, UNSEEN]),
        "relation": np.array([riding, 0, 0, 0]),
    }
    said["box"] = np.array([[0.1, 0.5, 0.3, 0.8], [0.32, 0.5, 0.5, 0.8], [0.7, 0.5, 0.9, 0.8], [0.32, 0.5, 0.5, 0.8]])
    assert with_neighbours(said)["relation"].tolist() == [riding, next_to, 0, 0]
    twins = said | {"kind": np.array([1, 1, 1, UNSEEN]), "relation": np.zeros(4, int)}
    assert with_neighbours(twins)["relation"].tolist() == [0, 0, 0, 0], "two of a kind and colour are one group"
    assert said["relation"][1] == 0, "the labels that were given are as they were"


def told(truth):
    """The logits of a reader that is sure of all that is true."""
    count = len(truth["kind"])
    logits = {name: torch.full((count, size, SIDE, SIDE), -SURE) for name, size in ANSWERS.items()}
    for row in range(count):
        for place in range(MOST):
            if (thing := int(truth["kind"][row, place])) == UNSEEN:
                continue
            cell = int(truth["cell"][row, place])
            y, x = cell // GRID * SIDE // GRID, cell % GRID * SIDE // GRID
            logits["kind"][row, thing, y, x] = SURE
            for name in ATTRIBUTES:
                if (answer := int(truth[name][row, place])) != UNSEEN:
                    logits[name][row, answer, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = SURE
    for name in ("sky", "ground", "scenery"):
        logits[name] = logits[name].mean((2, 3))
    logits["sky"][range(count), truth["scene"][:, 0]] = SURE
    logits["ground"][range(count), truth["scene"][:, 1]] = SURE
    logits["scenery"] = SURE * (2.0 * truth["scene"][:, 2:] - 1)
    return logits


SEEDS = HELD_OUT_SEEDS[:24]
SCENES = [random_scene(seed) for seed in SEEDS]


def test_who_reads_all_rightly_finds_little_surprising_in_a_scenes_own_caption_and_much_in_anothers():
    asked = [parse(caption(scene, seed)) for scene, seed in zip(SCENES, SEEDS)]
    own = surprise(told(truth_of(SCENES)), [wish_of(one, scene) for one, scene in zip(asked, SCENES)])
    other = surprise(told(truth_of(SCENES)), [wish_of(one, scene) for one, scene in zip(asked[1:] + asked[:1], SCENES)])
    assert (other > 3).all()
    # A size that the drawing does not tell, or two of a kind with their middles in one cell, is surprising all the same.
    assert own.median() < 0.1 and (own < 2).float().mean() > 0.8


def test_nothing_is_misread_where_all_is_true_and_everything_where_nothing_is():
    truth = truth_of(SCENES[:6])
    beside = torch.zeros(2, 6, MOST, dtype=torch.long)
    right = misread(told(truth), truth, beside)
    assert set(right) == set(ANSWERS)
    lost = {name: value for name, value in right.items() if value > 0.01}
    assert set(lost) <= set(ATTRIBUTES), "but for things so near to each other that one's cells are the other's"
    wrong = misread({name: -values for name, values in told(truth).items()}, truth, beside)
    assert all(wrong[name] > right[name] + 5 for name in ANSWERS)


def test_the_loss_is_the_cross_entropy_of_the_cell_that_holds_the_middle():
    scene = Scene("day", "field", (Thing("cat", "black", 1, "center", "big"),))
    truth = truth_of([scene])
    logits = {name: torch.randn(1, size, SIDE, SIDE) for name, size in ANSWERS.items()}
    for name in ("sky", "ground", "scenery"):
        logits[name] = logits[name].mean((2, 3))
    cell = int(truth["cell"][0, 0])
    y, x = cell // GRID // 2, cell % GRID // 2
    found = misread(logits, truth, torch.zeros(2, 1, MOST, dtype=torch.long))
    expected = -logits["colour"][0, :, y, x].log_softmax(0)[ATTRIBUTES["colour"].index("black")]
    assert found["colour"].item() == pytest.approx(expected.item(), rel=1e-5)
    asked_left = torch.zeros(2, 1, MOST, dtype=torch.long)
    asked_left[1] = -1
    beside = misread(logits, truth, asked_left)["colour"]
    expected = -logits["colour"][0, :, y, x - 1].log_softmax(0)[ATTRIBUTES["colour"].index("black")]
    assert beside.item() == pytest.approx(expected.item(), rel=1e-5)
    p = logits["kind"].sigmoid().double()
    there = p[0, KINDS.index("cat"), y, x]
    total = -(1 - p).log().sum() + (1 - there).log() - there.log()
    assert found["kind"].item() == pytest.approx(total.item(), rel=1e-4)


def test_of_a_scene_without_things_only_the_scene_is_read():
    truth = truth_of([Scene("day", "field", ())])
    found = misread(told(truth), truth, torch.zeros(2, 1, MOST, dtype=torch.long))
    assert set(found) == {"kind", "sky", "ground", "scenery"} and all(value < 0.1 for value in found.values())


def test_things_are_counted_by_their_chances():
    logits = torch.full((1, 2, 2, 2), -SURE)
    logits[0, 1, 0] = torch.tensor([SURE, 0.0])
    torch.testing.assert_close(counted(logits), torch.tensor([[0.0, 1.5]]), atol=1e-4, rtol=0)
    kinds = np.array([[1, 1, UNSEEN], [UNSEEN, UNSEEN, 0]])
    assert numbers_of_kinds(kinds)[:, :3].tolist() == [[0, 2, 0], [1, 0, 0]]


@pytest.fixture(scope="module")
def model():
    return ldm_core.load("scenes", device="cpu", dtype="float32", engine="torch")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two steps of training, and how its end is said."""
    out = tmp_path_factory.mktemp("reader")
    assert train_latent_reader.train(LATENT_READERS["tiny"], "scenes", out, "cpu", judged=2)
    return out


def test_a_reader_begins_as_the_models_own_network_that_sees_nothing(model):
    reader = LatentReader(model)
    said = reader(torch.randn(2, model.latent_channels, SIDE, SIDE), torch.tensor([0, 800]))
    assert [said[name].shape for name in ("kind", "relation", "sky")] == [
        (2, len(KINDS), SIDE, SIDE),
        (2, len(ATTRIBUTES["relation"]), SIDE, SIDE),
        (2, len(SKIES)),
    ]
    torch.testing.assert_close(counted(said["kind"]), torch.full((2, len(KINDS)), 256 / (1 + math.exp(5))))
    own, drawing = reader.unet.state_dict(), model.denoiser.network.state_dict()
    assert all(torch.equal(own[name], drawing[name]) for name in drawing if not name.startswith("conv_out."))


def test_a_reader_learns_what_latents_show(model):
    """Four drawings by heart, in a few steps of a plain optimiser."""
    torch.manual_seed(0)
    reader, truth = LatentReader(model), truth_of(SCENES[:4])
    corpus = load_corpus("everyday", 4, 256)
    clean = torch.cat([model.encode(torch.from_numpy(image).permute(2, 0, 1)[None] / 255) for image in corpus.images])
    truth, beside, t = truth_of(corpus.scenes), torch.zeros(2, 4, MOST, dtype=torch.long), torch.zeros(4).long()
    optimizer = torch.optim.AdamW(reader.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = torch.stack([*misread(reader(clean, t), truth, beside).values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_trained_reader_is_kept_and_read_again(trained, model):
    reader = load_reader(trained / "reader.safetensors", model)
    assert not any(value.requires_grad for value in reader.parameters())
    fresh = LatentReader(model).unet.state_dict()
    changed = [name for name, value in reader.unet.state_dict().items() if not torch.equal(value, fresh[name])]
    assert len(changed) > 0.9 * len(fresh)


def test_a_file_that_is_no_reader_of_this_model_is_refused_in_a_line(trained, model, tmp_path):
    (tmp_path / "cut.safetensors").write_bytes((trained / "reader.safetensors").read_bytes()[:1000])
    for path in (tmp_path / "cut.safetensors", tmp_path / "none", "ldm_core/weights/scenes-turbo/lora.safetensors"):
        with pytest.raises(
            ValueError, match="^--reader .* is none that train_latent_reader made of this model: [^\n]*$"
        ):
            load_reader(path, model)


def test_a_reader_goes_on_from_what_an_earlier_one_had_learned(trained, model, tmp_path, capsys):
    still = dataclasses.replace(LATENT_READERS["tiny"], learning_rate=0.0, weight_decay=0.0)
    earlier = trained / "reader.safetensors"
    assert train_latent_reader.train(still, "scenes", tmp_path / "more", "cpu", judged=0, init=earlier)
    first, more = (load_reader(path, model).unet.state_dict() for path in (earlier, tmp_path / "more" / earlier.name))
    assert all(torch.equal(first[name], more[name]) for name in first)
    command = ["tiny", "--model", "scenes", "--device", "cpu", "--out", str(tmp_path / "no"), "--init", "nowhere"]
    with pytest.raises(SystemExit, match="2"):
        train_latent_reader.main(command)
    assert "--init nowhere is none that train_latent_reader made" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_reader_is_not_trained_of_a_model_of_another_world(tmp_path, capsys):
    command = ["tiny", "--model", "fashion", "--device", "cpu", "--out", str(tmp_path / "no")]
    with pytest.raises(SystemExit, match="2"):
        train_latent_reader.main(command)
    assert "--model must be trained on everyday, got fashion of fashion" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def lesson_of(model, config):
    torch.manual_seed(0)
    student = train_turbo.build(config, model.denoiser.network)
    return student, turbo_lesson.TurboLesson(student, model, config, "cpu")


def test_what_a_student_draws_in_all_its_steps_is_where_it_walks_step_by_step(model):
    config = dataclasses.replace(TURBOS["tiny"], drawing_steps=4, teacher_steps=4)
    _, lesson = lesson_of(model, config)
    noise = lesson.noise(1, torch.Generator().manual_seed(1))
    words, weight = lesson.words(["a red house"]), torch.tensor([2.0])
    drawn = lesson.drawn(noise, weight, words)
    walked = lesson.walked(noise.repeat(4, 1, 1, 1), weight.repeat(4), words.expand(4, -1, -1))
    last = torch.tensor([3])
    v = lesson.said(walked[3:], last, weight, words)
    ended = drawer.ddim_step(walked[3:], v, lesson.alpha_bars[last], lesson.alpha_bars[last + 1])
    assert (drawn - ended).square().mean().sqrt() < 0.02


def test_a_step_down_the_gradient_makes_a_drawing_less_surprising(model):
    student, lesson = lesson_of(model, TURBOS["tiny-wishes"])
    reader = LatentReader(model)
    torch.nn.init.normal_(reader.unet.conv_out.weight, std=0.02)
    wishes = WishLesson(lesson, reader.requires_grad_(False), load_corpus("everyday", 4, 256))
    asked = [0, 1], ["two black cats", "a red house at night"]

    def loss():
        return wishes.loss(*asked, torch.Generator().manual_seed(3))

    before = loss()
    before.backward()
    learning = [value for value in student.parameters() if value.requires_grad]
    pulls = [value for value in learning if value.grad is not None and value.grad.abs().max() > 0]
    assert len(pulls) > len(learning) / 3, "a low-rank change begins with one of its factors at nothing"
    size = torch.stack([value.grad.norm() for value in pulls]).norm()
    with torch.no_grad():
        for value in pulls:
            value -= 0.05 * value.grad / size
    assert loss() < before


def test_what_a_denoiser_draws_while_it_is_taught_is_what_its_guided_sampler_draws(model):
    guided = drawer.GuidedDrawer(model.denoiser.network, model, 4, "cpu")
    noise = initial_noise(image_generators([5]), (model.latent_channels, SIDE, SIDE))
    with torch.no_grad():
        drawn = guided.drawn(noise, torch.tensor([3.0]), guided.words(["two black cats at night"]))
    *_, last = model.denoise("two black cats at night", 5, 3.0, steps=4, scheduler="ddim")
    assert (drawn - last.latent).square().mean().sqrt() < 0.05, "bfloat16 in the one, float32 in the other"


def test_guided_steps_are_followed_by_what_is_said_of_captions_alone(model):
    """At w = 0 nothing of a caption enters a drawing, so nothing can be learned from it."""
    network = copy.deepcopy(model.denoiser.network).requires_grad_(True)
    guided = drawer.GuidedDrawer(network, model, 2, "cpu")
    noise, told = guided.noise(1, torch.Generator().manual_seed(2)), guided.words(["a red house"])
    pulled = {}
    for weight in (0.0, 3.0):
        network.zero_grad(set_to_none=True)
        guided.drawn(noise, torch.tensor([weight]), told).square().mean().backward()
        pulled[weight] = sum(float(value.grad.abs().sum()) for value in network.parameters())
    assert pulled[0.0] == 0 and pulled[3.0] > 0


@pytest.fixture(scope="module")
def few_steps():
    return ldm_core.load("scenes-turbo", device="cpu", dtype="float32", engine="torch")


def test_drawings_that_a_few_step_model_finishes_are_what_the_two_models_draw(model, few_steps):
    """Four rows: of the last all eight steps are guided, of the first two are and the few-step model goes the other three."""
    finished = drawer.FinishedDrawer(model.denoiser.network, model, few_steps, 8, "cpu")
    guided = drawer.GuidedDrawer(model.denoiser.network, model, 8, "cpu")
    noise, weights = finished.noise(4, torch.Generator().manual_seed(3)), torch.full((4,), 3.0)
    told = finished.words(["a red house"] * 4)
    with torch.no_grad():
        drawn = finished.drawn(noise, weights, told)
        whole = guided.drawn(noise[3:], weights[3:], told[3:])
        latent = guided.stepped(guided.stepped(noise[:1], 0, weights[:1], told[:1]), 1, weights[:1], told[:1])
        turbo, alpha_bars = few_steps.denoiser.network, guided.alpha_bars
        for at in (2, 4, 6):
            told_weight = guidance_embedding(weights[:1] - 1, turbo.config.time_cond_proj_dim)
            with mixed("cpu"):
                said = turbo(latent, guided.times[at], encoder_hidden_states=told[:1], timestep_cond=told_weight).sample
            now, then = alpha_bars[at].expand(1), alpha_bars[at + 2].expand(1)
            latent = drawer.ddim_step(latent, said.float(), now, then)
    assert (drawn[3:] - whole).square().mean().sqrt() < 0.05, "batches of other sizes, bfloat16"
    assert (drawn[:1] - latent).square().mean().sqrt() < 0.05


def test_each_row_of_drawings_that_are_finished_learns_two_steps_and_who_finishes_learns_nothing(model, few_steps):
    network = copy.deepcopy(model.denoiser.network).requires_grad_(True)
    finished = drawer.FinishedDrawer(network, model, few_steps, 8, "cpu")
    asked, before = [], network.forward

    def forward(latent, t, **given):
        if torch.is_grad_enabled():
            asked.append(t.tolist())
        return before(latent, t, **given)

    network.forward = forward
    told = finished.words(["a red house"] * 4)
    finished.drawn(finished.noise(4, torch.Generator().manual_seed(3)), torch.full((4,), 3.0), told).mean().backward()
    assert asked == [finished.times[0::2].tolist(), finished.times[1::2].tolist()]
    assert network.conv_in.weight.grad.abs().sum() > 0
    assert all(value.grad is None for value in few_steps.denoiser.network.parameters())


@pytest.mark.parametrize(("name", "steps"), [("scenes", 8), ("scenes-turbo", 7), ("fashion", 8)])
def test_who_finishes_drawings_goes_two_steps_at_once_and_is_told_w(name, steps, model, few_steps):
    finisher = few_steps if name == "scenes-turbo" else ldm_core.load(name, device="cpu", engine="torch")
    with pytest.raises(ValueError, match=f"--turbo must be .* two of {steps} steps at once, which {name} does not"):
        drawer.check_finisher(model, finisher, steps)


def test_a_model_that_cannot_finish_drawings_leaves_no_folder_behind(trained, tmp_path, capsys):
    command = ["scenes-wishes", "--autoencoder", str(SCENES_FOLDER / "vae"), "--device", "cpu", "--turbo", "scenes"]
    given = ["--init", str(SCENES_FOLDER), "--reader", str(trained / "reader.safetensors")]
    with pytest.raises(SystemExit, match="2"):
        train_denoiser.main([*command, *given, "--out", str(tmp_path / "no")])
    assert "--turbo must be a few-step model of" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_of_what_is_heard_so_many_are_drawn_as_are_hard_and_the_rest_of_a_single_kind():
    alone, several, related, easy, hard = (
        (caption, wish_of(parse(caption), parse(caption)))
        for caption in (
            "two cats",
            "a cat and a red car",
            "a cat on a bed",
            "a man riding a horse",
            "a dog next to a palm tree",
        )
    )
    assert related[1].relations == {"on"} and hard[1].relations == {"next to"} and not several[1].relations
    assert harder([alone, hard] * 32, 16) == [alone, hard] * 3 + [alone] * 10
    assert harder([several, related, hard] * 9 + [alone] * 9, 16) == [several, related, hard] * 3 + [
        several,
        related,
        *[alone] * 5,
    ]
    assert (
        harder([easy, alone] * 2 + [related] * 3 + [alone] * 20, 16)
        == [easy, alone, alone] + [related] * 3 + [alone] * 10
    )
    assert harder([alone] * 20, 16) == [alone] * 16 and harder([related] * 3, 16) == [related] * 3
    assert {*WRONG, "next to"} == set(RELATIONS)


def test_a_pull_is_no_longer_than_it_may_be_and_what_is_shorter_stays_as_it_is():
    for start, expected in (([3.0, 4.0], [0.06, 0.08]), ([0.03, 0.04], [0.03, 0.04])):
        value = torch.nn.Parameter(torch.tensor(start))
        pull(value.square().sum() / 2, [value], 0.1)
        assert value.grad.tolist() == pytest.approx(expected, rel=1e-4)
    untouched = torch.nn.Parameter(torch.ones(2))
    pull(torch.zeros(()), [untouched], 0.1)
    assert untouched.grad is None


ONE_STEP = dataclasses.replace(DENOISERS["scenes-wishes"], pool=4, batch=2, wish_batch=2, wish_steps=2, steps=1)


def test_a_denoiser_goes_on_by_what_its_drawings_lack(trained, model, tmp_path, monkeypatch):
    monkeypatch.setitem(train_denoiser.SHEET_PROMPTS, "everyday", ("a cat",))
    vae, reader = SCENES_FOLDER / "vae", trained / "reader.safetensors"
    assert train_denoiser.train(ONE_STEP, vae, tmp_path, "cpu", init=SCENES_FOLDER, reader=reader)
    after = ldm_core.load(str(tmp_path / "model"), device="cpu", dtype="float32", engine="torch")
    moved = [
        (a - b).abs().max() for a, b in zip(after.denoiser.network.parameters(), model.denoiser.network.parameters())
    ]
    assert sum(map(bool, moved)) > 0.8 * len(moved)
    assert torch.equal(after.conditioner.encode("a cat").tokens, model.conditioner.encode("a cat").tokens)


def test_what_drawings_lack_has_left_its_pull_before_denoising_is_learned(trained, model):
    config, corpus = dataclasses.replace(ONE_STEP, wish_pull=0.125), load_corpus("everyday", 4, 256)
    tokenizer = CLIPTokenizer.from_pretrained(SCENES_FOLDER / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(SCENES_FOLDER / "text_encoder", torch_dtype=torch.float32)
    unet = copy.deepcopy(model.denoiser.network).requires_grad_(True)
    module = torch.nn.ModuleDict({"unet": unet, "text_encoder": encoder.requires_grad_(False)})
    latents = np.random.default_rng(0).standard_normal((4, model.latent_channels, SIDE, SIDE), dtype=np.float32)
    lesson = Lesson(module, tokenizer, corpus, latents, train_denoiser.noise_schedule(config), config, "cpu")
    loss_of = with_wishes(lesson, Judge(model, load_reader(trained / "reader.safetensors", model)))
    assert loss_of(0) == lesson.loss(0)
    pulled = torch.stack([value.grad.norm() for value in unet.parameters()]).norm()
    assert pulled == pytest.approx(0.125, rel=1e-3)


@pytest.mark.parametrize(
    ("recipe", "given", "said"),
    [
        ("scenes-wishes", [], "--reader goes with a recipe that weighs wishes (scenes-wishes)"),
        ("tiny", ["--reader", "a"], "--reader goes with a recipe that weighs wishes (scenes-wishes)"),
        ("scenes-wishes", ["--reader", "a"], "--reader judges the drawings of a finished model: give it as --init"),
        (
            "scenes-wishes",
            ["--reader", "a", "--init", str(SCENES_FOLDER)],
            "--reader a is none that train_latent_reader",
        ),
        ("tiny", ["--turbo", "scenes-turbo"], "--turbo finishes drawings for a reader: give it as --reader"),
    ],
)
def test_what_a_denoiser_needs_to_learn_from_wishes_is_asked_for(recipe, given, said, tmp_path, capsys):
    command = [recipe, "--autoencoder", str(SCENES_FOLDER / "vae"), "--device", "cpu", "--out", str(tmp_path / "no")]
    with pytest.raises(SystemExit, match="2"):
        train_denoiser.main([*command, *given])
    assert said in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_captions_that_ask_for_nothing_teach_nothing(model):
    _, lesson = lesson_of(model, TURBOS["tiny"])
    wishes = WishLesson(lesson, LatentReader(model), load_corpus("everyday", 4, 256))
    assert wishes.loss([0, 1], ["", ""], torch.Generator().manual_seed(0)).item() == 0


def test_a_few_step_model_is_taught_by_a_reader_of_its_teachers_latents(trained, tmp_path):
    command = ["tiny-wishes", "--model", "scenes", "--device", "cpu", "--out", str(tmp_path / "with")]
    assert train_turbo.main([*command, "--reader", str(trained / "reader.safetensors")]) == 0
    few = ldm_core.load(str(tmp_path / "with" / "model"), device="cpu", engine="torch")
    assert few.sample("a cat", 1).shape == (1, 3, 256, 256)


def test_a_file_that_is_no_reader_leaves_no_folder_behind(tmp_path, capsys):
    command = ["tiny-wishes", "--model", "scenes", "--device", "cpu", "--out", str(tmp_path / "no")]
    with pytest.raises(SystemExit, match="2"):
        train_turbo.main([*command, "--reader", str(tmp_path / "none")])
    assert "is none that train_latent_reader made of this model" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(("recipe", "reader"), [("tiny", ["--reader", "a"]), ("tiny-wishes", [])])
def test_a_reader_goes_with_a_recipe_that_weighs_wishes_and_no_other(recipe, reader, tmp_path, capsys):
    command = [recipe, "--model", "scenes", "--device", "cpu", "--out", str(tmp_path / "no"), *reader]
    with pytest.raises(SystemExit, match="2"):
        train_turbo.main(command)
    assert "--reader goes with a recipe that weighs wishes (scenes-wishes, tiny-wishes)" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
