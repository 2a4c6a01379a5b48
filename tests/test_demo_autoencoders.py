"""The autoencoder comparison: what an upload may be, and that its numbers are the evaluation's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from demo.comparison_view import Compared, comparison_html, heat_map, latent_picture, worst_patch
from demo.session import Session
from demo.tabs import reconstruct
from demo.uploads import check_upload, read_upload
from evaluation.autoencoders import compare
from evaluation.metrics.round_trip import RoundTrip
from ldm_core.data import scenes
from ldm_core.images import from_uint8


@pytest.fixture
def session(tiny):
    made = Session(tiny)
    made.autoencoders["scenes"] = Session.load("scenes").model.autoencoder  # any that is there
    return made


@pytest.fixture
def drawing(tmp_path):
    path = tmp_path / "drawing.png"
    Image.fromarray(scenes.draw(scenes.random_scene(3), 100)).save(path)
    return str(path)


def test_a_visitor_sees_each_autoencoder_join_and_gets_the_evaluations_numbers(session, drawing, tiny):
    own = tiny.spec.reference
    frames = list(reconstruct.handler(session)(drawing, ["scenes", own], True))
    assert [frame[1] for frame in frames[:4]] == [
        "Getting scenes ready",
        f"Getting {own} ready",
        "1 of 2 done",
        "2 of 2 done",
    ]
    view, words, numbers, keep = frames[-1]
    assert "cropped to multiples of 8: 96 x 96 pixels" in words
    image = from_uint8(scenes.draw(scenes.random_scene(3), 100)[None])[0][:, 2:98, 2:98]
    expected = compare(image, session.autoencoders["scenes"])
    found = numbers[0]
    assert found["psnr"] == pytest.approx(expected["psnr"], abs=1e-3) and found["latent"] == [4, 12, 12]
    assert found["psnr_bicubic"] == pytest.approx(expected["psnr_bicubic"]) and found["bytes"] == 576
    assert found["psnr_jpeg"] == expected["psnr_jpeg"] and found["psnr_sampled"] < found["psnr"] + 0.05
    assert view.count("<details") == 2 and view.count('type="range"') == 2 and f"{found['psnr']:.2f}" in view
    assert view.count("<img") == view.count("alt="), "every picture says what it is"
    assert Path(keep).read_text().startswith("autoencoder,psnr")


def test_one_that_cannot_be_had_is_said_and_the_others_are_shown(session, drawing, monkeypatch):
    monkeypatch.setattr(
        Session, "autoencoder", lambda self, name: self.autoencoders[name] if name in self.autoencoders else refuse()
    )

    def refuse():
        raise ValueError("taesd is not in the local cache and the hub cannot be reached")

    view, _, numbers, _ = list(reconstruct.handler(session)(drawing, ["taesd", "scenes"]))[-1]
    assert "the hub cannot be reached" in view and [each["autoencoder"] for each in numbers] == ["scenes"]


@pytest.mark.parametrize(
    ("photo", "chosen", "sampled", "message"),
    [
        (None, ["scenes"], False, "Choose a photo"),
        ("PHOTO", [], False, "at least one"),
        ("PHOTO", ["best"], False, "must be of"),
        ("PHOTO", "scenes", False, "at least one"),
        ("PHOTO", ["scenes"], "yes", "on or off"),
        (7, ["scenes"], False, "Choose a photo"),
    ],
)
def test_the_server_refuses_what_makes_no_sense(session, drawing, photo, chosen, sampled, message):
    found = reconstruct.problems(session, drawing if photo == "PHOTO" else photo, chosen, sampled)
    assert len(found) == 1 and message in "".join(found.values())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.png", b"no picture", "no picture that can be read"),
        ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
        ("x.jpg", b"", "no picture"),
    ],
)
def test_files_that_are_no_pictures_are_answered_in_words(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert message in check_upload(str(tmp_path / name), 40)


def test_bombs_strange_formats_and_specks_are_refused_by_their_header(tmp_path):
    Image.new("1", (9000, 9000)).save(tmp_path / "bomb.png")
    assert "9000 x 9000 pixels" in check_upload(str(tmp_path / "bomb.png"), 40)
    Image.new("1", (20000, 20000)).save(tmp_path / "huge.png")
    assert "megapixels" in check_upload(str(tmp_path / "huge.png"), 40)
    Image.new("RGB", (64, 64)).save(tmp_path / "x.gif")
    assert "This is a GIF file" in check_upload(str(tmp_path / "x.gif"), 40)
    Image.new("RGB", (64, 8)).save(tmp_path / "small.png")
    assert "32 a side are the least" in check_upload(str(tmp_path / "small.png"), 40)


def test_a_file_cut_short_is_answered_in_words(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    assert check_upload(str(path), 40) == ""
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_upload(str(path), 768, 8)


def test_what_was_done_to_a_photo_is_said(tmp_path):
    def taken(picture, **options):
        picture.save(tmp_path / "x.png", **options)
        return read_upload(str(tmp_path / "x.png"), 64, 8)

    image, done = taken(Image.new("RGBA", (40, 40), (255, 0, 0, 0)))
    assert done == ["put on white where it is transparent"] and image.min() == 1
    assert taken(Image.new("L", (40, 40), 9))[1] == ["brought from L to 8-bit RGB"]
    image, done = taken(Image.new("RGB", (160, 80)))
    assert done == ["made smaller, from 160 x 80 to 64 x 32"] and image.shape == (3, 32, 64)
    exif = Image.Exif()
    exif[274] = 6
    image, done = taken(Image.new("RGB", (48, 40)), exif=exif)
    assert done == ["turned as its camera says"] and image.shape == (3, 48, 40)


def test_the_worst_patch_the_heat_and_the_grey_of_latents_are_where_they_should_be():
    error = torch.zeros(200, 200)
    error[80:144, 120:184] = 50.0
    assert worst_patch(error) == (80, 120) and worst_patch(torch.zeros(40, 48)) == (0, 0)
    colours = np.asarray(heat_map(torch.tensor([[0.0, 64.0, 900.0]])))
    assert colours[0, 0].tolist() == [0, 0, 4] and colours[0, 1].tolist() == colours[0, 2].tolist() == [252, 255, 164]
    channel = torch.tensor([[-1.0, 0.0, 1.0, 0.0]])
    assert np.asarray(latent_picture(channel))[0, ::48].tolist()[1] in (127, 128)


@pytest.mark.parametrize("size", [(33, 2000), (2000, 40), (1500, 1000), (32, 3000)])
def test_no_photo_is_stretched(tmp_path, size):
    across, down = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    checks = ((across // 8 + down // 8) % 2 * 255).astype(np.uint8)
    Image.fromarray(checks).save(tmp_path / "x.png")
    image, done = read_upload(str(tmp_path / "x.png"), 768, 16)
    shrunk = next((words for words in done if words.startswith("made smaller")), None)
    before, after = (size, size) if shrunk is None else np.array(re.findall(r"\d+", shrunk), int).reshape(2, 2)
    assert np.allclose(np.divide(after, before)[0], np.divide(after, before)[1], rtol=0.04)
    assert min(image.shape[1:]) >= 16 and max(image.shape[1:]) <= 32 * 33


def test_a_picture_of_which_nothing_was_lost_is_identical_and_no_infinity():
    image = torch.rand(3, 64, 64)
    trip = RoundTrip(torch.zeros(1, 4, 8, 8), image[None], float("inf"), 1.0, 48.0, 0.1, 0.1)
    compared = Compared("exact", "keeps all", trip, None, {"psnr_bicubic": 30.126, "psnr_jpeg": float("inf")})
    view, numbers = comparison_html(image, [compared], {"broken": "cannot be had"}), compared.numbers()
    table = re.search(r"<table>.*</table>", view)[0]
    assert "<b>identical</b>" in table and "30.13" in table and "inf" not in table
    assert numbers["psnr"] == numbers["psnr_jpeg"] == "identical" and json.dumps(numbers, allow_nan=False)
    assert "cannot be had" in view and "broken" not in table, "one that failed does not widen the table"
