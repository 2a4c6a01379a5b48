"""The autoencoder comparison: what an upload may be, and that its numbers are the evaluation's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from demo import comparison, drift, error_maps
from demo.comparison import Ways
from demo.comparison_view import Compared, comparison_html, latent_picture
from demo.session import Session
from demo.tabs import reconstruct
from demo.uploads import check_upload, read_upload
from evaluation.autoencoders import compare
from evaluation.metrics import reconstruction
from evaluation.metrics.round_trip import RoundTrip
from ldm_core.data import everyday
from ldm_core.images import from_uint8


@pytest.fixture
def session(tiny):
    made = Session(tiny)
    made.autoencoders["scenes"] = Session.load("scenes").model.autoencoder  # any that is there
    return made


@pytest.fixture
def drawing(tmp_path):
    path = tmp_path / "drawing.png"
    Image.fromarray(everyday.draw(everyday.random_scene(3), 100)).save(path)
    return str(path)


def test_a_visitor_sees_each_autoencoder_join_and_gets_the_evaluations_numbers(session, drawing, tiny):
    own = tiny.spec.reference
    frames = list(reconstruct.handler(session)(drawing, ["scenes", own], "sample", "float32", True))
    assert [frame[1] for frame in frames[:4]] == [
        "Getting scenes ready",
        f"Getting {own} ready",
        "1 of 2 done",
        "2 of 2 done",
    ]
    view, words, numbers, keep = frames[-1]
    coder = session.autoencoders["scenes"]
    factor = max(coder.factor, tiny.autoencoder.factor)
    assert f"cropped to multiples of {factor}: 96 x 96 pixels" in words
    image = from_uint8(everyday.draw(everyday.random_scene(3), 100)[None])[0][:, 2:98, 2:98]
    expected = compare(image, session.autoencoders["scenes"])
    found = numbers[0]
    side = 96 // coder.factor
    assert found["psnr_mean_float32"] == pytest.approx(expected["psnr"], abs=1e-3)
    assert found["latent"] == [coder.latent_channels, side, side] and found["bytes"] == 576, "48 times fewer values"
    assert found["psnr_bicubic"] == pytest.approx(expected["psnr_bicubic"])
    assert found["bits_per_pixel"] == 576 * 8 / 96**2 and "0.6 (0.50)" in view
    assert found["psnr_jpeg"] == expected["psnr_jpeg"] and found["psnr"] < expected["psnr"] + 0.05
    assert len(found["drift_psnr"]) == drift.TRIPS and found["drift_psnr"][-1] < found["drift_psnr"][0]
    assert view.count("<details") == 3 and view.count('class="window"') == 3 + 2 * 3, (
        "what the numbers say, and one for each; three pictures, three maps for each"
    )
    assert f"{found['psnr']:.2f} <small>(mean, float32: {expected['psnr']:.2f})" in re.sub("</?b>", "", view)
    assert "LPIPS is not computed: torchvision is not installed" in view or found["lpips"] > 0
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
    ("change", "message"),
    [
        ({"photo": None}, "Choose a photo"),
        ({"photo": 7}, "Choose a photo"),
        ({"autoencoders": []}, "at least one"),
        ({"autoencoders": ["best"]}, "must be of"),
        ({"autoencoders": "scenes"}, "at least one"),
        ({"posterior": "mode"}, "must be one of mean, sample"),
        ({"dtype": ["float32"]}, "must be one of float32, bfloat16"),
        ({"drift": "yes"}, "on or off"),
    ],
)
def test_the_server_refuses_what_makes_no_sense(session, drawing, change, message):
    given = {"photo": drawing, "autoencoders": ["scenes"], "posterior": "mean", "dtype": "float32", "drift": False}
    assert reconstruct.problems(session, **given) == {}
    found = reconstruct.problems(session, **given | change)
    assert list(found) == list(change) and message in "".join(found.values())


def test_a_comparison_of_too_much_work_is_refused_before_it_starts(session, tmp_path):
    Image.new("RGB", (3000, 2000)).save(tmp_path / "large.png")
    every = [name for _, name in reconstruct.choices(session)]

    def refusal(names, *ways):
        return reconstruct.problems(session, str(tmp_path / "large.png"), names, *ways).get("autoencoders", "")

    # 768 x 512 pixels each, twice where the usual way is measured beside; and ten times 256 x 171.
    assert refusal(every[:3], "sample", "bfloat16", True) == refusal(every, "mean", "float32", False) == ""
    assert "times the work" in refusal(every, "sample", "float32", True)
    assert comparison.too_much(session, str(tmp_path / "large.png"), 100, Ways(drift=False)).startswith(
        "That is 3.3 times"
    )


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
    assert error_maps.worst_patch(error) == (80, 120) and error_maps.worst_patch(torch.zeros(40, 48)) == (0, 0)
    colours = np.asarray(error_maps.PLAIN.picture(torch.tensor([[0.0, 64.0, 900.0]])))
    assert colours[0, 0].tolist() == [0, 0, 4] and colours[0, 1].tolist() == colours[0, 2].tolist() == [252, 255, 164]
    sides = np.asarray(error_maps.SIGNED.picture(torch.tensor([[-40.0, 0.0, 40.0]])))[0].astype(int)
    assert sides[0, 2] > sides[0, 0] and sides[2, 0] > sides[2, 2] and sides[1].min() > 240, "blue, white, red"
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


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.74, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((0.5, 0.5, 0.5), (53.39, 0, 0)),
    ],
)
def test_lab_is_the_published_one(colour, lab):
    found = error_maps.to_lab(torch.tensor(colour, dtype=torch.float32).view(3, 1, 1)).flatten()
    assert found.tolist() == pytest.approx(lab, abs=0.02)


def test_errors_have_a_size_a_side_and_a_colour():
    image, other = torch.full((3, 4, 4), 0.5), torch.full((3, 4, 4), 0.5)
    other[:, 0, 0] += 10 / 255
    other[:, 1, 1] -= 20 / 255
    assert error_maps.levels_off(image, other)[[0, 1, 2], [0, 1, 2]].tolist() == pytest.approx([10, 20, 0], abs=1e-4)
    assert error_maps.signed_levels(image, other)[[0, 1, 2], [0, 1, 2]].tolist() == pytest.approx(
        [10, -20, 0], abs=1e-4
    )
    grey = error_maps.delta_e(image, other)
    tinted = image.clone()
    tinted[0] += 10 / 255  # of red alone
    assert (
        grey[2, 2] == 0
        and 3 < float(grey[0, 0]) < 5
        and float(error_maps.delta_e(image, tinted)[0, 0]) > float(grey[0, 0])
    )


def test_each_trip_begins_where_the_last_has_ended(tiny):
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))
    found = drift.Drift(image)
    assert list(found.go_on(tiny.autoencoder, sampled=False)) == list(range(1, drift.TRIPS + 1))
    again = (tiny.autoencoder.reconstruct(found.after[3][None]) * 255).round() / 255
    assert torch.equal(found.after[4], again[0])
    mean = float((image - found.after[4]).square().mean())
    assert found.psnr[4] == pytest.approx(-10 * np.log10(mean), abs=1e-3)
    view = drift.drift_html({"tiny": found})
    assert view.count("<img") == view.count("alt=") == 1 + len(drift.SHOWN) and view.count("<polyline") == 1
    assert view.count(",") > drift.TRIPS and "tiny from" in view
    exact = drift.Drift(image, [image] * drift.TRIPS, [float("inf")] * drift.TRIPS)
    assert "Nothing was lost" in drift.drift_html({"exact": exact})


def test_bfloat16_is_near_and_not_the_same(tiny):
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    rough = Ways(dtype="bfloat16").of(tiny.autoencoder)
    latent, usual = rough.encode(image), tiny.encode(image)
    assert latent.dtype == torch.float32 and not torch.equal(latent, usual)
    torch.testing.assert_close(latent, usual, rtol=0.05, atol=0.05)
    torch.testing.assert_close(rough.decode(usual), tiny.decode(usual), rtol=0, atol=0.05)
    assert torch.equal(tiny.encode(image), usual), "the model's own is as it was"


def test_what_stands_in_the_way_of_lpips_is_said_and_nothing_is_fetched(tmp_path, monkeypatch):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert reconstruction.lpips_obstacle().startswith("AlexNet's weights")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth").write_bytes(b"")
    assert reconstruction.lpips_obstacle() == ""
    image = torch.rand(3, 64, 64)
    trip = RoundTrip(torch.zeros(1, 4, 8, 8), image[None], 30.0, 0.9, 48.0, 0.1, 0.1)
    view = comparison_html(image, [Compared("a", "", trip, None, {}, 1.0, 0.1234)], {})
    assert "<th>LPIPS</th>" in view and "0.1234" in view and "not computed" not in view


def test_two_of_them_stand_under_one_wipe_and_all_under_one_zoom(visit, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    Image.fromarray(everyday.draw(everyday.random_scene(9), 64)).save(tmp_path / "photo.png")
    page = visit.page
    visit.tab("Autoencoders")
    page.click("#photo [aria-label='Remove Image']")
    page.set_input_files("#photo input[type=file]", tmp_path / "photo.png")
    page.wait_for_function("document.querySelector('#photo img')?.src.includes('photo')")
    for name, wanted in (("photo-f4 (here)", False), ("photo-f8 (here)", False), ("scenes (of the model)", True)):
        page.get_by_label(name).set_checked(wanted)
    page.get_by_role("button", name="Compare").click()
    visit.wait_for_words("The photo was", "#compare-status")
    page.wait_for_selector("#comparison .drift")
    sources = page.evaluate("[...document.querySelectorAll('.ae .all img')].map(i => i.src)")
    assert len(set(sources)) == 3
    shown = "['a', 'b'].map(s => document.querySelector(`.cut img[data-side=${s}]`).src)"
    assert page.evaluate(shown) == [sources[0], sources[2]]
    page.select_option(".cut select[data-side=a]", "1")
    assert page.evaluate(shown) == sources[1:] and page.inner_text(".layer-a b") in ("photo-f16", "scenes")
    page.locator(".cut [data-move=zoom]").fill("4")
    scales = "[...document.querySelectorAll('.ae details[open] .window img, .ae .all img')].map(i => getComputedStyle(i).transform)"
    assert set(page.evaluate(scales)) == {"matrix(4, 0, 0, 4, 0, 0)"}
    page.locator(".cut .pair").scroll_into_view_if_needed()
    box = page.locator(".cut .pair").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 70, box["y"] + 130)
    page.mouse.up()
    x, y = (float(page.locator(f".cut [data-move={name}]").input_value()) for name in ("x", "y"))
    assert x == pytest.approx(50 + 30 / box["width"] / 3 * 100, abs=1) and y < 50, "the picture follows the pointer"
    found = axe.Axe().run(page).response["violations"]
    assert not [each["id"] for each in found if each["impact"] in ("serious", "critical")]
