"""`python -m evaluation.autoencoders`: the same numbers as by hand, in a table and a page; bad input in one line."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from evaluation import autoencoders
from evaluation.metrics.reconstruction import bicubic, psnr, ssim
from evaluation.metrics.round_trip import QUALITIES, codec_psnr, round_trip
from ldm_core.data import everyday
from ldm_core.loading import autoencoder_folder, load_autoencoder


@pytest.fixture
def drawings(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(2):
        picture = everyday.draw(everyday.random_scene(seed), 100)
        Image.fromarray(picture).save(folder / f"{seed}.png")
    return folder


def test_a_folder_becomes_a_table_of_every_image_and_model(drawings, tmp_path, capsys):
    assert autoencoders.main(["--images", str(drawings), "--models", "scenes", "--out", str(tmp_path / "out")]) == 0
    table, summary = (pd.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("images", "summary"))
    assert table[["width", "height"]].to_numpy().tolist() == [[96, 96]] * 2, "cropped to a multiple of eight"
    image = torch.from_numpy(everyday.draw(everyday.random_scene(0), 100)).permute(2, 0, 1).float() / 255
    image = image[None, :, 2:98, 2:98]
    rebuilt = (load_autoencoder(autoencoder_folder("scenes")).reconstruct(image) * 255).round() / 255
    expected = 10 * np.log10(1 / float((image - rebuilt).square().mean()))
    assert table["psnr"][0] == pytest.approx(expected, abs=1e-3)
    assert summary["psnr"][0] == pytest.approx(table["psnr"].mean()) and summary["values_saved"][0] == 48
    assert summary["gain"][0] > 2, "a trained autoencoder beats plain shrinking on what it was trained for"
    assert summary["bytes"][0] == 96 * 96 * 3 / 48
    page = (tmp_path / "out" / "report.html").read_text()
    assert autoencoders.summarise(table.assign(psnr_jpeg=[30.0, None]))["psnr_jpeg"].isna().all(), (
        "not all images were reached"
    )
    assert "48x" in page and f"{summary['psnr'][0]:.2f}" in page
    assert not list((tmp_path / "out").glob("*.partial"))


def test_a_codec_gets_the_best_quality_that_fits_and_none_where_none_does():
    image = torch.from_numpy(everyday.draw(everyday.random_scene(3), 128)).permute(2, 0, 1).float() / 255
    picture = Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy())
    for codec, options in (("JPEG", {"optimize": True}), ("WEBP", {"method": 4})):
        coded = []
        for quality in QUALITIES[codec]:
            picture.save(buffer := io.BytesIO(), format=codec, quality=quality, **options)
            coded.append(buffer)
        with Image.open([buffer for buffer in coded if buffer.tell() <= 2000][-1]) as best:
            decoded = torch.from_numpy(np.array(best.convert("RGB"))).permute(2, 0, 1).float() / 255
        assert codec_psnr(image, 2000, codec) == pytest.approx(float(psnr(image[None], decoded[None])), abs=1e-6)
        assert codec_psnr(image, 100, codec) is None, "not even the header"


def test_a_round_trip_by_the_mean_repeats_and_by_a_sample_follows_its_seed():
    autoencoder = load_autoencoder(autoencoder_folder("fashion"))
    image = torch.from_numpy(everyday.draw(everyday.random_scene(3), 64)).permute(2, 0, 1).float() / 255
    mean, again = round_trip(image, autoencoder), round_trip(image, autoencoder)
    one, other = (round_trip(image, autoencoder, sample_seed=seed) for seed in (1, 2))
    side = 64 // autoencoder.factor
    assert torch.equal(mean.latent, again.latent) and mean.byte_count == mean.latent.numel()
    assert mean.latent.shape == (1, autoencoder.latent_channels, side, side)
    assert not torch.equal(one.latent, other.latent)
    assert torch.equal(one.latent, round_trip(image, autoencoder, sample_seed=1).latent)
    assert mean.psnr >= max(one.psnr, other.psnr) - 0.05, "noise does not help"


def test_the_bicubic_baseline_keeps_what_as_many_values_can():
    flat = torch.full((1, 3, 32, 48), 0.25)
    torch.testing.assert_close(bicubic(flat, 96), flat)
    ramp = torch.linspace(0, 1, 48).expand(1, 3, 32, 48)
    assert (bicubic(ramp, 3 * 32 * 48) - ramp).abs().max() < 1e-5, "all values kept: nothing lost"
    noise = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    errors = [float((bicubic(noise, values) - noise).square().mean()) for values in (4000, 1000, 200)]
    assert errors[0] < errors[1] < errors[2]


def test_structural_similarity_is_one_for_the_same_and_less_for_noise():
    image = torch.rand(2, 3, 24, 24)
    torch.testing.assert_close(ssim(image, image), torch.ones(2))
    assert (ssim(image, torch.rand(2, 3, 24, 24)) < 0.5).all()


@pytest.mark.parametrize(
    ("images", "models", "message"),
    [("none", "scenes", "is no folder"), (".", "scens", "did you mean 'scenes'"), (".", "", "unknown model")],
)
def test_bad_input_is_one_line_and_leaves_nothing(drawings, tmp_path, capsys, images, models, message):
    with pytest.raises(SystemExit) as stopped:
        autoencoders.main(["--images", str(drawings / images), "--models", models, "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.count("\n") == 1 and message in error and not (tmp_path / "out").exists()


def test_what_cannot_be_measured_is_left_out_by_name_and_the_table_stays_finite(drawings, tmp_path, capsys):
    def main(name):
        given = ["--images", str(drawings), "--models", "scenes", "--out", str(tmp_path / name)]
        assert autoencoders.main(given) == 0
        return pd.read_csv(tmp_path / name / "summary.csv")

    alone = main("alone")
    Image.new("RGB", (5, 40)).save(drawings / "thin.png")
    Image.new("RGB", (8, 64)).save(drawings / "thin8.png")  # as the models take, less than SSIM's window
    Image.new("RGB", (64, 64), (90, 90, 90)).save(drawings / "flat.png")  # shrinking loses nothing of it
    (drawings / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    (drawings / "._0.png").write_bytes(b"\0\5\x16\7")
    (drawings / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    beside = main("beside")
    timed = ["encode_seconds", "decode_seconds"]
    pd.testing.assert_frame_equal(alone.drop(columns=timed), beside.drop(columns=timed))
    said, page = capsys.readouterr().out, (tmp_path / "beside" / "report.html").read_text()
    for name in ("thin.png", "thin8.png", "flat.png", "cut.jpg", "phone.heic"):
        assert f"left out: {drawings / name}" in said and name in page
    assert "._0.png" not in said
    for path in [*drawings.glob("?.png")]:
        path.unlink()
    with pytest.raises(SystemExit) as stopped:
        autoencoders.main(["--images", str(drawings), "--models", "scenes", "--out", str(tmp_path / "none")])
    assert stopped.value.code == 2 and "none of the 5 images can be measured" in capsys.readouterr().err
