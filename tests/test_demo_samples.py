"""The samples of tabs that take a picture: photographs of the start's folder first, in whole and without what a camera noted."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from demo import app
from demo.comparison import Ways, compare
from demo.samples import MOST, SHIPPED, photographs_of, samples
from demo.session import Limits, Session
from demo.tabs import from_picture
from ldm_core.data import everyday

KODAK = Path(os.environ["LDM_TEST_DATA"]) / "kodak" if os.environ.get("LDM_TEST_DATA") else None


@pytest.fixture
def folder(tmp_path):
    """Four photographs of a camera that notes where it was, one of them held upright; and a text."""
    made = tmp_path / "photographs"
    made.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (60, 120, 3), dtype=np.uint8)
    for name in ("a_cat.jpg", "b.png", "c.webp", "d.jpg"):
        exif = Image.Exif()
        exif[0x0112] = 6 if name == "b.png" else 1  # turned a quarter
        exif.get_ifd(0x8825)[1] = "N"  # where
        Image.fromarray(pixels).save(made / name, exif=exif)
    (made / "notes.txt").write_text("where I was")
    return made


def test_the_first_photographs_of_the_folder_stand_before_the_card_and_the_drawings(tiny, folder):
    session = Session(tiny, Limits(photo_side=64), photographs=photographs_of(str(folder)))
    found = samples(session)
    assert list(found) == ["a cat", "b", "c", "test card", "drawing 1", "drawing 2"]
    sizes = [Image.open(path).size for path in found.values()]
    assert sizes == [(64, 32), (32, 64), (64, 32), (512, 512), (512, 512), (512, 512)]
    for path in list(found.values())[:MOST]:
        picture = Image.open(path)
        assert not picture.getexif() and not picture.info, "nothing of the camera's notes is left"
        assert str(folder) not in path


def test_without_a_folder_the_photographs_are_those_that_ship_whose_makers_are_named(tiny):
    found = samples(Session(tiny))
    assert photographs_of("") == () and list(found) == ["cat", "coffee", "test card", "drawing 1", "drawing 2"]
    assert {path.suffix for path in SHIPPED.iterdir()} == {".webp", ".md"}
    for name in ("cat", "coffee"):
        picture = np.asarray(Image.open(found[name]), float)
        assert picture.shape[1] > 400 and picture.std() > 30 and f"`{name}.webp`" in (SHIPPED / "README.md").read_text()
    texts = [str(getattr(block, "value", "")) for block in app.build(Session(tiny)).blocks.values()]
    assert any("Stéfan van der Walt (the cat) and Rachel Michetti (the coffee), CC0" in text for text in texts)
    assert not any("whoever runs this server has put them" in text for text in texts)


def test_names_of_photographs_are_told_apart_and_fit_their_buttons(tiny, folder):
    for old, new in (("b.png", "a-cat.png"), ("c.webp", "_.webp"), ("d.jpg", f"{'x' * 100}.jpg")):
        (folder / old).rename(folder / new)
    names = list(samples(Session(tiny, photographs=photographs_of(str(folder)))))[:MOST]
    assert names == ["photograph 1", "a cat", "photograph 3"]
    (folder / "_.webp").unlink()
    assert list(samples(Session(tiny, photographs=photographs_of(str(folder)))))[2] == "x" * 24


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no folder"), ({}, "holds no photograph"), ({"a.jpg": b"x"}, "a.jpg")]
)
def test_a_folder_that_will_not_do_is_one_line_before_the_model_is_loaded(
    tmp_path, capsys, monkeypatch, content, words
):
    named = tmp_path / "named"
    for name, data in (content or {}).items():
        named.mkdir(exist_ok=True)
        (named / name).write_bytes(data)
    if content == {}:
        named.mkdir()
    monkeypatch.setattr(Session, "load", lambda *given: pytest.fail("a model was loaded"))
    with pytest.raises(SystemExit) as stopped:
        app.main(["--port", "7998", "--photographs", str(named)])
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert stopped.value.code == 2 and "--photographs (LDM_PHOTOGRAPHS)" in said and words in said


def test_each_tab_that_takes_a_picture_offers_every_sample_and_begins_with_the_first(tiny, folder):
    session = Session(tiny, photographs=photographs_of(str(folder)))
    page, first = app.build(session), next(iter(samples(session).values()))
    buttons = [block.elem_id for block in page.blocks.values() if isinstance(block, gr.Button) and block.elem_id]
    for box in ("photo", "start-picture"):
        assert [name for name in buttons if name.startswith(f"{box}-sample-")] == [
            f"{box}-sample-{n}" for n in range(6)
        ]
        (image,) = [block for block in page.blocks.values() if getattr(block, "elem_id", "") == box]
        assert np.array_equal(np.asarray(Image.open(image.value["path"])), np.asarray(Image.open(first)))
    texts = [str(getattr(block, "value", "")) for block in page.blocks.values()]
    assert any("Try this: a cat in place of the test card" in text for text in texts)
    assert any("photographs among the samples are not part of it" in text for text in texts)


def test_a_model_of_a_drawn_world_begins_with_a_drawing_of_it_and_others_with_the_first_sample(
    tiny, folder, monkeypatch
):
    session = Session(tiny, photographs=photographs_of(str(folder)))
    assert from_picture.sample_file(session) == next(iter(samples(session).values()))
    monkeypatch.setattr(tiny, "spec", dataclasses.replace(tiny.spec, world="everyday"))
    drawn = np.asarray(Image.open(from_picture.sample_file(session)))
    scene = everyday.random_scene(from_picture.SEEDS[0])
    assert np.array_equal(drawn, everyday.draw(scene, drawn.shape[0]))


@pytest.mark.skipif(KODAK is None or not KODAK.is_dir(), reason="LDM_TEST_DATA with the Kodak photographs is not set")
def test_a_real_photograph_is_compared_as_the_tab_opens(tiny):
    session = Session(tiny, Limits(photo_side=128), photographs=photographs_of(str(KODAK)))
    found = samples(session)
    assert list(found)[:MOST] == ["01", "02", "03"]
    *_, (view, words, numbers, _) = compare(session, found["01"], [tiny.spec.reference], Ways(drift=False))
    assert "128 x " in words and numbers[0]["psnr"] > 3 and "the photo, original" in view
