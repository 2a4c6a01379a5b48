"""The prompt sets that ship are what their README says."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from evaluation.prompts import load_prompts
from ldm_core.data import fashion_mnist

FOLDER = Path(__file__).parents[1] / "prompts"


def test_the_readme_counts_are_true():
    readme = (FOLDER / "README.md").read_text()
    for path in FOLDER.glob("*.txt"):
        assert re.search(rf"`{path.name}` \| {len(load_prompts(path))} \|", readme), path.name


def test_coco_captions_are_many_distinct_and_of_the_right_length():
    prompts = load_prompts(FOLDER / "coco.txt")
    assert len(prompts) >= 250 and len({prompt.text.lower() for prompt in prompts}) == len(prompts)
    assert all(6 <= len(prompt.text.split()) <= 20 for prompt in prompts)


def test_a_third_of_the_coco_captions_are_outdoor_scenes():
    categories = Counter(prompt.category for prompt in load_prompts(FOLDER / "coco.txt"))
    assert set(categories) == {"people", "animals", "vehicles", "food", "indoor", "sport", "outdoor"}
    assert categories["outdoor"] >= sum(categories.values()) / 3


def test_every_fashion_prompt_names_one_piece_of_clothing_and_all_ten_occur():
    prompts = load_prompts(FOLDER / "fashion.txt")
    assert len(prompts) >= 40 and {fashion_mnist.parse(prompt.text) for prompt in prompts} == set(range(10))
