"""Prompt files of every kind."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from evaluation.prompts import Prompt, load_prompts, prompt_file


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


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\v", "\f", "\x1c", "\x85"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_lines_end_where_editors_end_them(tmp_path, inside, ends):
    text = f"a cat{inside}asleep"
    files = {
        "p.txt": [text, "a dog"],
        "p.csv": ["prompt,seed", f"{text},1", "a dog,2"],
        "p.tsv": ["prompt\tseed", f"{text}\t1", "a dog\t2"],
    }
    if inside not in "\v\f\x1c":  # JSON knows no control characters but escaped ones
        files["p.jsonl"] = [json.dumps({"prompt": text}, ensure_ascii=False), json.dumps({"prompt": "a dog"})]
    for name, lines in files.items():
        prompts = load_prompts(write(tmp_path, name, ends.join(lines)))
        assert [prompt.text for prompt in prompts] == [text, "a dog"], name


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-16-le"])
@pytest.mark.parametrize(("name", "text"), [("p.txt", "a café\n"), ("p.csv", "prompt\r\na café\r\n")])
def test_other_encodings_are_known_by_their_marks(tmp_path, encoding, name, text):
    data = (("\ufeff" if encoding[-3:] in ("-be", "-le") else "") + text).encode(encoding)
    assert load_prompts(write(tmp_path, name, data)) == [Prompt(0, "a café")]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("p.csv", 'prompt\na cat\n"a dog\na boat\na tree\n', "line 3: a quote that is never closed"),
        ("p.csv", 'prompt,seed\n"a dog,1\na boat,2\n"a tree",3\n', "line 2: .*expected after"),
        ("p.csv", 'prompt\n"a\nb"\n"Go" says the sign\n', "line 4: .*quotes within quotes are doubled"),
        ("p.csv", "prompt\na cat, asleep\n", "line 2: ' asleep' stands under no column"),
        ("p.csv", "prompt,,\na cat, asleep,\n", "line 2: ' asleep' stands under no column"),
        ("p.csv", f"prompt,note\na,b\na,{'x' * 140_000}\n", "line 3: field larger than field limit"),
        ("p.csv", f"prompt\n{'x' * 20_001}\n", "line 2: a prompt of 20001 characters; 20000 at the most"),
        ("p.txt", "a\n" + "x" * (1 << 20), "line 2: a prompt of 1048576 characters"),
        ("p.jsonl", '{"prompt": "a", "seed": 1e999}', "line 1: seed inf is no integer"),
        ("p.jsonl", '{"prompt": "a", "seed": Infinity}', "line 1: seed inf is no integer"),
        ("p.jsonl", '{"prompt": "a", "seed": NaN}', "line 1: seed nan is no integer"),
        ("p.jsonl", '{"prompt": "a", "seed": 1.5}', "line 1: seed 1.5 is no integer"),
        ("p.jsonl", '{"prompt": "a", "seed": true}', "line 1: seed True is no integer"),
        ("p.jsonl", '{"prompt": "a", "seed": [1]}', r"line 1: seed \[1\] is no integer"),
        ("p.jsonl", '{"prompt": "a", "seed": -1}', "line 1: seed -1 is not from 0"),
        ("p.jsonl", f'\n{{"prompt": "a", "seed": {"9" * 5000}}}', "line 2: no JSON of plain values"),
        ("p.csv", f"prompt,seed\na,{'9' * 5000}\n", "line 2: seed '9{30,}"),
        ("p.jsonl", f'{{"prompt": {"[" * 99_999}1{"]" * 99_999}}}', "line 1: no JSON of plain values"),
        ("p.json", "[" * 99_999 + "]" * 99_999, "no JSON of plain values"),
        ("p.jsonl", '{"prompt": "a \\ud800 cat"}', "line 1: text must be text that UTF-8 can hold"),
        ("p.jsonl", '{"prompt": "a", "category": "\\udfff"}', "line 1: category must be text that UTF-8 can hold"),
        ("p.jsonl", '{"prompt": "a\\u0000"}', "line 1: text holds a zero character"),
        ("p.txt", "a cat\n".encode("utf-16-le"), "line 1: a zero byte, as in no UTF-8 text"),
        ("p.txt", b"\xff\xfea\0\n\0\0\xd8\n\0", "line 2: not UTF-16"),
        ("p.json", '{"images": [{"id": [1], "file_name": 2}], "annotations": []}', "no COCO captions"),
    ],
)
def test_what_would_be_misread_is_one_line_with_file_and_line(tmp_path, name, data, message):
    with pytest.raises(ValueError, match=message) as refused:
        load_prompts(write(tmp_path, name, data))
    words = str(refused.value)
    assert (
        words.startswith(f"--prompts {tmp_path / name}") and len(words) < 400 + len(str(tmp_path)) and "\n" not in words
    )


def test_what_looks_odd_and_is_right_is_read(tmp_path):
    quoted = 'prompt,seed\n"a sign that says ""Go"", red\nand blue",7\na "cat",8.0\n,\n'
    first, second = load_prompts(write(tmp_path, "q.csv", quoted))
    assert (first.text, first.seed) == ('a sign that says "Go", red\nand blue', 7)
    assert (second.text, second.seed) == ('a "cat"', 8)
    assert load_prompts(write(tmp_path, "s.jsonl", '{"prompt": "a", "seed": 5.0}'))[0].seed == 5
    assert len(load_prompts(write(tmp_path, "t.csv", "prompt\na cat,\n"))) == 1, "spreadsheets pad with empty cells"


def test_a_folder_or_a_file_without_an_end_in_place_of_prompts_is_named(tmp_path, monkeypatch):
    (tmp_path / "d.txt").mkdir()
    with pytest.raises(ValueError, match=r"d\.txt cannot be read"):
        load_prompts(tmp_path / "d.txt")
    monkeypatch.setattr("evaluation.text_tables.MOST_PROMPT_BYTES", 1 << 20)
    with pytest.raises(ValueError, match="is larger than 1 MiB"):
        load_prompts(write(tmp_path, "big.txt", "a cat\n" * 200_000))


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
