"""The everyday world: the same everywhere, whole and balanced scenes, nothing named is hidden, masks that are exact."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections import Counter

import numpy as np
import pytest

from ldm_core.data import everyday, sheet
from ldm_core.data.everyday import Scene, Thing, boxes, draw, masks, random_scene, visible_shares
from ldm_core.data.everyday.canvas import Canvas
from ldm_core.data.everyday.drawing import draw_look
from ldm_core.data.everyday.grid import STEP, floored, in_cell, nearest
from ldm_core.data.everyday.kinds import ENTRIES
from ldm_core.data.everyday.layout import arrange
from ldm_core.data.everyday.outlines import Outlines
from ldm_core.data.everyday.shapes import B, E, P, R, S
from ldm_core.data.everyday.world import HELD_OUT_SEEDS, LIGHTS

HASHES = {
    64: "d5331ec5f80938ce83449de188a567e97818a32b35f4ae584923e4c2f774c90b",
    256: "082eabc25f68d922a7761bd7c0f2164d2aa0fb839ddf4b601e827c3ab3e067ad",
    512: "ced66f8369d4a0cda92782a4161b64f17e1266c2c385583d3d4fb6944a4a30d2",
}


def _share_painted(outline: np.ndarray | Outlines, size: int = 128) -> float:
    canvas = Canvas(size)
    canvas.fill(outline, (255, 255, 255))
    return float(canvas.pixels.mean() / 255)


def test_a_rectangle_covers_exactly_its_area():
    assert _share_painted(R(0.25, 0.5, 0.75, 1.0, 0, "").points, 64) == pytest.approx(0.25, abs=1e-6)


def test_a_disc_covers_pi_r_squared_and_a_ring_the_difference_of_two():
    disc = E(0.5, 0.5, 0.3, 0.3, "").points
    assert _share_painted(disc, 256) == pytest.approx(np.pi * 0.09, rel=4e-3)
    hole = E(0.5, 0.5, 0.2, 0.2, "").points[::-1]
    assert _share_painted(Outlines.joined([disc, hole]), 256) == pytest.approx(np.pi * 0.05, rel=6e-3)


def test_a_concave_outline_covers_its_area_whichever_way_it_turns():
    arrow = P("0.2 0.2 0.8 0.5 0.2 0.8 0.4 0.5", "").points  # two triangles of 0.4 * 0.3 / 2 and the same below
    x, y = arrow[:, 0], arrow[:, 1]
    area = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2  # the shoelace formula
    for outline in (arrow, arrow[::-1]):
        assert _share_painted(outline) == pytest.approx(area, rel=5e-3)


def test_a_stroke_is_as_wide_and_long_as_it_says():
    line = S("0.2 0.5 0.8 0.5", 0.1, "", smooth=False).points
    assert _share_painted(line, 256) == pytest.approx(0.6 * 0.1 + np.pi * 0.05**2, rel=5e-3)


def test_a_shape_outside_the_picture_paints_nothing():
    assert _share_painted(E(-0.5, 1.5, 0.2, 0.2, "").points) == 0
    assert _share_painted(P("1.2 -0.4 1.5 -0.4 1.3 -0.1", "").points) == 0


def test_a_shape_that_leaves_the_picture_is_painted_to_its_edge():
    assert _share_painted(R(-0.5, -0.5, 0.5, 1.5, 0, "").points) == pytest.approx(0.5, abs=1e-6)
    assert _share_painted(B("-1 -1 2 -1 2 2 -1 2", "").points) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("size", HASHES)
def test_drawings_have_the_same_bytes_on_every_machine(size):
    digest = hashlib.sha256()
    for seed in range(12):
        digest.update(draw(random_scene(seed), size).tobytes())
    assert digest.hexdigest() == HASHES[size]


@pytest.mark.parametrize("size", [64, 128, 256])
def test_a_scene_looks_the_same_at_every_size(size):
    for seed in (3, 8, 19):
        large, factor = draw(random_scene(seed), 512).astype(float), 512 // size
        shrunk = large.reshape(size, factor, size, factor, 3).mean((1, 3))
        assert np.abs(shrunk - draw(random_scene(seed), size)).mean() < 2.5


@pytest.mark.parametrize("size", [64, 256, 512])
@pytest.mark.parametrize("kind", everyday.KINDS)
def test_every_kind_can_be_seen_in_every_look(kind, size):
    for look in ENTRIES[kind].looks:
        blank, drawn = Canvas(size), Canvas(size)
        for canvas in (blank, drawn):
            canvas.rows([(0, (120, 200, 160))])
        draw_look(drawn, kind, look, "red" if kind in everyday.COLOURED_KINDS else None)
        changed = np.abs(drawn.to_uint8().astype(int) - blank.to_uint8()).sum(-1) > 40
        assert changed.mean() > 0.04 and np.isfinite(drawn.pixels).all()


def test_every_coloured_kind_shows_its_colour_and_changes_nowhere_else():
    for kind in everyday.COLOURED_KINDS:
        things = (Thing(kind, "red", 1, "center", "medium"), Thing("pine", None, 1, "left", "small"))
        scene = Scene("day", "room" if kind in ("cup", "bed") else "field", things, layout=5)
        other = dataclasses.replace(scene, things=(dataclasses.replace(things[0], colour="blue"), things[1]))
        changed = (draw(scene, 96) != draw(other, 96)).any(-1)
        own = masks(scene, 96)[0] > 0
        assert changed.sum() > 0.15 * own.sum() > 0 and not (changed & ~own).any(), kind


def test_masks_are_disjoint_shares_and_change_nothing():
    for seed in range(60):
        scene = random_scene(seed)
        found = masks(scene, 96)
        assert found.shape == (len(scene.things), 96, 96) and found.dtype == np.float32
        assert found.min(initial=0) >= 0 and found.sum(0).max(initial=0) <= 1 + 1e-5


def test_a_mask_is_where_the_picture_changes_without_the_thing():
    scene = Scene(
        "day",
        "field",
        (Thing("dog", "brown", 1, "left", "medium"), Thing("house", "red", 1, "right", "medium")),
        layout=9,
    )
    for index in (0, 1):
        other = dataclasses.replace(scene.things[index], colour="pink")
        things = tuple(other if k == index else thing for k, thing in enumerate(scene.things))
        changed = (draw(scene) != draw(dataclasses.replace(scene, things=things))).any(-1)
        assert not (changed & (masks(scene)[index] == 0)).any() and changed.any()


def test_nothing_named_is_hidden_nor_too_small_to_see():
    for seed in range(300):
        scene = random_scene(seed)
        assert all(share >= 0.6 for share in visible_shares(scene, 96)), seed
        for thing, found in zip(scene.things, boxes(scene)):
            assert len(found) == thing.count
            assert all(max(right - left, low - top) > 0.05 for left, top, right, low in found), (seed, thing)


def test_sun_moon_and_rainbow_are_never_told_of_a_room_where_nobody_would_see_them():
    lit = [
        scene
        for scene in map(random_scene, HELD_OUT_SEEDS[:2000])
        if {each.kind for each in scene.things} & set(LIGHTS)
    ]
    assert len(lit) > 300 and all(scene.ground != "room" for scene in lit)


def test_a_place_is_where_the_thing_is_with_what_belongs_to_it():
    for seed in range(400):
        scene = random_scene(seed)
        found = boxes(scene)
        for index, thing in enumerate(scene.things):
            if thing.relation in (None, "above"):
                group = [
                    k for k, t in enumerate(scene.things) if k == index or (t.other == index and t.relation != "above")
                ]
                left = min(box[0] for k in group for box in found[k])
                right = max(box[2] for k in group for box in found[k])
                low, high = {"left": (0, 0.44), "center": (0.37, 0.63), "right": (0.56, 1)}[thing.place]
                assert low <= (left + right) / 2 <= high, (seed, thing)


def test_what_is_on_or_above_or_rides_another_thing_has_its_feet_higher_and_within_its_sides():
    for seed in range(1500):
        scene = random_scene(seed)
        found = boxes(scene)
        for index, thing in enumerate(scene.things):
            if thing.relation in ("on", "riding", "above") and thing.kind != "rainbow":
                base = found[thing.other][0]
                sits = thing.kind in everyday.PEOPLE and thing.relation == "on"  # feet on the ground, before the chair
                for left, _, right, low in found[index]:
                    assert (sits or low < base[3] - 0.02) and right > base[0] and left < base[2], (seed, thing)


def on(lines, places):
    """Whether all places lie on so many lines a picture."""
    return np.allclose(lines * np.array(places), np.round(lines * np.array(places)))


def test_a_thing_stands_on_sixteenths_of_the_picture_and_what_is_beside_it_no_farther_than_half_way_between():
    for seed in range(400):
        spots = [spot for spot in arrange(random_scene(seed)) if spot.shadow and spot.kind.name != "rainbow"]
        places = [place for spot in spots for place in (spot.x, spot.base)]
        assert on(16 if len(spots) == 1 else 32, places), seed


def test_things_have_few_sizes_a_fifth_apart_and_a_big_one_is_larger_than_a_small_one():
    powers = {size: set() for size in ("small", "medium", "big")}  # of STEP
    for layout, size in itertools.product(range(100), powers):
        (spot,) = arrange(Scene("day", "field", (Thing("cat", "black", 1, "center", size),), layout=layout))
        metre = spot.scale * spot.kind.looks[0].height / spot.kind.tall
        powers[size].add(np.log(metre) / np.log(STEP))
    assert all(on(1, list(found)) and len({round(power) for power in found}) <= 2 for found in powers.values())
    assert max(powers["small"]) < min(powers["medium"]) and max(powers["medium"]) < max(powers["big"])


def test_the_greatest_power_that_is_no_larger_and_the_nearest_in_ratio():
    assert [floored(scale) for scale in (1.0, 1.19, 1.2, 0.999)] == pytest.approx([1.0, 1.0, 1.2, 1 / 1.2])
    assert [nearest(scale) for scale in (1.0, 1.09, 1.1, 1.2, 0.92)] == pytest.approx([1.0, 1.0, 1.2, 1.2, 1.0])
    assert floored(1.0, 3) == pytest.approx(1.2**3) and nearest(1.1, -2) == pytest.approx(1 / 1.2)
    assert all(floored(scale) <= scale < STEP * floored(scale) * (1 + 1e-12) for scale in np.geomspace(0.01, 20, 50))


def test_small_things_lie_in_quarters_of_a_cell_beside_its_middle():
    found = {round(64 * in_cell(place)) for place in np.linspace(0, 0.999, 300)}
    assert found == set(range(1, 64, 2)) and all(abs(in_cell(place) - place) <= 1 / 64 for place in (0.1, 0.51, 0.9))


def test_a_look_has_a_name_where_words_differ_and_one_picture_has_one():
    assert all(len(kind.names) in (0, len(kind.looks)) for kind in ENTRIES.values())
    met = Counter(name for seed in range(800) for name in everyday.look_names(random_scene(seed)))
    assert min(met[name] for name in ("boy", "girl", "sailboat", "fishing boat", "double-decker", "crescent moon")) > 0
    street = Scene("day", "street", (Thing("lamp", "red", 1, "center", "medium"),))
    assert everyday.look_names(street) == ["street lamp"]


def test_scenes_are_complete_and_consistent():
    for seed in range(1500):
        scene = random_scene(seed)
        assert scene.sky in everyday.SKIES and scene.ground in everyday.GROUNDS and len(scene.things) <= 4
        for index, thing in enumerate(scene.things):
            assert thing.place in everyday.PLACES and thing.size in everyday.SIZES and thing.count in everyday.COUNTS
            assert (thing.colour is None) <= (thing.kind in everyday.UNCOLOURED_KINDS + everyday.NATURAL_KINDS)
            assert thing.other is None or (thing.other != index and scene.things[thing.other].place == thing.place)
        if scene.ground == "room":
            assert not (scene.mountains or scene.clouds or scene.stars)
        assert not scene.stars or scene.sky == "night"
        assert all(thing.kind != "boat" or scene.ground in ("lake", "beach") for thing in scene.things)


def test_two_things_alike_are_one_thing_of_count_two():
    for seed in range(1500):
        alike = Counter((thing.kind, thing.colour) for thing in random_scene(seed).things)
        assert max(alike.values(), default=1) == 1


def test_withheld_pairs_and_relations_occur_only_where_they_are_asked_for():
    assert not any(s.has_unseen_pair or s.has_unseen_relation for s in map(random_scene, range(3000)))
    asked = [random_scene(seed, unseen=True) for seed in range(3000)]
    assert any(scene.has_unseen_pair for scene in asked) and any(scene.has_unseen_relation for scene in asked)


def test_every_kind_colour_ground_relation_and_nearly_every_pair_is_met_in_training():
    scenes = [random_scene(seed) for seed in range(6000)]
    kinds = Counter(thing.kind for scene in scenes for thing in scene.things)
    assert min(kinds[kind] for kind in everyday.KINDS) > 100
    colours = Counter(thing.colour for scene in scenes for thing in scene.things)
    assert min(colours[colour] for colour in everyday.COLOURS) > 500
    grounds = Counter(scene.ground for scene in scenes)
    assert min(grounds[ground] for ground in everyday.GROUNDS) > 300
    relations = Counter(thing.relation for scene in scenes for thing in scene.things)
    assert min(relations[relation] for relation in everyday.RELATIONS) > 100
    pairs = {(thing.kind, thing.colour) for scene in scenes for thing in scene.things if thing.colour}
    assert len(pairs) > 0.97 * (10 * len(everyday.COLOURED_KINDS) - len(everyday.UNSEEN_PAIRS))


def test_an_incomplete_scene_is_refused_in_words():
    with pytest.raises(ValueError, match="sky, the count of the house, the colour of the house"):
        draw(Scene(None, "field", (Thing("house", None, None, "left", "medium"),)))


def test_relations_that_no_random_scene_holds_can_be_drawn_all_the_same():
    for relation in everyday.RELATIONS:
        things = (Thing("sun", None, 1, "center", "medium"), Thing("cake", "red", 1, "center", "medium", relation, 0))
        assert draw(Scene("day", "field", things), 64).std() > 1


@pytest.mark.parametrize("seed", [-1, True, 1.5, "7"])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(ValueError, match="seed"):
        random_scene(seed)


def test_numbers_of_numpy_make_the_same_scene_caption_and_picture():
    scene = random_scene(7)
    assert random_scene(np.int64(7)) == random_scene(np.uint8(7)) == scene
    assert everyday.caption(scene, np.int32(5)) == everyday.caption(scene, 5)
    assert np.array_equal(draw(scene, np.int64(64)), draw(scene, 64))


@pytest.mark.parametrize("size", [8, True, 64.0])
def test_a_bad_size_is_refused(size):
    with pytest.raises(ValueError, match="size"):
        draw(random_scene(0), size)


def test_the_seed_ranges_are_disjoint():
    ranges = (everyday.TRAINING_SEEDS, everyday.HELD_OUT_SEEDS, everyday.REFERENCE_SEEDS)
    assert all(a.stop <= b.start or b.stop <= a.start for k, a in enumerate(ranges) for b in ranges[k + 1 :])


def test_the_sheets_show_every_look_and_every_scene(tmp_path, monkeypatch):
    kinds = sheet.kinds_sheet(64, columns=10)
    looks = sum(len(kind.looks) for kind in ENTRIES.values())
    assert kinds.width == 10 * 68 and kinds.height // (64 + 48) == -(-looks // 10)
    assert sheet.scenes_sheet(seed=3, size=64, count=6, columns=3).width == 3 * 68


@pytest.mark.parametrize("arguments", [["--size", "12"], ["--seed", "-1"]])
def test_the_sheet_command_refuses_bad_input_in_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        sheet.main(arguments)
    told = capsys.readouterr().err
    assert refused.value.code == 2 and f"error: {arguments[0]} must be" in told and told.count("\n") == 1
