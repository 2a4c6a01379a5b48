"""Prompt files of every kind."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from evaluation.generation.prompts import Prompt, load_prompts, prompt_file


def write(tmp_path, name, data):
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return tmp_path / name


def test_a_text_file_keeps_order_repeats_and_categories(tmp_path):
    path = write(tmp_path, "p.txt", "\ufeff# a comment\r\na cat\r\n\r\n# category: sea\r\na boat\r\n  a cat  \r\n")
    assert load_prompts(path) == [Prompt(0, "a cat"), Prompt(1, "a boat", "sea"), Prompt(2, "a cat", "sea")]
    assert len(load_prompts(path, limit=2)) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", 'Prompt,category,seed\n"a cat, asleep",pets,5\n'),
        ("p.tsv", "prompt\tcategory\tseed\na cat, asleep\tpets\t5\n"),
        ("p.jsonl", '{"prompt": "a cat, asleep", "category": "pets", "seed": 5}\n\n'),
    ],
)
def test_tables_keep_category_and_seed(tmp_path, name, text):
    assert load_prompts(write(tmp_path, name, text)) == [Prompt(0, "a cat, asleep", "pets", 5)]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("p.txt", b"a cat\n\xff\xfe\n", "line 2: not UTF-8"),
        ("p.txt", b"# nothing\n\n", "holds no prompt"),
        ("p.csv", b"text\na cat\n", "no column 'prompt' among text"),
        ("p.csv", b"prompt,seed\na cat,x\n", "line 2: seed 'x'"),
        ("p.jsonl", b'{"prompt": "a"}\n{oops\n', "line 2: no JSON"),
        ("p.jsonl", b'{"text": "a"}\n', "line 1: no text 'prompt'"),
        ("p.tsv", b"prompt\tseed\na\t4294967296\n", "line 2: seed 4294967296"),
        ("p.json", b'{"a": 1}', "no COCO captions"),
        ("p.json", b'{\n"images": oops', "line 2: no JSON"),
        ("p.yaml", b"a", "must end in"),
    ],
)
def test_bad_files_are_named_with_their_line(tmp_path, name, data, message):
    with pytest.raises(ValueError, match=message):
        load_prompts(write(tmp_path, name, data))


COCO = {
    "images": [{"id": 9, "file_name": "b.jpg"}, {"id": 4, "file_name": "a.jpg"}, {"id": 5, "file_name": "c.jpg"}],
    "annotations": [
        {"image_id": 9, "id": 3, "caption": "A dog \n runs."},
        {"image_id": 4, "id": 8, "caption": "second"},
        {"image_id": 4, "id": 7, "caption": "first"},
    ],
}


def test_coco_gives_one_caption_an_image_by_its_rule_and_keeps_the_file_names(tmp_path):
    prompts = load_prompts(write(tmp_path, "c.json", json.dumps(COCO)))
    digest = int.from_bytes(hashlib.sha256(b"4").digest()[:4], "big")
    expected = ["first", "second"][digest % 2]
    assert prompts == [Prompt(0, expected, reference="a.jpg"), Prompt(1, "A dog runs.", reference="b.jpg")]


def test_partiprompts_are_unquoted_and_keep_category_and_challenge(tmp_path):
    text = 'Prompt\tCategory\tChallenge\tNote\na sign that says "Go\tArts\tWriting\tx\na cat\tAnimals\tBasic\t\n'
    assert load_prompts(write(tmp_path, "p.tsv", text)) == [
        Prompt(0, 'a sign that says "Go', "Arts", challenge="Writing"),
        Prompt(1, "a cat", "Animals", challenge="Basic"),
    ]


def test_genevals_tag_is_a_category_and_a_caption_column_is_a_prompt(tmp_path):
    line = '{"tag": "counting", "include": [], "prompt": "two cats"}\n'
    assert load_prompts(write(tmp_path, "g.jsonl", line)) == [Prompt(0, "two cats", "counting")]
    assert load_prompts(write(tmp_path, "m.csv", "id,caption\n7,a cat\n")) == [Prompt(0, "a cat")]


@pytest.mark.skipif("LDM_TEST_DATA" not in os.environ, reason="LDM_TEST_DATA is not set")
@pytest.mark.parametrize(
    ("file", "count"),
    [
        ("prompts/PartiPrompts.tsv", 1632),
        ("prompts/geneval_metadata.jsonl", 553),
        ("prompts/drawbench.txt", 200),
        ("coco_mini/captions_val2017_mini.json", 159),
        ("coco_captions/captions_val2017.json", 5000),
    ],
)
def test_the_fields_own_prompt_files_load_whole(file, count):
    prompts = load_prompts(Path(os.environ["LDM_TEST_DATA"]) / file)
    assert len(prompts) == count and all(prompt.text and "\t" not in prompt.text for prompt in prompts)
    if file.startswith("coco"):
        assert len({prompt.reference for prompt in prompts}) == count
    if "Parti" in file:
        assert len({prompt.category for prompt in prompts}) == 12 and all(prompt.challenge for prompt in prompts)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.txt cannot be read"):
        load_prompts(tmp_path / "none.txt")


@pytest.mark.parametrize("name", ["coco", "coco.txt", "prompts/coco.txt"])
def test_a_set_that_ships_is_found_by_its_name_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_prompts(prompt_file(name))[0] == load_prompts(Path(__file__).parents[1] / "prompts" / "coco.txt")[0]
    write(tmp_path, "coco.txt", "a cat\n")  # one's own file goes before
    assert load_prompts(prompt_file("coco.txt")) == [Prompt(0, "a cat")]


@pytest.mark.parametrize("name", ["nothing.txt", "elsewhere/coco.txt", "../prompts/coco.csv"])
def test_any_other_name_is_a_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert prompt_file(name) == Path(name)
