"""COCO's own layout from a server on the loopback: fetched once, unpacked as far as needed, its statistics kept."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation import data_sets, downloads, transfer
from evaluation.data_sets import DATA_SET_FILE, DATA_SETS, DataSet, captions_file, photographs_folder
from evaluation.detectors.reference_sources import load_reference
from evaluation.downloads import Downloads
from evaluation.prompts import coco_caption, load_prompts
from evaluation.run import main as run
from evaluation.worlds import DRAWN_WORLD
from ldm_core.data import everyday
from tests.loopback import loopback

YES = Downloads("yes")


class Small:
    """Features: the mean colour."""

    name, sha256, dimension, resize, seen = "small", "5" * 64, 3, "none", 0

    def image_features(self, images):
        self.seen += len(images)
        assert images.shape[2] == images.shape[3], "the middle square"
        return images.mean((2, 3))


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def synthetic() -> tuple[dict, dict[str, bytes]]:
    """Five drawings, wider than high, with two captions each, as COCO says it."""
    photographs = {}
    for seed in range(5):
        stream = io.BytesIO()
        Image.fromarray(everyday.draw(everyday.random_scene(seed), 48)[:32]).save(stream, "JPEG")
        photographs[f"{seed:012d}.jpg"] = stream.getvalue()
    images = [{"id": seed, "file_name": name} for seed, name in reversed(list(enumerate(photographs)))]
    annotations = [
        {"image_id": seed, "id": 10 * seed + index, "caption": f"caption {index} of {seed}"}
        for seed in range(5)
        for index in range(2)
    ]
    return {"images": images, "annotations": annotations}, photographs


def mini() -> tuple[dict, dict[str, bytes]]:
    """159 photographs of val2017 and their captions."""
    if "LDM_TEST_DATA" not in os.environ:
        pytest.skip("LDM_TEST_DATA is not set")
    folder = Path(os.environ["LDM_TEST_DATA"], "coco_mini")
    captions = json.loads((folder / "captions_val2017_mini.json").read_text())
    return captions, {path.name: path.read_bytes() for path in (folder / "val2017").iterdir()}


class Coco:
    """The two archives on a server, and the data set that names them."""

    def __init__(self, server, content, name="coco-val2017", prompts=None):
        self.server, (self.captions, self.photographs) = server, content
        self.part = name.removeprefix("coco-")
        self.others = {
            f"annotations/instances_{self.part}.json": b"{}",
            f"annotations/captions_{self.part}.json": json.dumps(self.captions).encode(),
        }
        self.name, self.prompts, self.extra = name, prompts, {}

    def publish(self, monkeypatch, digests=True):
        parts = []
        members = {f"{self.part}/": b""} | {f"{self.part}/{name}": data for name, data in self.photographs.items()}
        for path, content in (("annotations/a.zip", self.others), ("zips/p.zip", members | self.extra)):
            data = zipped(content)
            self.server.files[f"/{path}"] = data
            parts.append((path, len(data), f"sha256:{hashlib.sha256(data).hexdigest()}" if digests else ""))
        self.data_set = DataSet(self.name, self.part, *parts, len(self.photographs), self.prompts)
        monkeypatch.setitem(data_sets.DATA_SETS, self.name, self.data_set)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with loopback() as serving:
        monkeypatch.setenv(data_sets.VARIABLE, serving.address)
        yield serving


@pytest.fixture
def coco(server, monkeypatch):
    made = Coco(server, synthetic())
    made.publish(monkeypatch)
    return made


def cached(tmp_path):
    folder = tmp_path / "cache" / "ldm-eval"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_captions_are_cocos_own_by_the_stated_rule_and_fetched_once(coco, tmp_path):
    with pytest.raises(ValueError, match="coco-val2017's captions is not in the local cache; --download yes"):
        captions_file("coco-val2017")
    file = captions_file("coco-val2017", YES)
    assert json.loads(file.read_text()) == coco.captions and file.stem == "coco-val2017"
    prompts = load_prompts(file)
    said = {10 * 3 + index: f"caption {index} of 3" for index in range(2)}
    assert prompts[3].text == coco_caption(3, said) and prompts[3].reference == "000000000003.jpg"
    assert captions_file("coco-val2017") == file and len(coco.server.asked) == 1
    assert cached(tmp_path) == ["coco/coco-val2017.json"], "the archive is not kept"


def test_the_larger_set_draws_from_its_first_photographs_and_compares_with_all(server, monkeypatch):
    coco = Coco(server, synthetic(), "coco-val2014", prompts=3)
    coco.publish(monkeypatch)
    prompts = load_prompts(captions_file("coco-val2014", YES))
    assert [prompt.reference for prompt in prompts] == [f"{index:012d}.jpg" for index in range(3)]
    reference = load_reference(Small(), photographs_folder("coco-val2014", YES))
    assert reference.protocol["n"] == 5 and reference.words == "coco-val2014, 5 images, middle squares"


def test_photographs_are_unpacked_whole_and_their_statistics_made_once(coco, tmp_path):
    folder = photographs_folder("coco-val2017", YES)
    assert {path.name: path.read_bytes() for path in folder.glob("*.jpg")} == coco.photographs
    assert json.loads((folder / DATA_SET_FILE).read_text()) == {"name": "coco-val2017", "crop": "square"}
    detector = Small()
    first = load_reference(detector, folder, tmp_path / "run" / "small.npz")
    again = load_reference(detector, photographs_folder("coco-val2017"), tmp_path / "other" / "small.npz")
    assert detector.seen == 5 and len(coco.server.asked) == 1, "the second run is instant"
    np.testing.assert_array_equal(first.mean, again.mean)
    assert first.words == again.words == "coco-val2017, 5 images, middle squares"
    pixels = [np.asarray(Image.open(io.BytesIO(data)), np.float32)[:, 8:40] / 255 for data in coco.photographs.values()]
    np.testing.assert_allclose(first.mean, np.mean([p.mean((0, 1)) for p in pixels], 0), atol=1e-5)


def test_a_real_part_of_coco_goes_the_same_way(server, monkeypatch):
    coco = Coco(server, mini())
    coco.publish(monkeypatch)
    server.cuts = [100_000, 5_000_000]
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: None)
    prompts = load_prompts(captions_file("coco-val2017", YES))
    assert len(prompts) == 159 and prompts[0].reference == "000000000139.jpg"
    folder = photographs_folder("coco-val2017", YES)
    assert len(list(folder.glob("*.jpg"))) == 159
    assert {prompt.reference for prompt in prompts} == {path.name for path in folder.glob("*.jpg")}
    assert load_reference(Small(), folder).protocol["n"] == 159
    assert [wanted for _, wanted in server.asked if wanted], "transfers were cut and went on"


def test_the_question_says_how_much_and_what_it_fills(coco):
    asked = []
    policy = Downloads("ask", ask=lambda question: asked.append(question) or False)
    with pytest.raises(ValueError, match="--download yes fetches it"):
        photographs_folder("coco-val2017", policy)
    size = coco.data_set.photographs[1]
    assert f"coco-val2017's photographs: {downloads.megabytes(size)} from 127.0.0.1" in asked[0]
    assert "unpacked they fill about as much; 0.0 MB while that is done" in asked[0]


def test_a_wrong_hash_is_removed_and_named(coco, monkeypatch, tmp_path):
    path, size, _ = coco.data_set.photographs
    wrong = replace(coco.data_set, photographs=(path, size, "sha256:" + "0" * 64))
    monkeypatch.setitem(data_sets.DATA_SETS, "coco-val2017", wrong)
    with pytest.raises(ValueError, match="is not coco-val2017's photographs as published.*removed"):
        photographs_folder("coco-val2017", YES)
    assert [name for name in cached(tmp_path) if not name.endswith(".lock")] == []


def test_without_a_published_hash_a_wrong_checksum_within_is_found_and_nothing_stays(server, monkeypatch, tmp_path):
    coco = Coco(server, synthetic())
    coco.publish(monkeypatch, digests=False)
    data = bytearray(server.files["/zips/p.zip"])
    place = data.index(coco.photographs["000000000002.jpg"]) + 300
    data[place] ^= 1
    server.files["/zips/p.zip"] = bytes(data)
    with pytest.raises(
        ValueError, match="p.zip was damaged .Bad CRC-32.* and is removed; the same command fetches it anew"
    ):
        photographs_folder("coco-val2017", YES)
    assert [name for name in cached(tmp_path) if not name.endswith(".lock")] == []
    data[place] ^= 1
    server.files["/zips/p.zip"] = bytes(data)
    assert len(list(photographs_folder("coco-val2017", YES).glob("*.jpg"))) == 5


@pytest.mark.parametrize("content", [b"no archive", zipped({"annotations/other.json": b"{}"})])
def test_an_archive_that_is_none_or_lacks_the_captions_is_removed(content, server, monkeypatch, tmp_path):
    coco = Coco(server, synthetic())
    coco.publish(monkeypatch, digests=False)
    server.files["/annotations/a.zip"] = content
    path, _, digest = coco.data_set.captions
    monkeypatch.setitem(
        data_sets.DATA_SETS, "coco-val2017", replace(coco.data_set, captions=(path, len(content), digest))
    )
    with pytest.raises(ValueError, match="a.zip was damaged"):
        captions_file("coco-val2017", YES)
    assert [name for name in cached(tmp_path) if not name.endswith(".lock")] == []


def test_names_that_lead_out_of_the_folder_are_not_unpacked(server, monkeypatch, tmp_path):
    coco = Coco(server, synthetic())
    coco.extra = {
        "val2017/../../../evil.jpg": b"evil",
        "/val2017/evil.jpg": b"evil",
        "../val2017/evil.jpg": b"evil",
        "val2017/a/evil.jpg": b"evil",
        "val2017/..\\evil.jpg": b"evil",
        "val2017/evil.jpg\n": b"evil",
        "val2017/evil.sh": b"evil",
    }
    coco.publish(monkeypatch)
    folder = photographs_folder("coco-val2017", YES)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*coco.photographs, DATA_SET_FILE])
    assert not list(tmp_path.rglob("*evil*"))


def test_another_number_of_photographs_is_not_the_data_set(coco, monkeypatch, tmp_path):
    monkeypatch.setitem(data_sets.DATA_SETS, "coco-val2017", replace(coco.data_set, count=6))
    with pytest.raises(ValueError, match="5 photographs of [0-9]+ bytes in it, 6 expected"):
        photographs_folder("coco-val2017", YES)
    assert not (tmp_path / "cache" / "ldm-eval" / "coco" / "coco-val2017").exists()


def test_a_disk_that_fills_up_while_unpacking_is_named_and_the_archive_kept(coco, monkeypatch, tmp_path):
    write = Path.write_bytes

    def full(path, data):
        if "000000000003.jpg" in path.name:
            write(path, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device") as failed:
        photographs_folder("coco-val2017", YES)
    assert failed.value.filename.endswith("000000000003.jpg")
    assert [name for name in cached(tmp_path) if not name.endswith(".lock")] == ["downloads/p.zip"]
    monkeypatch.setattr(Path, "write_bytes", write)
    assert len(list(photographs_folder("coco-val2017").glob("*.jpg"))) == 5, "without a second transfer"
    assert len(coco.server.asked) == 1


def test_a_disk_without_room_is_said_before_anything_is_fetched(coco, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage(transfer.SPARE))
    with pytest.raises(OSError, match="No room for coco-val2017's photographs"):
        photographs_folder("coco-val2017", YES)
    assert not coco.server.asked


def test_a_run_that_was_killed_while_unpacking_is_begun_anew(coco, tmp_path):
    half = tmp_path / "cache" / "ldm-eval" / "coco" / ".coco-val2017.partial"
    half.mkdir(parents=True)
    (half / "other.jpg").write_bytes(b"half")
    folder = photographs_folder("coco-val2017", YES)
    assert len(list(folder.iterdir())) == 6 and not half.exists()


def test_a_photograph_that_changes_makes_the_statistics_anew(coco):
    folder, detector = photographs_folder("coco-val2017", YES), Small()
    load_reference(detector, folder)
    Image.new("RGB", (40, 40), "red").save(folder / "000000000000.jpg")
    assert load_reference(detector, folder).mean[0] > 0.2 and detector.seen == 10


def test_what_is_published_is_named_as_published():
    assert list(DATA_SETS) == ["coco-val2017", "coco-val2014"]
    small, large = DATA_SETS.values()
    assert small.remote("photographs").url.endswith("/zips/val2017.zip") and small.count == 5000
    assert large.prompts == 30_000 and large.count == 40_504
    with pytest.raises(ValueError, match="no data set 'coco'; known: coco-val2017, coco-val2014"):
        captions_file("coco")


def test_the_mirror_is_asked_in_place_of_the_original(coco, monkeypatch):
    monkeypatch.setenv(data_sets.VARIABLE, coco.server.address + "/")
    assert coco.data_set.remote("captions").url == f"{coco.server.address}/annotations/a.zip"
    monkeypatch.delenv(data_sets.VARIABLE)
    assert coco.data_set.remote("captions").host == "images.cocodataset.org"


def test_the_fields_protocol_is_one_command_and_the_second_run_needs_no_network(coco, tiny_folder, tmp_path, capsys):
    arguments = [
        "--prompts",
        "coco-val2017",
        "--reference",
        "coco-val2017",
        "--model",
        str(tiny_folder),
        "--steps",
        "1",
    ]
    arguments += ["--device", "cpu", "--guidance-scales", "1", "--metrics", "fd_scenes,kd_scenes"]
    with pytest.raises(SystemExit) as stopped:
        run([*arguments, "--download", "no", "--out", str(tmp_path / "none")])
    assert stopped.value.code == 2 and not coco.server.asked
    assert "coco-val2017's captions is not in the local cache; --download yes fetches it" in capsys.readouterr().err
    assert run([*arguments, "--download", "yes", "--dry-run"]) == 0
    assert "--reference coco-val2017's photographs is not in the local cache" in capsys.readouterr().out
    assert run([*arguments, "--download", "yes", "--out", str(tmp_path / "first")]) == 0
    asked = len(coco.server.asked)
    assert run([*arguments, "--out", str(tmp_path / "second")]) == 0
    assert len(coco.server.asked) == asked == 2
    facts = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("first", "second")]
    assert facts[0]["references"] == facts[1]["references"] and facts[0]["prompts"] == "coco-val2017.json"
    assert facts[0]["references"][DRAWN_WORLD]["words"] == "coco-val2017, 5 images, middle squares"
    assert facts[0]["prompt_count"] == 5
    summaries = [(tmp_path / name / "summary.csv").read_text() for name in ("first", "second")]
    assert summaries[0] == summaries[1]
