"""References from elsewhere are read without running them; damaged and hostile files are one line that names them."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from evaluation import catalogue
from evaluation.detectors import inception, references, world_references
from evaluation.detectors.detector import load_detector
from evaluation.detectors.reference_files import read_stored, stored_images
from evaluation.detectors.reference_sources import load_reference, shipped
from evaluation.detectors.world_references import world_reference
from evaluation.metrics.frechet import Moments
from evaluation.run import main as run
from ldm_core.data import everyday
from ldm_core.images import from_uint8
from ldm_core.registry import MODELS

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(200, 64)).astype(np.float32)
MEAN, COVARIANCE = Moments.of(FEATURES).mean, Moments.of(FEATURES).covariance


class Small:
    """A detector of 64 numbers with nothing shipped, as Inception is: the means of 8 x 8 patches, and of no colour."""

    name, sha256, dimension, resize = "small", "5" * 64, 64, "none"
    seen = 0

    def image_features(self, images):
        self.seen += len(images)
        return torch.nn.functional.adaptive_avg_pool2d(images.mean(1, keepdim=True), 8).flatten(1)

    def extract(self, images, prompts):
        return self.image_features(images).numpy(), {}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


# What other programs write


def test_torch_fidelitys_cached_statistics_and_features_are_read(tmp_path):
    torch.save({"mu": MEAN.astype(np.float32), "sigma": COVARIANCE}, tmp_path / "x-stat-fid-64.pt")
    torch.save({"mu": torch.tensor(MEAN), "sigma": torch.tensor(COVARIANCE)}, tmp_path / "tensors.pt")
    torch.save(torch.tensor(FEATURES), tmp_path / "x-features-64.pt")
    for name in ("x-stat-fid-64.pt", "tensors.pt", "x-features-64.pt"):
        reference = references.read_reference(Small(), tmp_path / name)
        np.testing.assert_allclose(reference.mean, MEAN, atol=1e-6)
        np.testing.assert_allclose(reference.covariance, COVARIANCE, atol=1e-6)
        assert not reference.known
    assert reference.words == "x-features-64.pt, 200 images, protocol unknown"
    np.testing.assert_array_equal(reference.features, FEATURES)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("core", ["numpy._core", "numpy.core"])
def test_edm2s_pickle_is_read_in_every_protocol_and_of_both_numpys(protocol, core, tmp_path):
    wide = {"mu": np.zeros(8), "sigma": np.eye(8)}
    content = {"num_images": 200, "fid": wide, "fd_dinov2": {"mu": MEAN.astype(">f8"), "sigma": COVARIANCE.T}}
    data = pickle.dumps(content, protocol)
    if protocol < 4:  # a name there is text up to a line's end; later it has a length of its own
        data = data.replace(b"numpy._core", core.encode())
    (tmp_path / "img512.pkl").write_bytes(data)
    reference = references.read_reference(Small(), tmp_path / "img512.pkl")
    np.testing.assert_array_equal(reference.mean, MEAN)
    np.testing.assert_array_equal(reference.covariance, COVARIANCE.T)
    assert reference.words == "img512.pkl, 200 images, protocol unknown" and reference.protocol == {"n": 200}


def test_a_copy_of_a_reference_of_unknown_protocol_stays_one(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"num_images": 200, "fid": {"mu": MEAN, "sigma": COVARIANCE}}))
    references.save_reference(tmp_path / "b.npz", references.read_reference(Small(), tmp_path / "a.pkl"))
    assert references.read_reference(Small(), tmp_path / "b.npz").words == "b.npz, 200 images, protocol unknown"


def drawings(count, side=32):
    return np.stack([everyday.draw(everyday.random_scene(seed), side) for seed in range(count)])


def test_adms_samples_are_seen_by_the_runs_own_detector(tmp_path):
    images = drawings(40)
    np.savez_compressed(tmp_path / "samples.npz", images, labels=np.zeros(40))
    assert sum(map(len, stored_images(tmp_path / "samples.npz"))) == 40
    reference = references.read_reference(Small(), tmp_path / "samples.npz")
    np.testing.assert_allclose(reference.features, Small().image_features(from_uint8(images)).numpy(), atol=1e-6)
    assert reference.known and reference.protocol["n"] == 40 and reference.words == "samples.npz, 40 images"


def test_adms_statistics_are_its_own_and_its_images_give_features_beside_them(tmp_path):
    np.savez(tmp_path / "batch.npz", drawings(3), mu=MEAN, sigma=COVARIANCE, mu_s=np.zeros(9), sigma_s=np.eye(9))
    reference = references.read_reference(Small(), tmp_path / "batch.npz")
    np.testing.assert_array_equal(reference.mean, MEAN)
    assert reference.features.shape == (3, 64) and not reference.known
    np.savez(tmp_path / "inception.npz", drawings(3), mu=np.zeros(8), sigma=np.eye(8))
    other = references.read_reference(Small(), tmp_path / "inception.npz")
    assert other.known and other.mean.shape == (64,), "statistics of another detector give way to the images"


# Hostile files


class Payload:
    def __reduce__(self):
        return os.mkdir, ("RAN",)


class Dictionary(dict):
    """Pickled with a state of its own."""


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def declared(name, shape, dtype="<f8"):
    """An .npz whose header declares a shape, and holds 64 bytes of it."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("sigma.npy", npy(np.eye(64)))
        archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64))
    return stream.getvalue()


def torch_bytes(content):
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def with_(values, index, value):
    values = values.copy()
    values[index] = value
    return values


FINE = {"mu": MEAN, "sigma": COVARIANCE}
SHAPE_OF_8_TB = (1_000_000, 1_000_000)
HOSTILE = {
    "nan.npz": (npz(mu=with_(MEAN, 3, np.nan), sigma=COVARIANCE), "mu holds values that are not finite"),
    "inf.npz": (npz(mu=MEAN, sigma=with_(COVARIANCE, (3, 3), np.inf)), "sigma holds values that are not finite"),
    "features.npz": (
        npz(**FINE, features=with_(FEATURES, (0, 0), np.nan)),
        "features holds values that are not finite",
    ),
    "negative.npz": (npz(mu=MEAN, sigma=with_(COVARIANCE, (3, 3), -0.1)), "negative variance, -0.1"),
    "asymmetric.npz": (npz(mu=MEAN, sigma=with_(COVARIANCE, (3, 4), 0.5)), "sigma is not symmetric"),
    "correlation.npz": (
        npz(mu=np.zeros(2), sigma=np.array([[1.0, 9.0], [9.0, 1.0]])),
        "larger than its variances allow",
    ),
    "npy.npz": (npy(MEAN), "not a zip file"),
    "empty.npz": (b"", "not a zip file"),
    "folder.npz": (None, "s a directory"),
    "cut.npz": (npz(**FINE)[:-200], "not a zip file"),
    "flipped.npz": (npz(**FINE).replace(MEAN.tobytes()[:80], bytes(80)), "CRC"),
    "list.npz": (npz(**FINE, protocol=json.dumps([1])), "number of images n"),
    "without_n.npz": (npz(**FINE, protocol=json.dumps({"detector": "x"})), "number of images n"),
    "text_n.npz": (npz(**FINE, protocol=json.dumps({"n": "5000"})), "number of images n"),
    "no_json.npz": (npz(**FINE, protocol="{"), "Expecting property name"),
    "number.npz": (npz(**FINE, protocol=1), "protocol is no text"),
    "scalar_features.npz": (npz(**FINE, features=np.float32(1)), r"features must be \(n, d\)"),
    "width.npz": (npz(**FINE, features=np.zeros((5, 63))), "features of width 63 beside mu of 64"),
    "objects.npz": (npz(mu=np.array([Payload()], object), sigma=np.eye(1)), "Python objects, which are not read"),
    "text.npz": (npz(mu=np.array(["a"] * 64), sigma=np.eye(64)), "where numbers should be"),
    "complex.npz": (npz(mu=MEAN.astype(complex), sigma=COVARIANCE), "where numbers should be"),
    "8tb.npz": (declared("mu", SHAPE_OF_8_TB), "declares the shape"),
    "8tb_images.npz": (declared("arr_0", (10**6, 1024, 1024, 3), "|u1"), "arr_0 declares the shape"),
    "long.npz": (declared("mu", (10**12,)), "declares the shape"),
    "no_mean.npz": (npz(sigma=np.eye(64)), "neither mu and sigma nor images"),
    "no_sigma.npz": (npz(mu=MEAN), "do not belong together"),
    "images.npz": (npz(arr_0=np.zeros((4, 8, 8, 3))), r"arr_0 must be images, uint8 \(n, H, W, 3\), got float64"),
    "payload.pkl": (pickle.dumps({"fid": Payload()}), "names .*mkdir, which is no array; nothing of it was run"),
    "payload.pt": (torch_bytes({"mu": Payload()}), "is no file of statistics"),
    "class.pkl": (pickle.dumps(Dictionary(FINE)), "which is no array"),
    "objects.pkl": (pickle.dumps({"mu": np.array([1, "a"], object), "sigma": np.eye(2)}), "which are no numbers"),
    "list.pkl": (pickle.dumps([1, 2]), "holds list, no statistics"),
    "ordered.pkl": (pickle.dumps(OrderedDict(fid=1)), "no mu and sigma"),
    "empty.pkl": (b"", "is no file of statistics"),
    "cut.pkl": (pickle.dumps(FINE)[:-9], "is no file of statistics"),
    "memo.pkl": (b"\x80\x02}r\xff\xff\xff\xff.", "no mu and sigma"),  # an unpickler in C makes room for 2^32 objects
    "8tb.pkl": (b"\x80\x05\x96" + struct.pack("<Q", 8 << 40) + b".", "is no file of statistics"),
    "8tb_array.pkl": (
        b"\x80\x02cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86U\x01b\x87R.",
        "holds ndarray, no statistics",
    ),
    "stretched.pt": (
        torch_bytes({"mu": torch.zeros(64), "sigma": torch.zeros(1).expand(*SHAPE_OF_8_TB)}),
        r"sigma has the shape \(1000000, 1000000\)",
    ),
    "text.pt": (b"no torch file", "not a zip file"),
    "deep.pkl": (b"\x80\x02" + b"]" * 100 + b"a" * 99 + b".", "holds list, no statistics"),
    "other.ckpt": (b"", "must end in .npz, .pt, .pkl"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_line_that_names_it_and_no_code_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[name]
    (tmp_path / name).mkdir() if content is None else (tmp_path / name).write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=message) as refused:
        references.read_reference(Small(), tmp_path / name)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500 + len(str(tmp_path))
    assert not (tmp_path / "RAN").exists() and most < 100e6


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="nope.npz is no file of statistics: No such file"):
        read_stored(tmp_path / "nope.npz")


@pytest.mark.parametrize("name", ["a.npz", "a.pt", "a.pkl"])
def test_random_damage_never_ends_in_anything_but_a_line(name, tmp_path):
    whole = {
        "a.npz": npz(**FINE, protocol=json.dumps({"n": 5})),
        "a.pt": torch_bytes(FINE),
        "a.pkl": pickle.dumps({"fid": FINE}),
    }
    rng, file, refused = np.random.default_rng(1), tmp_path / name, []
    for _ in range(60):
        data = bytearray(whole[name])
        places = rng.integers(0, len(data), 3) if rng.random() < 0.5 else rng.integers(0, min(len(data), 400), 3)
        for place in places:
            data[place] = rng.integers(0, 256)
        file.write_bytes(data[: rng.integers(1, len(data))] if rng.random() < 0.2 else data)
        try:
            reference = references.read_reference(Small(), file)
        except ValueError as error:
            refused.append(str(error))
        else:
            assert np.isfinite(reference.mean).all() and np.isfinite(reference.covariance).all()
    assert refused and all(str(file) in line for line in refused)


def test_a_damaged_shipped_reference_is_one_line(tmp_path):
    detector = Small()
    detector.weights = tmp_path / "model.safetensors"
    file = tmp_path / "reference.npz"
    for content, message in (
        (b"", "is damaged"),
        (npz(features=FEATURES), "is damaged"),
        (npz(features=FEATURES, detector="other"), "made by another detector"),
        (npz(features=FEATURES[:, :60], detector=detector.sha256), "features of width 60, not 64"),
        (npz(features=with_(FEATURES, (0, 0), np.inf), detector=detector.sha256), "not finite"),
        (npz(features=FEATURES[0], detector=detector.sha256), r"features must be \(n, d\)"),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=message) as refused:
            shipped(detector)
        assert str(file) in str(refused.value)
    file.write_bytes(npz(features=FEATURES, detector=detector.sha256))
    np.testing.assert_allclose(shipped(detector).mean, MEAN)


def test_a_folders_kept_copy_is_made_anew_when_it_is_damaged(tmp_path):
    from PIL import Image

    for index, picture in enumerate(drawings(4)):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    detector, kept = Small(), tmp_path / "run" / "small.npz"
    first = load_reference(detector, tmp_path, kept)
    for damage in (b"", kept.read_bytes()[:-60], npz(mu=MEAN, sigma=COVARIANCE), b"other"):
        kept.write_bytes(damage)
        again = load_reference(detector, tmp_path, kept)
        np.testing.assert_array_equal(first.mean, again.mean)
    assert detector.seen == 20
    load_reference(detector, tmp_path, kept)
    assert detector.seen == 20, "whole, it is not made again"


# Worlds


def test_a_drawn_worlds_reference_is_made_once_for_a_detector_that_ships_none(cache):
    detector = Small()
    first = world_reference(detector, "everyday", count=60)
    drawn = np.stack([everyday.draw(everyday.random_scene(seed)) for seed in everyday.REFERENCE_SEEDS[:60]])
    expected = Moments.of(Small().image_features(from_uint8(drawn)).numpy())
    np.testing.assert_allclose(first.mean, expected.mean, atol=1e-6)
    np.testing.assert_allclose(first.covariance, expected.covariance, atol=1e-6)
    assert first.words == "60 drawings of the reference seeds" and first.protocol["n"] == 60
    assert detector.seen == 60
    again = world_reference(detector, "everyday", count=60)
    assert detector.seen == 60 and again.words == first.words
    np.testing.assert_array_equal(again.features, first.features)


@pytest.mark.parametrize("change", ["detector", "resize", "count", "world"])
def test_another_detector_resizing_number_or_world_has_a_reference_of_its_own(change, cache, monkeypatch):
    world_reference(Small(), "everyday", count=10)
    detector, count = Small(), 10
    if change == "detector":
        detector.sha256 = "6" * 64
    if change == "resize":
        detector.resize = "other"
    if change == "count":
        count = 11
    if change == "world":
        draw = everyday.draw
        monkeypatch.setattr(everyday, "draw", lambda scene, *size: 255 - draw(scene, *size))
    world_reference(detector, "everyday", count=count)
    assert detector.seen == count


def test_a_damaged_one_in_the_cache_is_made_anew(cache):
    first = world_reference(Small(), "everyday", count=10)
    (file,) = (cache / "ldm-eval" / "references").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    detector = Small()
    np.testing.assert_array_equal(world_reference(detector, "everyday", count=10).mean, first.mean)
    assert detector.seen == 10


def test_a_cache_that_cannot_be_written_is_done_without(cache, capsys):
    cache.write_text("a file where the cache should be")
    found = world_reference(Small(), "everyday", count=10)
    assert found.protocol["n"] == 10 and "not kept for the next run" in capsys.readouterr().out


def test_a_detector_that_ships_none_takes_its_models_world_and_without_one_says_what_would_do(cache, monkeypatch):
    monkeypatch.setattr(world_references, "COUNT", 10)
    assert load_reference(Small(), world="everyday").protocol["world"] == "everyday"
    assert load_reference(load_detector("everyday"), world="everyday").words.startswith("embedded")
    with pytest.raises(ValueError, match="small ships no reference: give --reference FOLDER"):
        load_reference(Small())


def test_fashions_reference_is_its_official_test_images_where_they_are_at_hand(cache, monkeypatch):
    monkeypatch.delenv(world_references.FASHION_VARIABLE, raising=False)
    monkeypatch.setattr("ldm_core.data.fashion_mnist.CACHE", cache / "fashion_mnist")
    with pytest.raises(ValueError, match="Fashion-MNIST's test images is not in the local cache.*LDM_FASHION_MNIST"):
        world_reference(Small(), "fashion", count=10)
    if "LDM_TEST_DATA" not in os.environ:
        pytest.skip("LDM_TEST_DATA is not set")
    monkeypatch.setenv(world_references.FASHION_VARIABLE, str(Path(os.environ["LDM_TEST_DATA"], "fashion_mnist")))
    reference = world_reference(Small(), "fashion", count=100)
    assert reference.words == "100 official test images" and reference.features.shape == (100, 64)
    assert reference.features[:, 0].max() == 0, "the corner is the black rim"


def test_fid_of_a_run_on_the_drawn_world_is_computed_where_inception_is(
    cache, tiny_folder, tmp_path, monkeypatch, capsys
):
    """Weights of the published file's form, drawn at random, stand in for it; its hash is told accordingly."""
    file, out = tmp_path / "inception.pth", tmp_path / "run"
    torch.manual_seed(0)
    torch.save(inception.InceptionV3().state_dict(), file)
    monkeypatch.setenv(inception.VARIABLE, str(file))
    monkeypatch.setattr(inception, "CHECKSUM", hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setattr(world_references, "COUNT", 6)
    monkeypatch.setattr("evaluation.detectors.feature_cache.BATCH", 4)
    (tmp_path / "p.txt").write_text("a red house\na boat on a lake\nclouds at night\na palm tree\n")
    monkeypatch.setitem(catalogue.DEFAULTS, MODELS["scenes"].world, ("fid", "kid"))
    as_scenes = dataclasses.replace(MODELS["scenes"], source=str(tiny_folder))
    monkeypatch.setitem(MODELS, "scenes", as_scenes)
    arguments = ["--prompts", str(tmp_path / "p.txt"), "--model", "scenes", "--guidance-scales", "1", "--steps", "1"]
    arguments += ["--device", "cpu", "--height", "32", "--width", "32", "--out", str(out)]
    assert run([*arguments, "--dry-run"]) == 0
    assert not (cache / "ldm-eval").exists(), "a rehearsal makes no reference"
    assert run(arguments) == 0
    values = pd.read_csv(out / "summary.csv").set_index("metric")["value"]
    assert np.isfinite(values[["fid", "kid"]]).all()
    reference = json.loads((out / "run.json").read_text())["references"]["inception"]
    assert reference["words"] == "6 drawings of the reference seeds" and reference["world"] == MODELS["scenes"].world
    assert len(list((cache / "ldm-eval" / "references").iterdir())) == 1
    kept = references.stored_reference(out / "references" / "inception.npz")
    assert kept.protocol == {name: value for name, value in reference.items() if name != "words"}


def test_a_reference_that_is_damaged_or_absent_stops_a_run_before_a_picture(tiny_folder, tmp_path, capsys):
    (tmp_path / "p.txt").write_text("a red house\n")
    (tmp_path / "nan.npz").write_bytes(HOSTILE["nan.npz"][0])
    arguments = ["--prompts", str(tmp_path / "p.txt"), "--model", str(tiny_folder), "--device", "cpu"]
    for name, message in (
        ("nan.npz", "nan.npz is no file of statistics: mu holds values that are not finite"),
        ("nope.npz", "nope.npz is not there"),
        ("nope", "is no folder of images, nor a file of statistics (.npz, .pt, .pkl), nor a data set (coco-val2017"),
    ):
        with pytest.raises(SystemExit) as stopped:
            run([*arguments, "--out", str(tmp_path / "run"), "--reference", str(tmp_path / name)])
        assert stopped.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_unknown_protocol_stands_under_the_table(tiny_folder, tmp_path, capsys):
    (tmp_path / "p.txt").write_text("a red house\na boat on a lake\nclouds at night\na palm tree\n")
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps({"fid": FINE}))
    arguments = ["--prompts", str(tmp_path / "p.txt"), "--model", str(tiny_folder), "--device", "cpu", "--steps", "1"]
    arguments += ["--guidance-scales", "1", "--metrics", "fd_scenes", "--out", str(tmp_path / "run")]
    assert run([*arguments, "--reference", str(tmp_path / "bare.pkl")]) == 0
    assert "the reference's protocol unknown" in pd.read_csv(tmp_path / "run" / "summary.csv")["note"][0]
    assert "the reference's protocol unknown" in (tmp_path / "run" / "report.md").read_text()
    assert "bare.pkl, protocol unknown" in capsys.readouterr().out
