"""Words beyond the everyday world: replaced by what is near and said so, never where nothing is near."""

from __future__ import annotations

import csv
import json
import os
import random
import re
from pathlib import Path

import pytest

from evaluation.prompts import load_prompts
from ldm_core.data import everyday
from ldm_core.data.everyday import table
from ldm_core.data.everyday.atoms import atoms
from ldm_core.data.everyday.lexicon import SCENERY, entries
from ldm_core.data.everyday.nearest import substitute
from ldm_core.data.everyday.parsing import parse
from ldm_core.data.everyday.world import COLOURS, GROUNDS, KINDS, SKIES

PROMPTS = Path(__file__).parents[1] / "prompts"


@pytest.mark.parametrize(
    ("text", "written", "replaced"),
    [
        ("A zebra in a forest", "A horse in pine trees", (("zebra", "horse"), ("forest", "pine trees"))),
        ("three zebras and an ostrich", "three horses and a bird", (("zebras", "horses"), ("ostrich", "bird"))),
        ("a shiny motorcycle", "a shiny bicycle", (("motorcycle", "bicycle"),)),
        ("an awfully big igloo", "an awfully big house", (("igloo", "house"),)),
        ("a fire truck on the avenue", "a truck on the avenue", (("fire truck", "truck"),)),
        ("a forest at night", "pine trees at night", (("forest", "pine trees"),)),
        ("a family in a park", "a man, a woman and a child in a park", (("family", "a man, a woman and a child"),)),
        ("the couple on a sofa", "a man and a woman on a bench", (("couple", "a man and a woman"), ("sofa", "bench"))),
        ("a couple of lions", "a couple of cats", (("lions", "cats"),)),
        ("two deer", "two horses", (("deer", "horses"),)),
        ("a red rose", "a red flower", (("rose", "flower"),)),
        ("Lions!", "Cats!", (("Lions", "cats"),)),
        ("a volcano", "a mountain", (("volcano", "mountain"),)),
        ("a woman in a maroon dress", "a woman in a red dress", (("maroon", "red"),)),
    ],
)
def test_a_word_is_replaced_in_its_number_and_with_its_article(text, written, replaced):
    found = substitute(text)
    assert (found.text, found.replaced) == (written, replaced)


@pytest.mark.parametrize(
    "text", ["a lorry, a puppy and a cottage", "two kittens by a lady", "auto on a road", "", "riding"]
)
def test_what_the_world_knows_passes_untouched_and_unsaid(text):
    found = substitute(text)
    assert found.text == text and not found.replaced and not found.unknown and found.describe() == ""


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("a hot dog", ("hot dog",)),
        ("two hot dogs and a teddy bear", ("hot dogs", "teddy bear")),
        ("a laptop on a table", ("laptop",)),
        ("a snowman", ("snowman",)),
        ("a fire hydrant", ("fire hydrant",)),
        ("an iguana, an iguana", ("iguana",)),
        ("a computer keyboard", ("computer", "keyboard")),
        ("a man playing a guitar at a bus stop", ("guitar", "bus stop")),
        ("a dinosaur", ("dinosaur",)),
    ],
)
def test_where_nothing_is_near_nothing_is_replaced(text, unknown):
    found = substitute(text)
    assert (found.text, found.replaced, found.unknown) == (text, (), unknown)


def test_function_words_verbs_and_parts_are_neither_unknown_nor_replaced():
    found = substitute("He was slowly walking toward the other side, holding his hand over her eyes while it rained")
    assert not found.replaced and not found.unknown and not found.ignored


def test_what_says_more_than_the_world_holds_is_reported_as_ignored():
    assert substitute("seven shiny grey cars").ignored == ("seven", "shiny", "grey")
    assert substitute("two small red cars").ignored == ()


def test_the_description_is_one_sentence():
    assert substitute("A zebra next to a laptop").describe() == (
        "This model does not know “zebra”: it draws a horse instead; it does not know “laptop”."
    )
    assert substitute("an igloo in a laptop or phone", enabled=False).describe() == (
        "This model does not know “igloo”, “laptop” or “phone”."
    )
    assert substitute("three zebras, aquamarine").describe() == (
        "This model does not know “zebras”: it draws horses instead; “aquamarine”: it draws blue instead."
    )


def test_substitution_can_be_turned_off_and_then_says_what_is_unknown():
    found = substitute("a zebra and a cat", enabled=False)
    assert found.text == "a zebra and a cat" and not found.replaced and found.unknown == ("zebra",)


def test_a_substituted_text_holds_nothing_more_to_replace():
    words = [word for word, (_, how) in table.rows().items() if how == "near"]
    for word in words:
        once = substitute(f"two red {table.plural(word)} and a {word}")
        assert once.replaced and not substitute(once.text).replaced, word


def test_no_string_is_too_odd():
    rng = random.Random(0)
    for _ in range(1000):
        text = "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(0xD7FF), 0x130))) for _ in range(30))
        assert isinstance(substitute(text).describe(), str)


def test_the_table_is_large_and_each_row_does_what_it_says():
    rows = table.rows()
    near = [word for word, (_, how) in rows.items() if how == "near"]
    assert len(near) >= 1000
    with (Path(everyday.__file__).parent / "nearest.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows)  # no word twice
    names = {*KINDS, *COLOURS, *GROUNDS, *SKIES, *SCENERY}
    for word, (nearest, how) in rows.items():
        entry = entries()[tuple(word.split())]
        assert word == word.lower().strip() and re.fullmatch("[a-z' ]+", word), word
        assert (how == "none") == (nearest == "") and how in ("same", "near", "none"), word
        assert (entry.value == nearest in names) if how == "same" else entry.role == how, word
        if how == "near":
            assert nearest in names or (substitute(nearest).unknown == () and parse(nearest)), word


def test_the_everyday_prompts_speak_of_that_world_alone_and_each_skill_has_its_own():
    prompts = load_prompts(PROMPTS / "scenes.txt")
    assert len(prompts) >= 300 and len({prompt.text for prompt in prompts}) == len(prompts)
    skills = ("one kind", "colour", "count", "size", "place", "relation", "two things", "ground", "sky", "long")
    assert {prompt.category for prompt in prompts} == {*skills, "unseen pairs", "free wording"}
    for prompt in prompts:
        scene, found = parse(prompt.text), substitute(prompt.text)
        assert scene is not None and not found.replaced and not found.unknown, prompt.text
        assert (scene.has_unseen_pair or scene.has_unseen_relation) == (prompt.category == "unseen pairs"), prompt.text
        skill = {"one kind": "kind", "unseen pairs": "kind", "long": "kind", "two things": "kind", "free wording": None}
        wanted = skill.get(prompt.category, prompt.category)
        assert wanted is None or wanted in {atom.skill for atom in atoms(scene)} or scene.clouds or scene.mountains


def test_every_kind_and_colour_is_asked_for_in_the_everyday_prompts():
    scenes = [parse(prompt.text) for prompt in load_prompts(PROMPTS / "scenes.txt")]
    assert {thing.kind for scene in scenes for thing in scene.things} == set(KINDS)
    assert {thing.colour for scene in scenes for thing in scene.things} >= set(COLOURS)


def coverage(texts: list[str]) -> tuple[float, float]:
    """The shares of texts of which a kind is known directly, and with substitution."""
    direct = [bool((scene := parse(text)) and scene.things) for text in texts]
    helped = [bool((scene := parse(substitute(text).text)) and scene.things) for text in texts]
    return sum(direct) / len(texts), sum(helped) / len(texts)


def test_most_of_the_shipped_coco_prompts_name_a_kind_with_substitution():
    lines = [line for line in (PROMPTS / "coco.txt").read_text().splitlines() if line and not line.startswith("#")]
    direct, helped = coverage(lines)
    assert direct >= 0.50 and helped >= 0.85


@pytest.mark.skipif("LDM_TEST_DATA" not in os.environ, reason="LDM_TEST_DATA is not set")
def test_most_coco_captions_name_a_kind():
    path = Path(os.environ["LDM_TEST_DATA"]) / "coco_captions" / "captions_val2017.json"
    texts = [entry["caption"] for entry in json.loads(path.read_text())["annotations"]][::5]
    direct, helped = coverage(texts)
    assert direct >= 0.62 and helped >= 0.83
