"""Reference statistics: written with their protocol, read back, refused where they do not belong to the run."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from evaluation import reference
from evaluation.detectors import reference_sources, references
from evaluation.detectors.detector import load_detector
from evaluation.metrics.frechet import Moments
from evaluation.run import main as run
from evaluation.worlds import DRAWN_WORLD
from ldm_core.data import everyday
from ldm_core.images import from_uint8


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Six drawings as files, one of them below another folder, and one that is no image."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "more").mkdir()
    for seed in range(6):
        name = folder / "more" / "5.png" if seed == 5 else folder / f"{seed}.png"
        Image.fromarray(everyday.draw(everyday.random_scene(seed), 64)).save(name)
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture
def stats(photographs, tmp_path, capsys):
    out = tmp_path / "stats.npz"
    assert reference.main(["--images", str(photographs), "--detector", DRAWN_WORLD, "--out", str(out)]) == 0
    assert "1 files could not be read: broken.jpg" in capsys.readouterr().out
    return out


def test_a_file_holds_the_statistics_and_how_they_were_made(stats):
    detector = load_detector(DRAWN_WORLD)
    drawn = np.stack([everyday.draw(everyday.random_scene(seed), 64) for seed in range(6)])
    expected = Moments.of(detector.image_features(from_uint8(drawn)).numpy())
    with np.load(stats) as stored:
        np.testing.assert_allclose(stored["mu"], expected.mean, atol=1e-4)
        np.testing.assert_allclose(stored["sigma"], expected.covariance, atol=1e-3)
        protocol = json.loads(str(stored["protocol"]))
    assert protocol["n"] == 6 and protocol["unreadable"] == ["broken.jpg"] and protocol["crop"] == "none"
    assert protocol["detector_sha256"] == detector.sha256 and protocol["resize"] == detector.resize
    assert not list(stats.parent.glob("*.partial"))


def a_run(out, tiny_folder, source, *more):
    prompts = out.parent / "p.txt"
    prompts.write_text("a red house\na boat on a lake\nclouds at night\na palm tree\n")
    return run(
        [
            "--model",
            str(tiny_folder),
            "--prompts",
            str(prompts),
            "--steps",
            "1",
            "--device",
            "cpu",
            "--guidance-scales",
            "1",
            "--metrics",
            "fd_scenes,kd_scenes",
            "--reference",
            str(source),
            "--out",
            str(out),
            *more,
        ]
    )


def values(out):
    return pd.read_csv(out / "summary.csv").set_index("metric")["value"]


def test_a_folder_and_its_file_measure_the_same(stats, photographs, tiny_folder, tmp_path):
    for name, source in (("a", stats), ("b", photographs)):
        assert a_run(tmp_path / name, tiny_folder, source) == 0
    assert values(tmp_path / "a")["fd_scenes"] == pytest.approx(values(tmp_path / "b")["fd_scenes"], rel=1e-9)
    assert values(tmp_path / "a")["kd_scenes"] == pytest.approx(values(tmp_path / "b")["kd_scenes"], rel=1e-9)
    known = json.loads((tmp_path / "b" / "run.json").read_text())["references"][DRAWN_WORLD]
    assert known["n"] == 6 and known["unreadable"] == ["broken.jpg"]


def test_a_folder_is_looked_at_once_until_it_changes(photographs, tiny_folder, tmp_path, monkeypatch):
    out, looked = tmp_path / "run", []
    features_of = reference_sources.features_of
    monkeypatch.setattr(reference_sources, "features_of", lambda *given: looked.append(1) or features_of(*given))
    for _ in range(2):
        a_run(out, tiny_folder, photographs)
    assert len(looked) == 1
    extra = photographs / "extra.png"
    Image.new("RGB", (64, 64), "red").save(extra)
    try:
        a_run(out, tiny_folder, photographs)
    finally:
        extra.unlink()
    assert len(looked) == 2


def test_a_bare_file_as_pytorch_fid_writes_it_is_taken_with_a_warning_in_words(tiny_folder, tmp_path, capsys):
    np.savez(tmp_path / "bare.npz", mu=np.zeros(64), sigma=np.eye(64))
    assert references.stored_reference(tmp_path / "bare.npz").words == "bare.npz, protocol unknown"
    assert a_run(tmp_path / "run", tiny_folder, tmp_path / "bare.npz", "--metrics", "fd_scenes") == 0
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["references"][DRAWN_WORLD] == {"words": "bare.npz, protocol unknown"}
    with pytest.raises(SystemExit):
        a_run(tmp_path / "other", tiny_folder, tmp_path / "bare.npz")
    assert "kd_scenes cannot be computed: the reference holds mean and covariance alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detector_sha256": "0" * 64}, "was made with other weights"),
        ({"resize": "tf1-64"}, "was made with other resizing: tf1-64 there, clean-256 here"),
    ],
)
def test_a_file_of_another_protocol_is_refused(stats, change, message):
    stored = references.stored_reference(stats)
    other = dataclasses.replace(stored, protocol=stored.protocol | change)
    references.save_reference(stats, other)
    with pytest.raises(ValueError, match=message):
        references.read_reference(load_detector(DRAWN_WORLD), stats)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"mu": np.zeros(2048), "sigma": np.eye(2048)},
            f"is of 2048 dimensions; features of {DRAWN_WORLD}_detector have 64",
        ),
        ({"mu": np.zeros(64), "sigma": np.eye(63)}, "do not belong together"),
        ({"mean": np.zeros(64)}, "is no file of statistics"),
    ],
)
def test_a_file_that_does_not_fit_is_named(content, message, tmp_path):
    np.savez(tmp_path / "x.npz", **content)
    with pytest.raises(ValueError, match=message):
        references.read_reference(load_detector(DRAWN_WORLD), tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "give --images FOLDER and --out FILE"),
        (["--images", "EMPTY", "--out", "x.npz"], "holds no photograph"),
        (["--images", "EMPTY", "--out", "x.txt"], "--out must end in .npz"),
        (["--images", "/nowhere", "--out", "x.npz"], "is no folder of photographs"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_leaves_nothing(given, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as stopped:
        reference.main(
            [str(tmp_path / "empty") if word == "EMPTY" else word for word in [*given, "--detector", DRAWN_WORLD]]
        )
    assert stopped.value.code == 2 and message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_the_middle_square_is_an_option_that_the_protocol_names(tmp_path):
    for index in range(2):
        picture = Image.new("RGB", (90, 30), "red")
        picture.paste("blue", (30, 0, 60, 30))
        picture.save(tmp_path / f"{index}.png")
    detector = load_detector(DRAWN_WORLD)
    squared, protocol = reference_sources.features_of(detector, tmp_path, "square")
    squeezed, _ = reference_sources.features_of(detector, tmp_path)
    blue = detector.image_features(from_uint8(np.full((1, 64, 64, 3), (0, 0, 255), np.uint8))).numpy()
    assert protocol["crop"] == "square" and np.allclose(squared[:1], blue, atol=1e-4)
    assert not np.allclose(squeezed, squared, atol=1e-2)
