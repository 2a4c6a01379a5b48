"""The reader of the everyday world: labels in closed form, how sightings become a scene, scores by skill and by atoms."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from evaluation import catalogue, score
from evaluation.detectors import train_everyday, train_everyday_resident
from evaluation.detectors.everyday import arrangements, detector, glance, lessons, training
from evaluation.detectors.everyday.audit import ELSEWHERE, audit
from evaluation.detectors.everyday.detector import ALL
from evaluation.detectors.everyday.glance import NOTHING, SURE, corners_of, kinds_at, part_of
from evaluation.detectors.everyday.losses import asked, thing_losses
from evaluation.detectors.everyday.mirror import (
    PIXEL,
    Cells,
    mirrored,
    mirrored_boxes,
    mirrored_cell,
    mirrored_truth,
    mirrored_words,
    said_of_both,
    turned_back,
)
from evaluation.detectors.everyday.moved import moved, moved_truth
from evaluation.detectors.everyday.network import ABOUT, DETAIL, INPUT_SIZE, PLACE, SCENE, Eye, Maps, Things
from evaluation.detectors.everyday.reading import (
    Reading,
    Sighting,
    boxes_of,
    found_in,
    looked_again,
    read_things,
    sightings,
    sized,
)
from evaluation.detectors.everyday.scores import scores_of
from evaluation.detectors.everyday.sizes import Sizes
from ldm_core.data.everyday import HELD_OUT_SEEDS, KINDS, TRAINING_SEEDS, Scene, Thing, boxes, draw, random_scene
from ldm_core.data.everyday.atoms import judge
from ldm_core.data.everyday.truth import (
    ATTRIBUTES,
    GRID,
    RELATED_ON,
    UNSEEN,
    labels_of,
    scene_labels,
    shown_scenery,
    shown_sizes,
)
from ldm_core.images import from_uint8, to_pil

CAT = Thing("cat", "black", 1, "center", "medium")
TABLE = Thing("table", "brown", 1, "center", "medium")


def answers(**chosen):
    """Log-probabilities that are sure of the answers given, and of the first where none is."""
    found = {}
    for name, words in ATTRIBUTES.items():
        found[name] = torch.full((len(words),), -20.0)
        found[name][words.index(chosen.get(name, words[0]))] = 0.0
    return found


def seen(kind, box, partner=(0.5, 0.5), **chosen):
    return Sighting(kind, box, answers(**chosen), partner)


def test_labels_hold_each_single_thing_where_the_drawing_has_it():
    scene = Scene(
        "day", "field", (Thing("sheep", "white", 3, "center", "medium"), Thing("sun", None, 1, "left", "medium"))
    )
    labels, where = labels_of(scene), boxes(scene)
    there = labels["kind"] != UNSEEN
    assert sorted(labels["kind"][there].tolist()) == sorted([KINDS.index("sun"), *[KINDS.index("sheep")] * 3])
    np.testing.assert_allclose(
        sorted(map(tuple, labels["box"][there].tolist())), sorted(where[0] + where[1]), atol=1e-6
    )
    for box, cell in zip(labels["box"][there], labels["cell"][there]):
        left, top = cell % GRID / GRID, cell // GRID / GRID
        assert left <= (box[0] + box[2]) / 2 <= left + 1 / GRID and top <= (box[1] + box[3]) / 2 <= top + 1 / GRID


def test_a_partner_lies_where_the_other_thing_has_its_middle():
    scene = Scene("day", "room", (TABLE, dataclasses.replace(CAT, relation="on", other=0)))
    labels, where = labels_of(scene), boxes(scene)
    row = labels["kind"].tolist().index(KINDS.index("cat"))
    middles = [np.add(box[0][:2], box[0][2:]) / 2 for box in where]
    np.testing.assert_allclose(labels["partner"][row], middles[0] - middles[1], atol=1e-6)
    assert ATTRIBUTES["relation"][labels["relation"][row]] == "on"


def test_what_is_on_another_is_looked_for_above_its_middle_so_that_no_cell_holds_two():
    scene = Scene("day", "room", (TABLE, dataclasses.replace(CAT, relation="on", other=0)))
    labels = labels_of(scene)
    cat, table = (labels["kind"].tolist().index(KINDS.index(name)) for name in ("cat", "table"))
    for row, raised in ((cat, 2), (table, 0)):
        left, top, right, bottom = labels["box"][row]
        at = (int((left + right) / 2 * GRID), int((top + bottom) / 2 * GRID) - raised)
        assert (labels["cell"][row] % GRID, labels["cell"][row] // GRID) == at
    apart, middles_apart = [], []
    for scene in (lessons.scene_of(index) for index in range(1_000_000, 1_001_500)):
        if not any(thing.relation == "on" for thing in scene.things):
            continue
        labels = labels_of(scene)
        there, box = labels["kind"] != UNSEEN, labels["box"]
        cells = np.stack([labels["cell"] % GRID, labels["cell"] // GRID], axis=1)[there]
        middles = ((box[:, :2] + box[:, 2:]) / 2 * GRID).astype(int)[there]
        for points, found in ((cells, apart), (middles, middles_apart)):
            away = np.abs(points[:, None] - points).max(2)
            found.append(away[~np.eye(len(points), dtype=bool)].min())
    assert len(apart) > 200 and min(apart) >= 1 and np.mean(np.array(apart) < 2) < 0.02
    assert min(middles_apart) == 0 and np.mean(np.array(middles_apart) < 2) > 0.05, "which their middles are not"


def test_a_size_counts_where_it_shows_and_only_there():
    alone = {size: Scene("day", "field", (dataclasses.replace(CAT, size=size),)) for size in ("small", "medium", "big")}
    assert {size: shown_sizes(scene) for size, scene in alone.items()} == {
        "small": ["small"],
        "medium": ["medium"],
        "big": ["big"],
    }
    on_a_table = Scene("day", "room", (TABLE, dataclasses.replace(CAT, relation="on", other=0)))
    assert shown_sizes(on_a_table)[1] is None  # it has the table's scale, whatever it is called


def test_scenery_counts_where_it_is_seen():
    scene = Scene("night", "field", (), mountains=True, stars=True)
    assert shown_scenery(scene) == {"mountains": True, "clouds": False, "stars": True}
    indoors = Scene("day", "room", (TABLE,), stars=True)
    assert shown_scenery(indoors)["stars"] is None


def test_things_alike_are_counted_and_a_rider_sits_on_the_nearest_steed():
    reading = read_things(
        [
            seen("sheep", (0.0, 0.6, 0.2, 0.8), colour="white", place="left"),
            seen("sheep", (0.2, 0.6, 0.4, 0.8), colour="white", place="left"),
            seen("sheep", (0.4, 0.6, 0.5, 0.8), colour="brown", place="left"),
            seen("horse", (0.6, 0.5, 0.9, 0.9), colour="brown", place="right"),
            seen("man", (0.7, 0.3, 0.8, 0.7), (0.76, 0.68), colour="red", place="right", relation="riding"),
        ],
        Scene("day", "field"),
    )
    asked = Scene(
        "day",
        "field",
        (
            Thing("man", "red", 1, "right", relation="riding", other=1),
            Thing("horse", "brown"),
            Thing("sheep", "white", 2, "left"),
            Thing("sheep", "brown", 1),
        ),
    )
    assert all(holds for _, holds in judge(asked, reading.scene, reading.also))


def test_what_is_beside_or_above_is_read_off_the_boxes():
    things = [
        seen("dog", (0.1, 0.7, 0.3, 0.9)),
        seen("car", (0.33, 0.6, 0.7, 0.9)),
        seen("bird", (0.4, 0.1, 0.5, 0.2)),
        seen("house", (0.8, 0.3, 1.0, 0.9)),
    ]
    kinds = [one.kind for one in things]
    also = {(kinds[a], name, kinds[b]) for a, name, b in read_things(things, Scene("day", "street")).also}
    assert also == {("dog", "next to", "car"), ("car", "next to", "dog"), ("bird", "above", "car")}


def test_sightings_are_peaks_of_the_expected_number():
    things, places = Things().eval(), torch.zeros(2, 1, PLACE, GRID // 2, GRID // 2)
    one, mirror = (Maps(place, torch.zeros(1, DETAIL, GRID, GRID)) for place in places)
    with torch.inference_mode():
        for part in (things.where[0], things.hidden, things.about):
            torch.nn.init.zeros_(part.weight)
            torch.nn.init.zeros_(part.bias)
        torch.nn.init.zeros_(things.quarter.weight)
        things.about.bias[KINDS.index("cow")] = 20
        left, up, right, down = 0.05, 0.1, 0.15, 0.1  # in a mirror left is right: 0.1 either way, but for a pixel
        things.about.bias[sum(ABOUT.values()) - 2 - 4 : sum(ABOUT.values()) - 2] = torch.tensor([left, up, right, down])
        torch.nn.init.constant_(things.where[2].weight, 0.0)
        torch.nn.init.constant_(things.where[2].bias, -6.0)
        for quarter in (0, 1):  # the first and the second of the four cells of a place
            things.where[0].weight[quarter, quarter] = things.where[2].weight[quarter, quarter] = 1.0
        places[0, 0, 0, 5, 7] = places[1, 0, 1, 5, 8] = 100.0  # cells 14 and 17 of 32
        said = said_of_both(things, one, mirror)
        (found,) = sightings(said, found_in(said))
    assert [one.kind for one in found] == ["cow"]
    (x, y), box = found[0].middle, found[0].box
    assert (x, y) == (pytest.approx(14.5 / GRID - PIXEL / 2), pytest.approx(10.5 / GRID))
    assert box == pytest.approx((x - 0.1, y - 0.1, x + 0.1, y + 0.1))


def told_of(places):
    """Cells that are said to hold things: of each (line, column) the chance of a middle, and of kinds."""
    chances, rows = torch.zeros(1, GRID, GRID), []
    for (line, column), (chance, kinds) in places.items():
        chances[0, line, column] = chance
        said = torch.full((len(KINDS),), 1e-6)
        for kind, share in kinds.items():
            said[KINDS.index(kind)] = share
        rows.append(said.log())
    about = {name: torch.zeros(len(rows), len(answers)) for name, answers in ATTRIBUTES.items()}
    about |= {"kind": torch.stack(rows), "box": torch.full((len(rows), 4), 0.05), "partner": torch.zeros(len(rows), 2)}
    cells = torch.tensor([line * GRID + column for line, column in places])
    return Cells(chances, torch.zeros(len(rows), dtype=torch.long), cells, about)


def test_one_thing_is_not_taken_for_two_kinds_and_two_things_two_cells_apart_are_two():
    unsure = {(10, 10): (0.9, {"cat": 0.6, "dog": 0.4}), (10, 11): (0.6, {"cat": 0.4, "dog": 0.6})}
    (found,) = sightings(told_of(unsure), found_in(told_of(unsure)))
    assert [one.kind for one in found] == ["cat"]
    on_a_bed = {(10, 10): (0.9, {"cat": 0.9, "bed": 0.1}), (12, 10): (0.9, {"bed": 0.9, "cat": 0.1})}
    (found,) = sightings(told_of(on_a_bed), found_in(told_of(on_a_bed)))
    assert sorted(one.kind for one in found) == ["bed", "cat"]


def standing(count=2, most=5):
    """Chances of kinds and boxes of things, which are there, and chances of the scenes' answers."""
    torch.manual_seed(1)
    kinds, low = torch.randn(count, most, len(KINDS)).softmax(2), 0.8 * torch.rand(count, most, 2)
    boxes_there = torch.cat([low, low + 0.05 + 0.1 * torch.rand(count, most, 2)], dim=2)
    there = torch.arange(most) < torch.tensor([[most - 2], [0]])[:count]
    return kinds, boxes_there, there, torch.rand(count, sum(SCENE.values()))


def test_how_large_a_thing_is_called_hangs_on_the_things_that_are_there_and_on_the_scene():
    sizes, (kinds, stood, there, scene) = Sizes().eval(), standing()
    assert not sizes(kinds, stood, there, scene).any(), "it begins without a say"
    torch.nn.init.normal_(sizes.say[1].weight)
    before = sizes(kinds, stood, there, scene)
    assert before.shape == (2, 5, 3) and before.isfinite().all(), "of a picture without things, too"
    absent, other = stood.clone(), stood.clone()
    absent[0, 4], other[0, 0] = 0.5, torch.tensor([0.1, 0.1, 0.9, 0.9])
    torch.testing.assert_close(sizes(kinds, absent, there, scene)[0, :3], before[0, :3])
    assert (sizes(kinds, other, there, scene)[0, 1:3] - before[0, 1:3]).abs().min() > 1e-4
    assert (sizes(kinds, stood, there, 1 - scene)[0] - before[0]).abs().max() > 1e-3
    order = torch.tensor([2, 0, 1, 3, 4])
    torch.testing.assert_close(sizes(kinds[:, order], stood[:, order], there, scene)[0, :3], before[0, order[:3]])
    of_mirrored = sizes.of_both(kinds, mirrored_boxes(stood), there, scene)
    torch.testing.assert_close(sizes.of_both(kinds, stood, there, scene), of_mirrored)


def test_a_size_is_what_a_thing_looks_like_and_how_it_stands():
    said = told_of({(10, 10): (0.9, {"cat": 1.0}), (20, 20): (0.9, {"dog": 1.0}), (20, 21): (0.01, {"dog": 1.0})})
    looks = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    said = said._replace(about=said.about | {"size": looks.log()})
    found, sizes, stands = found_in(said), Sizes(), torch.tensor([0.1, 0.2, 0.7])
    with torch.inference_mode():
        sizes.say[1].bias.copy_(stands.log())
        scores = torch.randn(1, sum(SCENE.values()))
        after = sized(said, found, sizes, scores).about["size"].exp()
        nothing = told_of({(10, 10): (0.001, {"cat": 1.0})})
        assert sized(nothing, found_in(nothing), sizes, scores) is nothing
    expected = looks[:2] * stands
    torch.testing.assert_close(after[:2], expected / expected.sum(1, keepdim=True))
    torch.testing.assert_close(after[2], looks[2])  # no thing was found there


def test_sizes_are_learned_from_scenes_that_are_not_drawn(tmp_path):
    made = arrangements.arrangements(60, first=20_000_000)
    scenes = [random_scene(seed, unseen=True) for seed in TRAINING_SEEDS[20_000_000:20_000_060]]
    assert np.array_equal(made["box"], np.stack([labels_of(scene)["box"] for scene in scenes]))
    assert np.array_equal(made["scene"], np.array([scene_labels(scene) for scene in scenes]))
    (tmp_path / "arrangements-60-of-another-world.npz").write_bytes(b"")
    for _ in range(2):
        kept = arrangements.kept_arrangements(60, tmp_path)
        assert len(list(tmp_path.iterdir())) == 2 and kept["kind"].shape == made["kind"].shape
    torch.manual_seed(0)
    losses = arrangements.learn_sizes(Sizes(), made, 80, batch=32)
    assert np.mean(losses[-5:]) < 0.6 * losses[0], losses


def test_the_reader_that_ships_knows_sizes_by_how_things_stand():
    """Of boxes as they are: what it misreads of pictures it does not see well enough."""
    rows = {name: torch.from_numpy(values) for name, values in arrangements.arrangements(400, 30_000_000).items()}
    there, size = rows["kind"] != UNSEEN, rows["size"].long()
    kinds = F.one_hot(rows["kind"].long().clamp(min=0), len(KINDS)).float()
    answers = [F.one_hot(rows["scene"][:, k].long(), count).float() for k, count in enumerate(SCENE.values())]
    shipped = detector.load_everyday_detector().sizes
    told = shipped.of_both(kinds, rows["box"], there, torch.cat(answers, dim=1)).argmax(2)
    assert (told == size)[size != UNSEEN].float().mean() > 0.985


def test_a_part_of_a_picture_is_brought_to_the_size_of_the_whole():
    line = (torch.arange(INPUT_SIZE) + 0.5) / INPUT_SIZE  # a picture whose every pixel says where it is
    image = torch.stack(
        [line.expand(INPUT_SIZE, -1), line[:, None].expand(-1, INPUT_SIZE), line.expand(INPUT_SIZE, -1)]
    )
    corners = corners_of(torch.tensor([[0.5, 0.6], [0.05, 0.99]]))
    assert corners.tolist() == [[64, 89], [0, 128]], "none reaches beyond the edge"
    (part,) = part_of(image, corners[0])
    inside = slice(4, -4)  # where no edge is near
    torch.testing.assert_close(part[0, 0, inside], 64 / 256 + 0.5 * line[inside], atol=5e-4, rtol=0)
    torch.testing.assert_close(part[1, inside, 0], 89 / 256 + 0.5 * line[inside], atol=5e-4, rtol=0)


def test_what_a_glance_sees_is_what_is_around_the_middle():
    unsure = {(10, 10): (0.5, {"cat": 0.8, "dog": 0.2}), (11, 12): (0.25, {"dog": 1.0}), (20, 10): (0.9, {"cow": 1.0})}
    chances = kinds_at(torch.tensor([[10.5 / GRID, 11 / GRID]]), told_of(unsure))[0]
    assert chances[KINDS.index("cat")] == pytest.approx(0.4 / 0.75, rel=1e-3)
    assert chances[KINDS.index("dog")] == pytest.approx(0.35 / 0.75, rel=1e-3) and chances[KINDS.index("cow")] < 1e-6
    assert not kinds_at(torch.tensor([[0.9, 0.9]]), told_of(unsure)).any(), "nothing is there"


@pytest.mark.parametrize(
    ("eye", "again", "kind"),
    [
        ({"cat": 0.6, "dog": 0.4}, {"dog": 1.0}, "dog"),
        ({"cat": 0.6, "dog": 0.4}, {"dog": 0.7, "cat": 0.3}, "cat"),  # which is not clear
        ({"cat": 0.6, "dog": 0.4}, None, "cat"),  # nothing is seen there
        ({"cat": 0.98, "dog": 0.02}, {"dog": 1.0}, "cat"),  # which nobody asks
    ],
)
def test_a_second_glance_counts_where_the_eye_is_unsure_and_it_is_clear(eye, again, kind):
    said, looks = told_of({(10, 10): (0.9, eye), (20, 20): (0.01, {"dog": 1.0})}), []
    said.about["box"][:] = 1.5 / GRID

    def look(images):
        looks.append(images)
        return told_of({(16, 16): (0.9, again)} if again else {(2, 2): (0.9, {"cow": 1.0})})

    images = torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE)
    after, found = looked_again(said, found_in(said), images, look)
    assert KINDS[int(found.kinds[0, 0])] == kind and len(looks) == (max(eye.values()) < SURE)
    assert all(each.shape == images.shape for each in looks)
    if kind == "dog":
        odds = after.about["kind"][0, KINDS.index("dog")] - after.about["kind"][0, KINDS.index("cat")]
        assert float(odds.exp()) == pytest.approx(0.4 / 0.6 * (1 + NOTHING) / NOTHING, rel=0.02)
    torch.testing.assert_close(after.about["kind"][1], said.about["kind"][1])  # no thing was found there


def test_where_nothing_is_found_nothing_is_looked_at_again():
    said = told_of({(10, 10): (0.001, {"cat": 1.0})})
    assert looked_again(said, found_in(said), torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE), pytest.fail)[0] is said


def test_two_held_out_drawings_are_read_right_by_a_second_glance_alone(monkeypatch):
    """A pizza on a table, and a woman beside a car."""
    scenes = [random_scene(HELD_OUT_SEEDS[index]) for index in (491, 1577)]
    images = from_uint8(np.stack([draw(scene) for scene in scenes]))
    right = {}
    for sure in (0.0, SURE):
        monkeypatch.setattr(glance, "SURE", sure)
        read = detector.load_everyday_detector().read(images)
        right[sure] = [
            {thing.kind for thing in one.scene.things} == {thing.kind for thing in scene.things}
            for one, scene in zip(read, scenes)
        ]
    assert right == {0.0: [False, False], SURE: [True, True]}


def test_who_is_no_person_rides_what_it_is_on():
    horse = seen("horse", (0.3, 0.5, 0.7, 0.9))
    for relation in ("on", "riding"):
        read = read_things([seen("bird", (0.4, 0.4, 0.5, 0.5), (0.5, 0.7), relation=relation), horse], Scene())
        for wanted in ("on", "riding"):
            caption = Scene(things=(Thing("bird", relation=wanted, other=1), Thing("horse")))
            assert all(holds for atom, holds in judge(caption, read.scene, read.also) if atom.skill == "relation")
    rider = read_things([seen("man", (0.4, 0.4, 0.5, 0.5), (0.5, 0.7), relation="on"), horse], Scene())
    assert rider.scene.things[0].relation == "on" and not rider.also


def test_in_a_mirror_left_is_right_of_pixels_of_labels_and_of_captions():
    images = torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE)
    images[0, 0, 40, 100] = 1.0
    assert mirrored(images)[0, 0].nonzero().tolist() == [[40, INPUT_SIZE - 2 - 100]]
    scenes = [random_scene(seed) for seed in HELD_OUT_SEEDS[:40]]
    truth = {name: torch.from_numpy(values) for name, values in lessons.truth_of(scenes).items()}
    turned, there = mirrored_truth(truth, torch.arange(40) % 2 == 0), truth["kind"] != UNSEEN
    assert all(torch.equal(values[1::2], truth[name][1::2]) for name, values in turned.items())
    of_one, of_other = (labels["place"][::2][there[::2]] for labels in (truth, turned))
    assert (of_one[of_one != UNSEEN] + of_other[of_one != UNSEEN] == 2).all() and {0, 2} <= set(of_other.tolist())
    middles = ((truth["box"][..., 0] + truth["box"][..., 2]) / 2 * GRID)[::2][there[::2]]
    seen_there = ((turned["box"][..., 0] + turned["box"][..., 2]) / 2 * GRID)[::2][there[::2]].long()
    between = middles == middles.round()  # two cells: it is counted to the one on the right, in the mirror on the left
    cells = turned["cell"][::2][there[::2]] % GRID
    assert between.any() and torch.equal(cells[between], seen_there[between])
    assert ((cells - seen_there).abs() <= 1).all() and torch.equal(
        cells, GRID - 1 - truth["cell"][::2][there[::2]] % GRID
    )
    again = mirrored_truth(turned, torch.arange(40) % 2 == 0)
    assert all(torch.allclose(again[name].double(), values.double()) for name, values in truth.items())
    text = detector.load_everyday_detector().text
    said = torch.tensor([text.tokens("a cat on the left right next to a dog on the right side")] * 2)
    mirror = mirrored_words(said, torch.tensor([True, False]), text.words)
    assert mirror[0].tolist() == text.tokens("a cat on the right right next to a dog on the left side")
    assert torch.equal(mirror[1], said[1])
    at_its_end = torch.tensor([[text.words[word] for word in ("next", "to", "a", "dog", "on", "the", "right")]])
    turned_words = mirrored_words(at_its_end, torch.tensor([True]), text.words)
    assert turned_words[0, -1] == text.words["left"], "the first word does not follow the last"


def test_a_box_told_of_a_mirror_image_is_that_of_the_thing_itself():
    cells, stood = torch.tensor([0, 14 * GRID + 9]), torch.tensor([[0.0, 0.0, 0.1, 0.2], [0.2, 0.3, 0.5, 0.7]])

    def reach(cells, boxes):
        middle = torch.stack([cells % GRID, cells // GRID], dim=1).add(0.5) / GRID
        return torch.cat([middle - boxes[:, :2], boxes[:, 2:] - middle], dim=1)

    about = {"box": reach(mirrored_cell(cells), mirrored_boxes(stood)), "partner": torch.zeros(2, 2)}
    back = turned_back(about | {name: torch.zeros(2, len(answers)) for name, answers in ATTRIBUTES.items()})
    torch.testing.assert_close(back["box"], reach(cells, stood))
    told = Cells(torch.zeros(1, GRID, GRID), torch.zeros(2), cells, back)
    torch.testing.assert_close(boxes_of(told), stood)


def test_a_mirror_image_is_read_as_its_picture_is():
    shipped, scenes = detector.load_everyday_detector(), [random_scene(seed) for seed in HELD_OUT_SEEDS[:40]]
    images = from_uint8(np.stack([draw(scene) for scene in scenes]))
    other = {"left": "right", "right": "left"}
    same = []
    for one, two in zip(shipped.read(images), shipped.read(mirrored(images))):
        here = sorted(
            (thing.kind, str(thing.colour), thing.count, other.get(thing.place, thing.place))
            for thing in one.scene.things
        )
        there = sorted((thing.kind, str(thing.colour), thing.count, thing.place) for thing in two.scene.things)
        same.append(here == there)
    assert np.mean(same) > 0.9, same


def test_a_picture_is_moved_with_what_is_true_of_it():
    images = torch.zeros(3, 3, INPUT_SIZE, INPUT_SIZE)
    images[:, 0, 40, 100] = images[:, 1, 0, 7] = 1.0
    steps = torch.tensor([[0, 0], [5, -3], [-16, 16]])
    found = moved(images, steps)
    on_a_table = Scene("day", "room", (TABLE, dataclasses.replace(CAT, relation="on", other=0)))
    assert torch.equal(found[0], images[0])
    assert [each[0].nonzero().tolist() for each in found] == [[[40, 100]], [[37, 105]], [[56, 84]]]
    assert found[2, 1].nonzero().tolist() == [], "what was at the left edge is out of view"
    assert found[1, 1].nonzero().tolist() == [], "and what was at the upper one"
    images[2, 1, 0, 30] = 1.0
    assert moved(images, steps)[2, 1].nonzero().tolist() == [[line, 14] for line in range(17)], "an edge is repeated"
    scenes = [random_scene(HELD_OUT_SEEDS[0]), on_a_table, random_scene(HELD_OUT_SEEDS[2])]
    truth = {name: torch.from_numpy(values) for name, values in lessons.truth_of(scenes).items()}
    there, labels = truth["kind"] != UNSEEN, moved_truth(truth, steps)
    assert all(torch.equal(values[0], truth[name][0]) for name, values in labels.items())
    way = torch.tensor([5, -3, 5, -3]) / INPUT_SIZE
    torch.testing.assert_close(labels["box"][1][there[1]], (truth["box"][1] + way).clamp(0, 1)[there[1]])
    middles = (labels["box"][1:, :, :2] + labels["box"][1:, :, 2:]) / 2 * GRID
    middles[..., 1] -= 2 * (truth["relation"][1:] == RELATED_ON)
    assert torch.equal(labels["cell"][1:], middles[..., 1].long() * GRID + middles[..., 0].long())
    assert (labels["place"][1:] == UNSEEN).all() and torch.equal(labels["relation"], truth["relation"])
    down, aside = (moved_truth(truth, torch.tensor([step] * 3)) for step in ([0, 8], [8, 0]))
    assert torch.equal(down["place"], truth["place"]), "what is moved down stays on its side"
    assert (down["size"] == UNSEEN).all() and (truth["size"] != UNSEEN).any(), (
        "how large it is for its height is not known"
    )
    assert torch.equal(aside["size"], truth["size"])


def test_scores_are_shares_of_atoms_by_skill_and_what_stands_for_an_unknown_word_is_no_extra():
    shown = Reading(Scene("day", "field", (Thing("horse", "brown", 1, "left", "medium"), CAT)))
    found = scores_of("two black cats and a zebra in a field at night", shown)
    assert found["scene_atoms"] == 5  # cat, black, two, field, night
    assert found["scene_accuracy"] == pytest.approx(3 / 5) and found["scene_prompt_accuracy"] == 0
    assert found["scene_accuracy_colour"] == 1 and found["scene_accuracy_count"] == found["scene_accuracy_sky"] == 0
    assert math.isnan(found["scene_accuracy_size"])
    assert found["scene_extra"] == 0 and scores_of("a black cat", shown)["scene_extra"] == 1
    assert all(math.isnan(value) for value in scores_of("quarterly revenue", shown).values())


def test_metrics_called_after_scenes_take_the_detector_of_the_world_of_the_pictures():
    names = ["fd_scenes", "coverage_scenes", "clip_scenes", "scene_accuracy", "scene_extra", "rfd_scenes"]
    for world in ("everyday", ""):
        assert {metric.detector for metric in catalogue.find(names, world)} == {"everyday"}
        assert [metric.name for metric in catalogue.find(names, world)] == names
    assert [metric.detector for metric in catalogue.find(["fid", "fashion_accuracy"], "everyday")] == [
        "inception",
        "fashion",
    ]
    assert catalogue.drawn_world(["inception", "everyday"]) == "everyday" and catalogue.drawn_world(["clip"]) == ""


def test_most_scenes_to_learn_from_hold_a_relation():
    scenes = [lessons.scene_of(index) for index in range(300)]
    related = [any(thing.relation for thing in scene.things) for scene in scenes]
    assert 0.55 < np.mean(related) < 0.85
    assert scenes[related.index(False)] == random_scene(3 * related.index(False), unseen=True)


def test_training_learns_from_other_drawings_where_their_first_number_says_so(tmp_path, monkeypatch):
    training.train(1, 4, 8, tmp_path, first=50)
    assert [file.name for file in tmp_path.glob("*.npy")] == ["drawings-50-8.npy"]
    drawn = lessons.kept_lessons(8, tmp_path, 50)
    assert np.array_equal(drawn.images[2], draw(lessons.scene_of(52), INPUT_SIZE))
    (truth,) = tmp_path.glob("truth-*.npz")
    alike = lessons.truth_of([lessons.scene_of(52)], 52)
    assert all(np.array_equal(drawn.truth[name][2], values[0]) for name, values in alike.items())
    monkeypatch.setattr("ldm_core.data.everyday.truth.RAISED", 3 / GRID)
    again = lessons.kept_lessons(8, tmp_path, 50)
    assert set(tmp_path.glob("truth-*.npz")) > {truth}, "what is held true otherwise today is worked out anew"
    assert (again.truth["cell"] != drawn.truth["cell"]).any() and np.array_equal(again.images, drawn.images)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--first", "-1"], "--first, with --pool 8, must be an integer from 0 to 33333325, got -1"),
        (["--first", "33333326"], "--first, with --pool 8, must be an integer from 0 to 33333325, got 33333326"),
        (["--first", "5", "--seconds", "1"], "--first 5 goes with --steps"),
        (["--pool", "0"], "--pool must be an integer from 1 to 33333333, got 0"),
        (["--batch", "0"], "--batch must be an integer >= 1, got 0"),
        (["--steps", "-3"], "--steps must be an integer >= 0, got -3"),
        (["--steps", "0", "--device", "cuda"], "--device cuda needs --seconds"),
        (["--sizes", "-1"], "--sizes must be an integer >= 0, got -1"),
        (["--held-out", "0"], "--held-out must be an integer from 1 to 1000000, got 0"),
    ],
)
def test_there_have_to_be_drawings_to_learn_from(given, said, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        train_everyday.main(["--pool", "8", "--out", str(tmp_path / "no"), *given])
    assert said in capsys.readouterr().err and not (tmp_path / "no").exists()


def test_training_goes_on_where_it_was_and_learns(tmp_path):
    first = training.train(2, 4, 8, tmp_path)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == 2
    weights = {name: value.clone() for name, value in first.state_dict().items()}
    assert all(torch.equal(weights[name], value) for name, value in state["average"].items()), "it gives the average"
    seen = [name for name in state["average"] if not name.startswith("sizes.")]  # which are learned elsewhere
    assert np.mean([not torch.equal(weights[name], state["detector"][name]) for name in seen]) > 0.9
    again = training.train(3, 4, 8, tmp_path)
    moved = [name for name, value in again.state_dict().items() if not torch.equal(value, weights[name])]
    assert "things.about.weight" in moved and torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 3
    at_once = training.train(3, 4, 8, tmp_path / "at-once").state_dict()
    for name, value in again.state_dict().items():
        torch.testing.assert_close(value, at_once[name], atol=1e-5, rtol=1e-3)
    with pytest.raises(ValueError, match=r"other settings: --pool 6 \(8 before\), --first 50 \(0 before\)"):
        training.train(4, 4, 6, tmp_path, first=50)
    assert not list(tmp_path.glob("drawings-50-*")), "nothing is drawn for a training that cannot go on"


def test_a_compiled_eye_learns_the_same(tmp_path):
    plain, compiled = (
        training.train(1, 2, 4, tmp_path / str(backend), compiler=backend).state_dict() for backend in (None, "eager")
    )
    assert plain.keys() == compiled.keys(), "and is kept by the same names"
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, atol=1e-4, rtol=1e-3)


def test_what_is_small_is_seen_in_the_cell_that_holds_it():
    torch.manual_seed(0)
    things, places = Things().eval(), torch.randn(1, PLACE, GRID // 2, GRID // 2)
    details, there = torch.randn(2, 1, DETAIL, GRID, GRID), (torch.tensor([0, 0]), torch.tensor([0, 1]))
    one, other = (things.describe(Maps(places, detail), *there) for detail in details)
    assert all(torch.equal(one[name], other[name]) for name in ABOUT), "its layers begin at zero"
    torch.nn.init.normal_(things.hidden_detail.weight)
    details[1] = details[0]
    details[1, :, :, 0, 1] = 0
    one, other = (things.describe(Maps(places, detail), *there)["kind"] for detail in details)
    assert torch.equal(one[0], other[0]) and not torch.equal(one[1], other[1])


def test_features_lie_on_their_grids():
    maps, whole = Eye().eval()(torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE))
    assert maps.places.shape[1:] == (PLACE, GRID // 2, GRID // 2) and maps.details.shape[1:] == (DETAIL, GRID, GRID)
    assert whole.shape == (1, 2048)


def cells_one_by_one(truth, there, jitter):
    """In which cell (across, down) each thing that is there is asked for: beside its middle, or two cells above it where it is
    on another, unless another's is nearer."""
    found = []
    for of_picture, relations, is_there, steps in zip(truth["box"], truth["relation"], there, jitter):
        middles = [
            ((left + right) * GRID / 2, (top + bottom) * GRID / 2 - 2 * (ATTRIBUTES["relation"][relation] == "on"))
            for (left, top, right, bottom), relation in zip(of_picture[is_there].tolist(), relations[is_there].tolist())
        ]
        for (x, y), (across, down) in zip(middles, steps[is_there].tolist()):
            cell = [min(max(int(at), 0), GRID - 1) for at in (x + across, y + down)]
            away = [math.hypot(cell[0] + 0.5 - a, cell[1] + 0.5 - b) for a, b in middles]
            own = math.hypot(cell[0] + 0.5 - x, cell[1] + 0.5 - y)
            found.append(cell if own <= min(away) else [min(int(at), GRID - 1) for at in (x, y)])
    return torch.tensor(found)


def losses_of_things_one_by_one(things, maps, logits, truth, jitter):
    """The loss as it reads best: of the rows that hold a thing alone."""
    there = truth["kind"] != UNSEEN
    picture = torch.arange(len(logits))[:, None].expand_as(there)[there]
    target = torch.zeros(len(logits), GRID * GRID)
    target[picture, truth["cell"][there]] = 1
    entropy = F.binary_cross_entropy_with_logits(logits.flatten(1), target, reduction="sum")
    box = truth["box"][there]
    column, line = cells_one_by_one(truth, there, jitter).T
    about = things.describe(maps, picture, line * GRID + column)
    found = {name: F.cross_entropy(about[name], truth[name][there], ignore_index=UNSEEN) for name in ATTRIBUTES}
    found |= {"where": entropy / there.sum(), "kind": F.cross_entropy(about["kind"], truth["kind"][there])}
    centre = torch.stack([column, line], dim=1).add(0.5) / GRID
    found["box"] = 10 * F.l1_loss(about["box"], torch.cat([centre - box[:, :2], box[:, 2:] - centre], dim=1))
    related = truth["relation"][there] > 0
    steps = (about["partner"] - truth["partner"][there])[related]
    return found | {"partner": 5 * steps.abs().sum() / max(len(steps), 1) / 2}


def test_the_loss_of_all_rows_at_once_is_that_of_those_that_hold_a_thing():
    torch.manual_seed(0)
    made = lessons.truth_of([random_scene(seed) for seed in HELD_OUT_SEEDS[:6]])
    truth, things = {name: torch.from_numpy(values) for name, values in made.items()}, Things()
    assert (truth["relation"] > 0).any() and (truth["kind"] == UNSEEN).any()
    maps = Maps(torch.randn(6, PLACE, GRID // 2, GRID // 2), torch.randn(6, DETAIL, GRID, GRID))
    jitter = torch.rand(6, 12, 2) - 0.5
    given = (things, maps, things(maps), truth, jitter)
    found, expected = thing_losses(*given), losses_of_things_one_by_one(*given)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-5)


def test_what_is_learned_from_is_softer_and_noisier_and_keeps_what_is_eight_pixels_wide():
    stripes = torch.arange(64).div(8, rounding_mode="floor").remainder(2).float().mul(0.6).add(0.2)
    pictures = stripes.expand(16, 3, 64, 64)
    seen = lessons.augment(pictures, np.random.default_rng(0))
    assert seen.shape == pictures.shape and seen.min() >= 0 and seen.max() <= 1 and not torch.equal(seen[0], seen[1])
    steps = seen.mean(2).diff(dim=-1).abs().amax((1, 2))  # the columns' means: what noise there is goes
    assert steps.min() < 0.45 and steps.max() > 0.55, "from half way between soft and sharp"
    bars = seen.mean(2).unflatten(-1, (8, 8))[..., 2:6].mean(-1)
    assert (bars[..., 1::2] - bars[..., ::2]).min() > 0.5, "of 0.6"


def test_half_way_between_two_readers_is_the_mean_of_their_weights():
    one, other = detector.EverydayDetector().eval(), detector.EverydayDetector().eval()
    for buffer in other.buffers():
        buffer.add_(2)
    between = training.half_way(one, other)
    assert not between.training
    for name, value in between.state_dict().items():
        before, after = one.state_dict()[name], other.state_dict()[name]
        torch.testing.assert_close(value, (before + after) / 2 if value.is_floating_point() else after)


def test_a_thing_is_not_asked_for_where_the_point_of_another_is_nearer():
    # A bed that is looked for in cell 16, a ball in 17, a chair that is not there in 18; far away a tree.
    points = torch.tensor([[[16.5, 16.5], [17.6, 16.5], [18.5, 16.5], [3.5, 16.5]]]) / GRID
    there = torch.tensor([[True, True, False, True]])
    beside = torch.tensor([[[0.7, 0.0], [0.8, 0.0], [0.0, 0.0], [0.7, -0.7]]])
    assert asked(points, there, beside)[0, [0, 1, 3]].tolist() == [[16, 16], [18, 16], [4, 15]]
    alone = torch.tensor([[True, False, False, True]])
    assert asked(points, alone, beside)[0, [0, 3]].tolist() == [[17, 16], [4, 15]]


def test_training_by_seconds_learns_from_drawings_made_ahead(tmp_path, capsys):
    shipped = detector.load_everyday_detector()
    made = train_everyday_resident.train(2.0, 4, 64, 1, tmp_path, "cpu", shipped)
    assert all(value.isfinite().all() for value in made.state_dict().values())
    assert "reader: step" in capsys.readouterr().out
    again = train_everyday_resident.finished(tmp_path / train_everyday_resident.MADE)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in made.state_dict().items())
    drawn = train_everyday_resident.lessons(4, 2)
    alike = lessons.truth_of([lessons.scene_of(index) for index in (4, 5)], 4)
    assert drawn["pixels"].shape == (2, 3, INPUT_SIZE, INPUT_SIZE) and all(
        np.array_equal(drawn[k], alike[k]) for k in alike
    )
    with pytest.raises(SystemExit):
        train_everyday.main(["--device", "cuda", "--out", str(tmp_path)])
    assert "--device cuda needs --seconds" in capsys.readouterr().err


def test_training_may_begin_with_the_weights_that_ship_which_stay_where_what_came_of_them_reads_no_better(
    tmp_path, monkeypatch, capsys
):
    shipped, kept = detector.load_everyday_detector(), []
    monkeypatch.setattr(train_everyday, "save_weights", lambda made, measured: kept.append(measured))
    given = ["--go-on", "--batch", "4", "--pool", "8", "--held-out", "50", "--out", str(tmp_path)]
    assert train_everyday.main([*given, "--steps", "0"]) == 1 and not kept, "no step taken: as good, not better"
    assert "not kept: the weights that ship read no worse" in capsys.readouterr().out
    assert not list(tmp_path.iterdir()), "nothing is drawn for no step"
    gone_on = training.train(1, 4, 8, tmp_path, shipped).state_dict()
    apart = [(value - shipped.state_dict()[name]).abs().max() for name, value in gone_on.items() if "weight" in name]
    assert 0 < max(apart) < 0.1, "a step away from what ships, not from random weights"
    table = pd.DataFrame({"skill": ["kind", detector.ALL, ELSEWHERE], "value": [0.9, 0.8, 0.7]})
    better = {True: [[0.7, 0.81, 0.7], [0.9, 0.79, 0.8]], False: [[0.9, 0.8, 0.7], [1, 0.81, 0.68], [1, 0.7, 0.7]]}
    for expected, tables in better.items():
        assert all(train_everyday.is_better(table.assign(value=values), table) == expected for values in tables)


def test_the_audit_reads_every_drawing_as_it_is_and_moved():
    found = audit(detector.load_everyday_detector(), 20).set_index("skill")
    assert (
        found.loc[ELSEWHERE, "n"] == found.loc[ALL, "n"] - found.loc["size", "n"]
        and 0.9 < found.loc[ELSEWHERE, "value"] < 1
    )
    assert found.loc[ELSEWHERE, "low"] < found.loc[ELSEWHERE, "value"] < found.loc[ELSEWHERE, "high"]


def test_what_real_drawings_score_lies_beside_the_weights_and_is_what_they_score():
    shipped = detector.load_everyday_detector()
    assert set(shipped.of_real) == set(shipped.scores) and len(shipped.of_real["scene_accuracy"]) == 1000
    again = shipped.scores_of_real(20)
    for name, values in again.items():
        np.testing.assert_array_equal(np.isnan(values), np.isnan(shipped.of_real[name][:20]))
        apart = np.subtract(values, shipped.of_real[name][:20])
        assert np.nanmean(np.abs(apart)) < (0.1 if name == "clip_scenes" else 0.01), name
    assert 0.9 < shipped.ceiling("scene_accuracy")[0].value < 1


def test_a_detector_without_such_scores_works_them_out(monkeypatch):
    shipped, fresh = detector.load_everyday_detector(), detector.EverydayDetector().eval()
    fresh.load_state_dict(shipped.state_dict())
    monkeypatch.setattr(detector, "CEILING_COUNT", 4)
    with torch.inference_mode():
        found = fresh.ceiling("scene_accuracy")[0]
    assert found.n == 4 and found.value == pytest.approx(np.mean(shipped.of_real["scene_accuracy"][:4]), abs=0.01)


def test_a_folder_of_drawings_is_scored_by_skill_and_by_how_much_is_asked(tmp_path):
    names = ["a", "b", "c", "d"]
    for name, seed in zip(names, HELD_OUT_SEEDS):
        to_pil(from_uint8(draw(random_scene(seed), 128)[None])[0]).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text("a red house at night" if name in "ab" else "two blue cars, a cat")
    out = tmp_path / "out"
    given = (
        f"--images {tmp_path} --world everyday --metrics scene_accuracy,scene_prompt_accuracy,scene_extra --device cpu"
    )
    assert score.main([*given.split(), "--out", str(out)]) == 0
    table = pd.read_csv(out / "summary.csv").fillna({"category": ""})
    assert set(table["detector"]) == {"everyday_detector"}
    parts = table[table["metric"] == "scene_accuracy"].set_index("category")
    assert {"", "skill: kind", "skill: colour", "skill: sky", "skill: count", "atoms: 4", "atoms: 5"} <= set(
        parts.index
    )
    whole = pd.read_csv(out / "images.csv")["scene_accuracy"]
    assert parts.loc["", "value"] == pytest.approx(whole.mean()) and parts.loc["", "n"] == 4
    assert "the judge is right on 0." in parts.loc["", "note"] and parts.loc["atoms: 4", "n"] == 2
    assert {"scene_accuracy_ceiling", "scene_extra_ceiling"} <= set(table["metric"])
    assert "skill: colour" in (out / "report.md").read_text()
