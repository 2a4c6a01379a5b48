"""What is said of images in a folder, layout by layout."""

from __future__ import annotations

import json

import pytest

from evaluation.captions import by_prompt_file, by_prompts, find_captions, natural
from evaluation.prompts import Prompt

PROMPTS = [Prompt(0, "a red house"), Prompt(1, "two zebras", "animals"), Prompt(2, "a boat")]


def said(captions) -> dict[str, str]:
    return {file: row["prompt"] for file, row in captions.rows.items()}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "metadata.jsonl",
            '{"file_name": "a.png", "text": "a red house"}\n{"file_name": "b.png", "text": "two zebras"}\n',
        ),
        ("captions.csv", 'file,caption\na.png,a red house\nb.png,"two zebras"\n'),
        ("captions.tsv", "image\tprompt\na\ta red house\nb\ttwo zebras\n"),
    ],
)
def test_a_table_of_captions_is_read_by_the_names_of_files(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    found = find_captions(tmp_path, ["a.png", "b.png", "c.png"])
    assert said(found) == {"a.png": "a red house", "b.png": "two zebras"} and found.words == name


def test_a_table_gives_seeds_and_categories_too(tmp_path):
    (tmp_path / "captions.csv").write_text("file_name,prompt,seed,category\na.png,a red house,7,buildings\n")
    rows = find_captions(tmp_path, ["a.png"]).rows
    assert rows == {"a.png": {"prompt": "a red house", "seed": 7, "category": "buildings"}}


def test_a_table_that_names_none_of_the_images_is_an_error(tmp_path):
    (tmp_path / "captions.csv").write_text("file,caption\nelse.png,a red house\n")
    with pytest.raises(ValueError, match=r"says nothing of the images.*file_name"):
        find_captions(tmp_path, ["a.png"])


def test_text_files_beside_images_are_their_captions(tmp_path):
    (tmp_path / "a.txt").write_text("a red\nhouse ")
    assert said(find_captions(tmp_path, ["a.png", "b.png"])) == {"a.png": "a red house"}


def test_names_of_three_words_are_captions_and_other_names_are_none(tmp_path):
    assert said(find_captions(tmp_path, ["a red house (2).png", "two zebras at night.jpg"])) == {
        "a red house (2).png": "a red house",
        "two zebras at night.jpg": "two zebras at night",
    }
    assert not find_captions(tmp_path, ["a red house.png", "IMG_1234.png"]).rows


def test_genevals_folders_give_each_image_its_folders_prompt(tmp_path):
    for name, prompt in (("00000", "a photo of a bench"), ("00001", "a photo of a cow")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.jsonl").write_text(json.dumps({"tag": "single_object", "prompt": prompt}))
    found = find_captions(tmp_path, ["00000/samples/0000.png", "00000/samples/0001.png", "00001/samples/0000.png"])
    assert list(said(found).values()) == ["a photo of a bench", "a photo of a bench", "a photo of a cow"]
    assert {row["category"] for row in found.rows.values()} == {"single_object"}


def coco(path):
    images = [{"id": 42, "file_name": "000000000042.jpg"}, {"id": 7, "file_name": "000000000007.jpg"}]
    said = [{"image_id": 42, "id": 1, "caption": "a red house"}, {"image_id": 7, "id": 2, "caption": "two zebras"}]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": said}))


@pytest.mark.parametrize("place", ["captions_val2017.json", "annotations/captions_val2017.json"])
@pytest.mark.parametrize("root", [".", "val2017"])
def test_cocos_captions_are_found_where_they_ship(tmp_path, place, root):
    (tmp_path / "val2017").mkdir()
    coco(tmp_path / place)
    prefix = "val2017/" if root == "." else ""
    found = find_captions(tmp_path / root, [f"{prefix}000000000042.jpg", f"{prefix}000000000007.jpg"])
    assert list(said(found).values()) == ["a red house", "two zebras"]


def test_cocos_captions_pair_with_generated_images_by_the_images_id(tmp_path):
    coco(tmp_path / "captions.json")
    files = ["COCO_val2014_000000000042.png", "7.png", "8.png"]
    found = said(by_prompt_file(tmp_path / "captions.json", files))
    assert found == {"COCO_val2014_000000000042.png": "a red house", "7.png": "two zebras"}
    with pytest.raises(ValueError, match="none of the images is called so"):
        by_prompt_file(tmp_path / "captions.json", ["8.png"])


@pytest.mark.parametrize(
    ("files", "places"),
    [
        (["00002.png", "00000.png"], [2, 0]),
        (["00001_0.png", "00001_1.png"], [1, 1]),
        (["00001/samples/0000.png", "00002/samples/0000.png"], [1, 2]),
        (["image1.png", "image3.png"], [0, 2]),  # up to 3 of 3, and no 0: the first is 1
    ],
)
def test_a_number_in_the_name_is_the_prompts_place(files, places):
    found = by_prompts(PROMPTS, files)
    assert list(said(found).values()) == [PROMPTS[place].text for place in places] and "by the number" in found.words


def test_names_without_numbers_pair_by_order_the_same_count_for_each_prompt():
    files = [f"{letter}_seed{seed}.png" for letter in "abc" for seed in (9, 10)]
    found = by_prompts(PROMPTS, files)
    assert [found.rows[file]["prompt"] for file in sorted(files, key=natural)] == [
        prompt.text for prompt in PROMPTS for _ in range(2)
    ]
    assert "by order: a_seed9.png is 'a red house'" in found.words
    with pytest.raises(ValueError, match="3 prompts and there are 4 images"):
        by_prompts(PROMPTS, files[:4])


def test_numbers_beyond_the_prompts_are_refused_where_numbers_are_asked_for():
    with pytest.raises(ValueError, match="--pair number"):
        by_prompts(PROMPTS, ["00009.png"], "number")


def test_two_comes_before_ten():
    assert sorted(["img10.png", "img2.png"], key=natural) == ["img2.png", "img10.png"]


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("metadata.jsonl", '{"file_name": "a.png", "prompt": "a\u2028cat"}\n'.encode(), "a cat"),
        ("metadata.csv", "file_name,text\na.png,a café\n".encode("utf-16"), "a café"),
        ("metadata.csv", b'file_name,text\na.png,"a ""big"", red cat"\n', 'a "big", red cat'),
        (
            "metadata.csv",
            b'file_name,text\na.png,"a cat\nb.png,a dog\n',
            "metadata.csv, line 2: a quote that is never closed",
        ),
        ("metadata.csv", b"file_name,text\na.png,a cat, asleep\n", "line 2: ' asleep' stands under no column"),
        ("metadata.jsonl", b'{"file_name": "a.png", "prompt": "x", "seed": 1e999}', "line 1: seed inf is no integer"),
        ("metadata.jsonl", b'{"file_name": "a.png", "prompt": "\\ud800"}', "line 1: prompt must be text"),
        ("captions.csv", b"file,caption\na.png," + b"x" * 140_000, "line 2: field larger than field limit"),
        ("captions.tsv", b"file\tcaption\na.png\t\xff", "line 2: not UTF-8"),
    ],
)
def test_tables_of_captions_are_read_as_strictly_as_prompt_files(tmp_path, name, data, found):
    (tmp_path / name).write_bytes(data)
    if "line" not in found:
        assert find_captions(tmp_path, ["a.png"]).rows["a.png"]["prompt"] == found
    else:
        with pytest.raises(ValueError, match=found) as refused:
            find_captions(tmp_path, ["a.png"])
        assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)
