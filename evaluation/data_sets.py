"""Published data sets by name: captions to draw from and photographs to compare with, fetched once into the user's cache.

    coco-val2017    5,000 photographs, one caption each
    coco-val2014    40,504 photographs; the captions of the first 30,000 (by file name): the field's FID-30k

Which of a photograph's five captions is taken is `coco_caption`'s rule in prompts.py. Photographs are cut to
their middle squares, as most of the field does, and compared with as a whole set. LDM_COCO_URL names a mirror of
images.cocodataset.org that has the same files under the same paths.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from ldm_core.files import cache_folder, write_whole

from .downloads import NO_DOWNLOADS, Downloads, Remote, megabytes
from .transfer import download, require_room

URL = "http://images.cocodataset.org"
VARIABLE = "LDM_COCO_URL"
MOST_TEXT = 1 << 30  # bytes of captions
CROP = "square"
# In the folder of photographs: {"name", "crop"}. It is written last, so it also says that all is there.
DATA_SET_FILE = "data-set.json"


@dataclass(frozen=True)
class DataSet:
    """A part of COCO: its two archives as published (path, bytes, hash), and what is taken of them."""

    name: str
    part: str  # the folder in the archive of photographs, and the ending of the captions' file
    captions: tuple[str, int, str]
    photographs: tuple[str, int, str]
    count: int  # photographs
    prompts: int | None = None  # only the captions of the first so many photographs, by file name

    def remote(self, what: str) -> Remote:
        """The archive of "captions" or of "photographs"."""
        path, size, digest = getattr(self, what)
        base = (os.environ.get(VARIABLE) or URL).rstrip("/")
        return Remote(f"{self.name}'s {what}", f"{base}/{path}", size, digest)


DATA_SETS = {
    data_set.name: data_set
    for data_set in (
        DataSet(
            "coco-val2017",
            "val2017",
            (
                "annotations/annotations_trainval2017.zip",
                252_907_541,
                "sha256:113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
            ),
            (
                "zips/val2017.zip",
                815_585_330,
                "sha256:4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
            ),
            5_000,
        ),
        DataSet(
            "coco-val2014",
            "val2014",
            ("annotations/annotations_trainval2014.zip", 252_872_794, "md5:0a379cfc70b0e71301e0f377548639bd"),
            ("zips/val2014.zip", 6_645_013_297, "md5:a3d79f5ed8d289b7a7554ce06a5782b3"),
            40_504,
            prompts=30_000,
        ),
    )
}


def captions_file(name: str, downloads: Downloads = NO_DOWNLOADS) -> Path:
    """The captions of a data set as a prompt file, COCO's own JSON; fetched where that is agreed (ValueError if not)."""
    data_set, file = _find(name), cache_folder("coco", f"{name}.json")
    if file.exists():
        return file
    remote, archive = data_set.remote("captions"), _archive(data_set.remote("captions"))
    if not archive.exists():
        downloads.permit(remote.name, remote.size, remote.host, file.parent, "of which some 40 MB at most are kept")
        download(remote, archive)
    with _opened(archive) as opened:
        text = _member(opened, f"annotations/captions_{data_set.part}.json")
        write_whole(file, _first(data_set, text) if data_set.prompts else text)
    archive.unlink(missing_ok=True)
    return file


def photographs_folder(name: str, downloads: Downloads = NO_DOWNLOADS) -> Path:
    """The folder of a data set's photographs; fetched and unpacked where that is agreed (ValueError if not)."""
    data_set, folder = _find(name), cache_folder("coco", name)
    if (folder / DATA_SET_FILE).exists():
        return folder
    remote, archive = data_set.remote("photographs"), _archive(data_set.remote("photographs"))
    if not archive.exists():
        note = f"unpacked they fill about as much; {megabytes(2 * remote.size)} while that is done"
        downloads.permit(remote.name, remote.size, remote.host, folder, note)
        require_room(_made(archive.parent), 2 * remote.size, remote.name)
        download(remote, archive)
    lock = folder.with_name(f".{name}.lock")
    with FileLock(lock):
        if not (folder / DATA_SET_FILE).exists():
            with _opened(archive) as opened:
                _unpack(data_set, opened, folder)
    lock.unlink(missing_ok=True)
    archive.unlink(missing_ok=True)
    return folder


def _find(name: str) -> DataSet:
    if name not in DATA_SETS:
        raise ValueError(f"no data set {name!r}; known: {', '.join(DATA_SETS)}")
    return DATA_SETS[name]


def _archive(remote: Remote) -> Path:
    return cache_folder("downloads", remote.url.rsplit("/", 1)[1])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """A fetched archive; one that is damaged is removed, and one line says so."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        path.unlink(missing_ok=True)
        raise ValueError(f"{path} was damaged ({error}) and is removed; the same command fetches it anew") from None


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise zipfile.BadZipFile(f"it holds no {name}") from None
    if info.file_size > MOST_TEXT:
        raise zipfile.BadZipFile(f"{name} declares {info.file_size} bytes")
    return archive.read(info)


def _first(data_set: DataSet, text: bytes) -> bytes:
    """COCO's captions of the first `prompts` photographs by file name alone."""
    content = json.loads(text)
    images = sorted(content["images"], key=lambda image: image["file_name"])[: data_set.prompts]
    chosen = {image["id"] for image in images}
    annotations = [row for row in content["annotations"] if row["image_id"] in chosen]
    return json.dumps({"images": images, "annotations": annotations}).encode()


def _unpack(data_set: DataSet, archive: zipfile.ZipFile, folder: Path) -> None:
    """The archive's photographs into a folder, all of them or none; nothing else in the archive is looked at.

    Their names are plain, so none can lead out of the folder; reading each to its end compares its CRC-32.
    """
    pattern = re.compile(rf"{data_set.part}/([A-Za-z0-9_]+\.jpg)")
    found = {match[1]: info for info in archive.infolist() if (match := pattern.fullmatch(info.filename))}
    size = sum(info.file_size for info in found.values())
    if len(found) != data_set.count or size > 2 * data_set.photographs[1]:
        raise zipfile.BadZipFile(f"{len(found)} photographs of {size} bytes in it, {data_set.count} expected")
    require_room(_made(folder.parent), size, f"{data_set.name}'s photographs")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        partial.mkdir()
        for name, info in tqdm(found.items(), desc=f"unpacking {data_set.name}", unit="image", mininterval=1):
            write_whole(partial / name, archive.read(info))
        write_whole(partial / DATA_SET_FILE, json.dumps({"name": data_set.name, "crop": CROP}))
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
