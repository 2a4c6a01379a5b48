"""The drawn world: the same everywhere, nothing hidden, captions and parsing that agree."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest

from ldm_core.data import everyday, fashion_mnist, scenes
from ldm_core.data.canvas import Canvas
from ldm_core.data.scenes import Scene, Thing, caption, draw, parse, random_scene


def test_a_rectangle_covers_exactly_its_area():
    canvas = Canvas(64)
    canvas.rectangle(0.25, 0.5, 0.75, 1.0, (255, 255, 255))
    assert canvas.pixels.mean() / 255 == pytest.approx(0.25, abs=1e-6)


def test_a_disc_covers_pi_r_squared():
    canvas = Canvas(256)
    canvas.ellipse(0.5, 0.5, 0.3, 0.3, (255, 255, 255))
    assert canvas.pixels.mean() / 255 == pytest.approx(np.pi * 0.09, rel=2e-3)


def test_a_triangle_covers_half_its_box_whichever_way_it_turns():
    for points in ([(0.2, 0.2), (0.8, 0.2), (0.2, 0.8)], [(0.2, 0.2), (0.2, 0.8), (0.8, 0.2)]):
        canvas = Canvas(128)
        canvas.polygon(points, (255, 255, 255))
        assert canvas.pixels.mean() / 255 == pytest.approx(0.18, rel=5e-3)


def test_a_shape_outside_the_picture_paints_nothing():
    canvas = Canvas(32)
    canvas.ellipse(-0.5, 1.5, 0.2, 0.2, (255, 255, 255))
    canvas.polygon([(1.2, -0.4), (1.5, -0.4), (1.3, -0.1)], (255, 255, 255))
    assert not canvas.pixels.any()


def test_drawings_have_the_same_bytes_on_every_machine():
    digest = hashlib.sha256()
    for seed in range(40):
        digest.update(draw(random_scene(seed)).tobytes())
    assert digest.hexdigest() == "224ede40da58866ffdd847db956c233ac852843cf8c4d4934787335a2fb066a2"


def test_captions_are_the_same_on_every_machine():
    text = "\n".join(caption(random_scene(seed), seed) for seed in range(500))
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "9e8d3f0c1e828590cb839e295d7bd4695d7f629565a560053005dbaeaa9b798f"
    )


@pytest.mark.parametrize("size", [64, 128, 512])
def test_a_scene_looks_the_same_at_every_size(size):
    for seed in (3, 8, 19):
        large = draw(random_scene(seed), 1024).astype(float)
        factor = 1024 // size
        shrunk = large.reshape(size, factor, size, factor, 3).mean((1, 3))
        assert np.abs(shrunk - draw(random_scene(seed), size)).mean() < 2.5


def test_nothing_named_is_hidden():
    for seed in range(400):
        scene = random_scene(seed)
        for thing in scene.things:
            without = dataclasses.replace(scene, things=tuple(other for other in scene.things if other != thing))
            changed = np.abs(draw(scene).astype(int) - draw(without).astype(int)).sum(-1) > 24
            assert changed.sum() > 100, (scene, thing)
        for name in ("mountains", "clouds"):
            if getattr(scene, name):
                bare = draw(dataclasses.replace(scene, **{name: False}))
                assert (np.abs(draw(scene).astype(int) - bare.astype(int)).sum(-1) > 24).sum() > 100, (scene, name)


def test_another_colour_changes_only_its_own_thing():
    scene = Scene("day", "field", (Thing("house", "red", "left"), Thing("balloon", "blue", "right")), True, True, 5)
    other = dataclasses.replace(scene, things=(Thing("house", "blue", "left"), scene.things[1]))
    changed = (draw(scene) != draw(other)).any(-1)
    assert changed.any() and not changed[:, 64:].any() and not changed[:64].any()


def test_an_incomplete_scene_is_refused_in_words():
    with pytest.raises(ValueError, match="sky, the colour of the house"):
        draw(Scene(None, "field", (Thing("house", None, "left"),)))


def test_two_things_never_share_a_place():
    for seed in range(2000):
        scene = random_scene(seed)
        for row in (scenes.GROUND_KINDS, scenes.SKY_KINDS):
            places = [thing.place for thing in scene.things if thing.kind in row]
            assert len(places) == len(set(places))


def test_every_caption_is_understood_and_says_only_what_is_there():
    for seed in range(4000):
        scene = random_scene(seed)
        asked = parse(caption(scene, seed * 7 + 1))
        assert asked is not None and asked.sky in (None, scene.sky) and asked.ground in (None, scene.ground)
        assert scene.mountains >= asked.mountains and scene.clouds >= asked.clouds
        for thing in asked.things:
            assert any(
                (thing.kind, thing.colour) == (t.kind, t.colour) and thing.place in (None, t.place)
                for t in scene.things
            )


def test_most_captions_say_everything():
    told = [
        parse(caption(random_scene(seed), seed))
        == dataclasses.replace(random_scene(seed), layout=0, things=parse(caption(random_scene(seed), seed)).things)
        for seed in range(1000)
    ]
    assert 0.5 < np.mean(told) < 0.95


def test_a_scene_is_said_in_many_ways():
    assert len({caption(random_scene(3), seed) for seed in range(200)}) > 60


@pytest.mark.parametrize(
    ("text", "scene"),
    [
        ("night sky over a little yellow house by the lake", Scene("night", "lake", (Thing("house", "yellow"),))),
        (
            "On the left, a red house; a pine tree on the right.",
            Scene(None, None, (Thing("house", "red", "left"), Thing("pine", None, "right"))),
        ),
        ("a boat with a blue sail in the middle", Scene(None, None, (Thing("boat", "blue", "center"),))),
        ("a house on a green meadow under a blue sky", Scene("day", "field", (Thing("house"),))),
        ("snow-capped mountains at dusk", Scene("sunset", None, (), mountains=True)),
        ("a stormy night", Scene("storm")),
        ("a man riding a horse", None),
        ("", None),
    ],
)
def test_free_wording_is_understood(text, scene):
    assert parse(text) == scene


def test_the_seed_ranges_are_disjoint():
    ranges = (scenes.TRAINING_SEEDS, scenes.HELD_OUT_SEEDS, scenes.REFERENCE_SEEDS)
    assert all(
        not set(a[:: len(a) - 1]) & set(b[:: len(b) - 1]) and (a.stop <= b.start or b.stop <= a.start)
        for i, a in enumerate(ranges)
        for b in ranges[i + 1 :]
    )


def test_known_words_are_all_that_captions_hold():
    said = {
        word
        for seed in range(3000)
        for word in caption(random_scene(seed), seed).replace(",", "").replace("-", " ").split()
    }
    assert said <= set(scenes.known_words())


@pytest.mark.parametrize("seed", [-1, True, 1.5, "7"])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(ValueError, match="seed"):
        random_scene(seed)


def test_numbers_of_numpy_make_the_same_scene_caption_and_picture():
    for world in (scenes, everyday):
        scene = world.random_scene(7)
        assert world.random_scene(np.int64(7)) == world.random_scene(np.uint8(7)) == scene
        assert world.caption(scene, np.int32(5)) == world.caption(scene, 5)
        assert np.array_equal(world.draw(scene, np.int64(32)), world.draw(scene, 32))
    assert fashion_mnist.caption(np.uint8(3), np.int64(5)) == fashion_mnist.caption(3, 5)


def test_masks_are_disjoint_say_where_a_thing_is_and_change_nothing():
    for seed in range(12):
        scene = scenes.random_scene(seed)
        found = scenes.masks(scene, 64)
        assert found.shape == (len(scene.things), 64, 64)
        assert (found >= 0).all() and (found.sum(0) <= 1 + 1e-6).all()
        for index, thing in enumerate(scene.things):
            without = dataclasses.replace(scene, things=tuple(other for other in scene.things if other is not thing))
            if thing.kind in ("house", "pine", "palm", "boat"):  # light, clouds and shore depend on the others
                changed = scenes.draw(scene, 64).astype(int) != scenes.draw(without, 64)
                own = found[index] > 0
                glow = thing.kind == "house" and scene.sky == "night"
                shore = scene.ground == "lake" and thing.kind != "boat"
                assert changed[own].any() and (glow or shore or not changed[~own].any()), (seed, thing)
