"""The autoencoder's rows of a run: on drawings or on photographs, and on what was generated."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from evaluation.catalogue import METRICS, find
from evaluation.downloads import Downloads
from evaluation.metrics import autoencoder, reconstruction
from evaluation.metrics.reconstruction import crop, psnr
from evaluation.run import main as run
from evaluation.worlds import DRAWN_WORLD
from ldm_core.data import everyday
from ldm_core.images import from_uint8, load_png, rounded


class Halves:
    """A model that keeps images but for a constant: brightness lowered by two levels of 255."""

    height = width = 32
    factor, weights = 8, "w"

    spec = SimpleNamespace(world="")

    def reconstruct(self, images):
        return (images - 2 / 255).clamp(0, 1)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index, size in enumerate([(50, 40), (33, 70), (7, 90)]):  # the last is too small for a factor of 8
        Image.fromarray(rng.integers(10, 250, (*size, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def measured(model, name, folder, **detectors):
    reconstructions = autoencoder.Reconstructions(model, folder)
    reconstructions.prepare(find([name]), detectors)
    return reconstructions.rows(METRICS[name])


def test_images_are_the_middles_of_photographs_cropped_to_what_the_model_takes(photographs):
    images = [image for _, image in autoencoder.real_images(Halves(), photographs, 1)]
    sizes = [tuple(image.shape) for image in images if image is not None]
    assert sizes == [(1, 3, 48, 40), (1, 3, 32, 64)]


def test_the_rows_hold_the_mean_of_images_and_beside_it_the_spread_and_the_mean_errors_own(photographs):
    (row,) = measured(Halves(), "vae_psnr", photographs)
    # An error of two levels everywhere: 20 log10(255 / 2).
    assert row["value"] == pytest.approx(20 * np.log10(255 / 2)) and row["n"] == 2
    assert "of the mean error 42.11" in row["note"] and str(photographs) in row["note"]


def test_photographs_without_a_finite_value_are_left_out_and_named(photographs):
    Image.new("RGB", (40, 40)).save(photographs / "black.png")  # two levels less of nothing is nothing: no error at all
    Image.new("RGB", (8, 40), "white").save(photographs / "thin.png")  # less than SSIM's window
    (psnr_row,) = measured(Halves(), "vae_psnr", photographs)
    (ssim_row,) = measured(Halves(), "vae_ssim", photographs)
    assert psnr_row["value"] == pytest.approx(20 * np.log10(255 / 2)) and psnr_row["n"] == 3
    assert "without 2.png, black.png, broken.png (unreadable, too small, or no finite value)" in psnr_row["note"]
    assert 0.9 < ssim_row["value"] <= 1 and ssim_row["n"] == 3
    assert "without 2.png, broken.png, thin.png (" in ssim_row["note"]
    for path in photographs.glob("[01t]*.png"):
        path.unlink()
    (none,) = measured(Halves(), "vae_psnr", photographs)
    assert np.isnan(none["value"]) and none["n"] == 0 and none["note"].startswith("not computed: no image has a value")


def test_figures_of_images_are_the_same_beside_a_distance(monkeypatch):
    from evaluation.detectors.detector import load_detector

    monkeypatch.setattr(autoencoder, "DRAWINGS", 3)
    monkeypatch.setattr(autoencoder, "FOR_DISTANCES", 6)
    (alone,) = measured(Halves(), "vae_ssim", None)
    reconstructions = autoencoder.Reconstructions(Halves(), None)
    reconstructions.prepare(find(["vae_ssim", "rfd_scenes"]), {DRAWN_WORLD: load_detector(DRAWN_WORLD)})
    (beside,), (distance,) = (reconstructions.rows(METRICS[name]) for name in ("vae_ssim", "rfd_scenes"))
    assert beside == alone and alone["n"] == 3 and distance["n"] == 6


def test_a_picture_kept_to_the_last_bit_has_no_score_that_would_make_a_mean_infinite():
    pictures = torch.stack([torch.zeros(3, 8, 8), torch.full((3, 8, 8), 0.5)])
    scores = autoencoder.AutoencoderDetector(Halves()).extract(pictures, ["", ""])[1]["vae_psnr_generated"]
    assert np.isnan(scores[0]) and np.isfinite(scores[1])


def test_an_autoencoder_that_keeps_everything_is_at_no_distance(monkeypatch):
    monkeypatch.setattr(autoencoder, "FOR_DISTANCES", 6)
    from evaluation.detectors.detector import load_detector

    whole = Halves()
    whole.reconstruct = lambda images: images
    (row,) = measured(whole, "rfd_scenes", None, **{DRAWN_WORLD: load_detector(DRAWN_WORLD)})
    assert (
        row["value"] == pytest.approx(0, abs=1e-4) and row["n"] == 6 and row["note"].startswith("on held-out drawings")
    )


def test_an_image_with_a_side_that_is_a_multiple_stays_as_it_is():
    image = from_uint8(np.arange(8 * 16 * 3, dtype=np.uint8).reshape(1, 8, 16, 3))[0]
    assert crop(image, 8) is not None and crop(image, 8).equal(image)
    assert crop(image, 5).equal(image[:, 1:6, 0:15])


def test_a_run_scores_its_autoencoder_on_the_reference_and_on_its_own_pictures(tiny, tiny_folder, tmp_path):
    folder = tmp_path / "real"
    folder.mkdir()
    for seed in range(3):
        Image.fromarray(everyday.draw(everyday.random_scene(seed), 64)).save(folder / f"{seed}.png")
    (tmp_path / "p.txt").write_text("a red house\na boat\n")
    out = tmp_path / "run"
    assert (
        run(
            [
                "--model",
                str(tiny_folder),
                "--prompts",
                str(tmp_path / "p.txt"),
                "--steps",
                "1",
                "--device",
                "cpu",
                "--dtype",
                "fp32",
                "--guidance-scales",
                "1",
                "--metrics",
                "vae_psnr,vae_ssim,rfd_scenes,vae_psnr_generated",
                "--reference",
                str(folder),
                "--out",
                str(out),
            ]
        )
        == 0
    )
    summary = pd.read_csv(out / "summary.csv").set_index("metric")
    drawn = from_uint8(np.stack([everyday.draw(everyday.random_scene(seed), 64) for seed in range(3)]))
    expected = psnr(drawn, rounded(tiny.reconstruct(drawn))).mean()
    assert summary.loc["vae_psnr", "value"] == pytest.approx(float(expected), abs=1e-3)
    assert summary.loc["rfd_scenes", "value"] > 0 and summary.loc["vae_ssim", "n"] == 3
    images = pd.read_csv(out / "images.csv")
    made = from_uint8(np.stack([load_png(out / file) for file in images["file"]]))
    assert images["vae_psnr_generated"].tolist() == pytest.approx(
        psnr(made, rounded(tiny.reconstruct(made))).tolist(), abs=1e-3
    )


def test_lpips_without_torchvision_is_a_reason_in_words(tiny_folder, tmp_path, capsys):
    if not METRICS["vae_lpips"].obstacle(None, autoencoder.Reconstructions(Halves())):
        pytest.skip("torchvision and its weights are here")
    (tmp_path / "p.txt").write_text("a house\n")
    with pytest.raises(SystemExit) as stopped:
        run(
            [
                "--model",
                str(tiny_folder),
                "--prompts",
                str(tmp_path / "p.txt"),
                "--metrics",
                "vae_lpips",
                "--out",
                str(tmp_path / "o"),
            ]
        )
    assert stopped.value.code == 2 and "LPIPS needs torchvision" in capsys.readouterr().err


@pytest.fixture
def stand_in_without_weights(tmp_path, monkeypatch):
    """A torchvision that can be imported, whose AlexNet notes each time that it is asked for; and an empty cache."""
    package = tmp_path / "site" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(
        "from pathlib import Path\n\ndef alexnet(**options):\n"
        "    Path(__file__).with_name('asked').touch()\n    raise RuntimeError('no net')\n"
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield package
    for name in ("torchvision", "torchvision.models"):
        sys.modules.pop(name, None)


def test_to_ask_whether_lpips_can_be_computed_fetches_nothing(stand_in_without_weights, tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr(reconstruction, "download", lambda remote, path: fetched.append((remote.url, path)))
    why = METRICS["vae_lpips"].obstacle(None, autoencoder.Reconstructions(Halves()))
    assert "--download yes fetches it (244 MB from download.pytorch.org)" in why and not fetched
    assert not (stand_in_without_weights / "asked").exists() and not (tmp_path / "hub").exists()
    asked = []
    refusing = Downloads("ask", ask=lambda question: bool(asked.append(question)))
    assert METRICS["vae_lpips"].obstacle(None, autoencoder.Reconstructions(Halves(), None, refusing))
    assert "AlexNet: 244 MB" in asked[0] and not fetched


def test_lpips_fetches_its_weights_where_that_is_agreed_and_only_once(stand_in_without_weights, tmp_path, monkeypatch):
    fetched = []

    def download(remote, path):
        fetched.append(remote.url)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights")

    monkeypatch.setattr(reconstruction, "download", download)
    agreed = autoencoder.Reconstructions(Halves(), None, Downloads("yes"))
    assert METRICS["vae_lpips"].obstacle(None, agreed) is None
    assert METRICS["vae_lpips"].obstacle(None, agreed) is None and reconstruction.lpips_obstacle() == ""
    assert fetched == ["https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"]
    assert (tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth").read_bytes() == b"weights"
