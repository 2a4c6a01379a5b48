"""How far a model composes: coloured things counted by whether training ever paired their kind with their colour."""

from __future__ import annotations

import argparse

import pandas as pd
import pytest

from evaluation.metrics.composition import composition
from evaluation.studies import composition as curve
from evaluation.studies.study import FAILS, HOLDS, IN_PART
from ldm_core.data import everyday
from ldm_core.data.everyday import Scene, Thing
from ldm_core.images import from_uint8, to_pil


def a_run(folder, pictures):
    """A run folder of drawings: (what is drawn, what was asked for, guidance scale) each."""
    rows = []
    for index, (thing, prompt, scale) in enumerate(pictures):
        drawn = everyday.draw(Scene("day", "field", (thing,), layout=index), 256)
        to_pil(from_uint8(drawn[None])[0]).save(folder / f"{index}.png")
        rows.append({"prompt_id": prompt, "prompt": prompt, "guidance_scale": scale, "file": f"{index}.png"})
    pd.DataFrame(rows).to_csv(folder / "images.csv", index=False)
    return composition(folder, "everyday").set_index(["guidance_scale", "pair"])


def test_things_are_counted_by_scale_and_by_whether_their_pair_was_seen(tmp_path):
    purple, red = (Thing("truck", colour, 1, "left", "big") for colour in ("purple", "red"))
    table = a_run(
        tmp_path,
        [
            (purple, "a purple truck on the left", 1.0),
            (red, "a purple truck", 1.0),  # the colour is wrong in the second
            (red, "a red truck on the left", 1.0),
            (red, "a red truck on the right", 1.0),  # the place is, in the second
            (purple, "a purple truck", 2.0),
            (red, "mountains by day", 2.0),
            (red, "a laptop", 2.0),  # nothing coloured asked for
        ],
    )
    assert table.loc[(1.0, "never seen"), ["n", "right", "kind"]].tolist() == [2, 0.5, 1.0]
    assert table.loc[(1.0, "seen"), ["n", "right", "kind"]].tolist() == [2, 0.5, 0.5]
    assert table.loc[(2.0, "never seen"), ["n", "right", "kind"]].tolist() == [1, 1.0, 1.0]
    assert (2.0, "seen") not in table.index
    assert table.loc[(1.0, "seen"), "right_se"] == pytest.approx(0.5)  # two values, 0 and 1: 0.7071 / sqrt(2)


def test_relations_are_told_beside_colours_and_what_was_read_beside_what_was_drawn(tmp_path):
    drawn = everyday.random_scene(100_000_037)  # a child in brown on a brown horse
    prompts = ("a child riding a brown horse", "a child riding an elephant", "a man riding a pink horse")
    for index in range(len(prompts)):
        to_pil(from_uint8(everyday.draw(drawn, 256)[None])[0]).save(tmp_path / f"{index}.png")
    rows = [
        {"prompt_id": i, "prompt": text, "guidance_scale": 1.0, "file": f"{i}.png"} for i, text in enumerate(prompts)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "images.csv", index=False)
    stated = {
        prompts[0]: {"child riding", "riding horse", "brown horse"},
        prompts[1]: {"child riding", "riding horse"},  # misread
        prompts[2]: {"man riding", "riding horse", "brown horse"},  # the colour is misread
    }
    reader = lambda texts: [frozenset(stated[text]) for text in texts]  # noqa: E731  # as the encoder's reader does
    found = composition(tmp_path, "everyday", reader).set_index(["about", "pair"])
    names = ["n", "right", "kind", "read"]
    assert found.loc[("colour", "seen"), names].tolist() == [2, 0.5, 1.0, 0.5]
    assert found.loc[("relation", "seen"), names].tolist() == [2, 0.5, 0.5, 1.0]  # no man is there
    assert found.loc[("relation", "never seen"), names].tolist() == [1, 0.0, 0.0, 0.0]
    assert "read" not in composition(tmp_path, "everyday")


def some_asked(withheld, shown=40):
    """What is asked for in 40 prompts, a withheld combination and one that was always shown in each: `withheld` says for each
    number of examples how many of the first are drawn, `shown` how many of the second."""
    rows = [
        {"shown": number, "prompt_id": index, "unseen": unseen, "right": index < count, "kind": True, "read": True}
        for number, right in withheld.items()
        for unseen, count in ((True, right), (False, shown))
        for index in range(40)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("withheld", "verdict"),
    [
        ({0: 4, 10: 39, 100: 40}, HOLDS),  # ten are enough
        ({0: 4, 10: 6, 100: 30}, IN_PART),  # more are not, and help
        ({0: 4, 10: 5, 100: 6}, FAILS),
        ({0: 34, 10: 34, 100: 35}, HOLDS),  # none are needed
        ({0: 34, 10: 34, 100: 40}, IN_PART),  # as far as it can be told, but more of them help
    ],
)
def test_a_few_examples_suffice_where_with_them_as_much_is_drawn_as_of_what_was_always_shown(withheld, verdict):
    asked = some_asked(withheld)
    shares, told = curve.shares_of(asked), curve.gained(asked, [*withheld])
    drawn = shares[(shares["figure"] == "drawn") & (shares["combination"] == "withheld")]
    assert drawn["value"].tolist() == [count / 40 for count in withheld.values()] and set(drawn["n"]) == {40}
    assert told["shown"].tolist() == [10, 100]
    assert told["difference"].tolist() == pytest.approx([(withheld[n] - withheld[0]) / 40 for n in (10, 100)])
    found, words = curve.concluded(shares, told)
    assert found == verdict and "reads 1.000" in words and "100 minus none" in words
    told_without = curve.concluded(curve.shares_of(asked.drop(columns="read")), told)
    assert told_without[0] == verdict and "encoder" not in told_without[1]


@pytest.mark.parametrize("text", ["10,100", "0", "0,ten", "", "0,-1", "0,,10"])
def test_the_curve_begins_with_none(text):
    with pytest.raises(ValueError, match="--shown must be 0 and more numbers"):
        curve.numbers_of(text)
    assert curve.numbers_of("100,0,10") == [0, 10, 100]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"recipe": "fashion-cpu"}, "--recipe must be one of scenes-cpu"),
        ({"minutes": 0.0}, "--minutes must be more than 0"),
    ],
)
def test_no_training_begins_that_cannot_be(wrong, words):
    given = {"recipe": "scenes-cpu", "minutes": 1.0}
    curve.check_training(argparse.Namespace(**given))
    with pytest.raises(ValueError, match=words):
        curve.check_training(argparse.Namespace(**given | wrong))
