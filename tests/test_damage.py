"""A run's folder after whatever may befall its files: the same tables again, or one line that names the file."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.bounds import check_amount
from evaluation.config import RunConfig
from evaluation.detectors.feature_cache import read_cache
from evaluation.finished import Finished
from evaluation.generation.axes import Axis, Value
from evaluation.run import main
from evaluation.run_facts import RunFacts
from evaluation.run_folder import FOLDERS, WRITTEN, alone, check_places
from ldm_core.data.everyday import draw, random_scene
from ldm_core.files import naming, whole_file
from ldm_core.images import load_png_and_text, png_text, save_png
from ldm_core.recipe import Recipe
from ldm_core.settings import SamplingSettings

FIRST = Path(__file__).parent / "first_house"
TABLES = ("summary.csv", "images.csv", "differences.csv")
SETTINGS = "--model fashion --limit 6 --guidance-scales 1,2 --steps 2 --dtype fp32 --device cpu"
METRICS = "--metrics fd_fashion,fashion_accuracy,vae_psnr_generated"


def command(out: Path, *more: str) -> list[str]:
    """The command line of the first house's run, with a reference of a few pictures."""
    folder = out.parent
    return [
        *f"{SETTINGS} {METRICS} --out {out} --prompts {folder}/fashion.txt --reference {folder}/real".split(),
        *more,
    ]


def contents(out: Path) -> dict[str, bytes]:
    """The tables and pictures of a run's folder."""
    return {path.name: path.read_bytes() for path in [*(out / name for name in TABLES), *out.glob("images/*/*.png")]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run beside its prompts and its reference."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copy(FIRST / "prompts.txt", folder / "fashion.txt")
    (folder / "real").mkdir()
    for seed in range(8):
        Image.fromarray(draw(random_scene(seed), 32)).save(folder / "real" / f"{seed}.png")
    assert main(command(folder / "run")) == 0
    assert not list((folder / "run").glob(".*")), "no lock, nothing half-written"
    return folder


@pytest.fixture
def run(whole, tmp_path):
    """A copy of it."""
    shutil.copytree(whole, tmp_path / "w")
    return tmp_path / "w" / "run"


def objects(path: Path) -> None:
    """An .npz whose arrays are pickles."""
    with path.open("wb") as file:
        np.savez(file, detector=np.array([{}], object), files=np.array([{}], object))


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "flipped": lambda path: path.write_bytes((np.frombuffer(path.read_bytes(), np.uint8) ^ 255).tobytes()),
    "a bit": lambda path: path.write_bytes(
        (lambda data: data[:-60] + bytes([data[-60] ^ 1]) + data[-59:])(path.read_bytes())
    ),
    "other content": lambda path: (
        objects(path) if path.suffix in (".npz", ".part") else path.write_bytes(b"[1, null]\n")
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damaged_file_that_can_be_made_again_gives_the_same_tables(whole, run, damage, capsys):
    kept = [*run.glob("features/*.npz"), *run.glob("references/*.npz"), *run.glob("images/*/cost-*.jsonl")]
    pictures = sorted(run.glob("images/*/*.png"))
    left = run / "features" / f"{kept[0].stem}.0-0.part"  # as a killed run leaves them
    shutil.copy(kept[0], left)
    written = [run / name for name in WRITTEN if name != "run.json"]
    assert len(kept) == 4 and len(pictures) == 12
    for path in [*kept, *written, left, *pictures[::5]]:
        DAMAGES[damage](path)
    assert main(command(run)) == 0
    assert contents(run) == contents(whole / "run")
    said = capsys.readouterr().out
    assert all(f"damaged, made again: {path}" in said for path in pictures[::5])
    assert not list(run.rglob("*.part")) and not list(run.rglob(".*"))


@pytest.mark.parametrize(
    ("name", "pixels", "text", "words"),
    [
        ("of another size", np.zeros((48, 32, 3), np.uint8), None, "of 32 x 48 pixels and not of this run"),
        ("of another seed", np.zeros((32, 32, 3), np.uint8), 7, "of another prompt, seed or setting"),
    ],
)
def test_a_picture_that_is_not_the_runs_own_is_said_and_made_again(whole, run, name, pixels, text, words, capsys):
    path = sorted(run.glob("images/*/*.png"))[4]
    settings = SamplingSettings.of(steps=2, guidance_scale=1.0, scheduler="ddim", height=32, width=32)
    recipe = None if text is None else Recipe("fashion", "a photo of a bag", text, settings)
    save_png(path, pixels, recipe and recipe.to_png_text())
    assert main(command(run)) == 0
    assert f"{words}, made again: {path}" in capsys.readouterr().out and contents(run) == contents(whole / "run")
    save_png(path, pixels, recipe and recipe.to_png_text())
    refused(command(run, "--report-only"), capsys, f"{path} is {words}")


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (("recipe", "parameters", "pixels_sha256"), "changed since this run drew it"),
        (("recipe", "parameters"), "without the seal of this run's pictures"),
        ((), "without the recipe that this run's pictures carry"),
    ],
)
def test_other_pixels_of_the_same_size_are_seen_whatever_they_carry(whole, run, kept, words, capsys):
    path = sorted(run.glob("images/*/*.png"))[4]
    pixels, text = load_png_and_text(path)
    save_png(path, 255 - pixels, {name: text[name] for name in kept})
    refused(command(run, "--report-only"), capsys, f"{path} is {words}")
    assert main(command(run)) == 0
    assert f"{words}, made again: {path}" in capsys.readouterr().out and contents(run) == contents(whole / "run")


def test_a_picture_packed_anew_is_the_runs_own(run, capsys):
    path = min(run.glob("images/*/*.png"))
    pixels, text = load_png_and_text(path)
    with whole_file(path) as partial:
        Image.fromarray(pixels).save(partial, format="PNG", pnginfo=png_text(text), compress_level=0)
    assert main(command(run)) == 0 and "0 to make" in capsys.readouterr().out


def test_a_run_that_an_earlier_version_began_goes_on_with_pictures_that_say_nothing(whole, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(FIRST / "run", out)
    shutil.copy(FIRST / "prompts.txt", tmp_path / "fashion.txt")
    first, second, *_ = sorted(out.glob("images/*/*.png"))
    first.unlink()
    save_png(second, 255 - load_png_and_text(second)[0])
    shutil.copytree(whole / "real", tmp_path / "real")
    assert main(command(out)) == 0 and "11 present, 1 to make" in capsys.readouterr().out
    assert "pixels_sha256" in load_png_and_text(first)[1] and len(list(out.glob("images/*"))) == 1
    assert "configs" not in RunFacts.read(out).protocol


def refused(words, capsys, *needles):
    """The command ends in one line that holds the needles; the line."""
    with pytest.raises(SystemExit) as stopped:
        main(words)
    error = capsys.readouterr().err.strip()
    assert stopped.value.code == 2 and "\n" not in error and "Traceback" not in error, error
    assert all(needle in error for needle in needles), error
    return error


def bomb(path: Path) -> None:
    """A PNG of a few bytes that declares 30000 x 30000 pixels."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def test_a_picture_bomb_is_made_again_in_a_run_and_one_line_as_a_recipe(whole, run, capsys):
    path = min(run.glob("images/*/*.png"))
    bomb(path)
    refused(command(run, "--report-only"), capsys, f"{path} is damaged")
    assert main(command(run)) == 0
    assert f"damaged, made again: {path}" in capsys.readouterr().out and contents(run) == contents(whole / "run")
    (run.parent / "r.json").write_bytes(b"\xff\xfe{")
    refused(["--recipe", str(run.parent / "r.json")], capsys, "r.json is neither a PNG nor JSON")
    (run.parent / "r.json").write_bytes(b"[1]")
    refused(["--recipe", str(run.parent / "r.json")], capsys, "r.json: a recipe must be a JSON object")
    bomb(run.parent / "bomb.png")
    refused(
        ["--recipe", str(run.parent / "bomb.png"), "--model", "fashion"],
        capsys,
        "bomb.png cannot be read",
        "exceeds limit",
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_json_is_named(run, damage, capsys):
    DAMAGES[damage](run / "run.json")
    if damage == "a bit":  # within a word: what it says then differs from what is asked
        text = (run / "run.json").read_text()
        (run / "run.json").write_text(text.replace('"protocol": {', '"protocol": ['))
    refused(command(run), capsys, str(run), "run.json was not written by this command")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("protocol", '"x"'),
        ("protocol", "[]"),
        ("axes", "5"),
        ("axes", "[1]"),
        ("conditions", '[{"axes": 5}]'),
        ("conditions", '["x"]'),
        ("conditions", "7"),
        ("detectors", "[]"),
        ("metrics", "4"),
        ("image_count", '"x"'),
        ("guidance_scales", '["x"]'),
        ("image_count", "9" * 5000),
        ("flat_images", "[" * 9999 + "]" * 9999),
    ],
)
def test_a_run_json_with_any_wrong_type_is_named(run, key, value):
    import json

    facts = json.loads((run / "run.json").read_text()) | {key: None}
    if key == "guidance_scales":
        del facts["conditions"]
    (run / "run.json").write_text(json.dumps(facts).replace(f'"{key}": null', f'"{key}": {value}'))
    with pytest.raises(ValueError, match=r"its run\.json was not written by this command"):
        RunFacts.read(run)


@pytest.mark.parametrize("name", [*WRITTEN, *FOLDERS, "features/*.npz", "references/*.npz", "images/*/cost-0.jsonl"])
def test_a_folder_in_a_files_place_or_a_file_in_a_folders_is_named_beforehand(run, name):
    path = next(iter(run.glob(name)))
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("a file")
    else:
        path.unlink()
        path.mkdir()
    folders = {str(found.relative_to(run)) for found in run.glob("images/*")}
    with pytest.raises(ValueError, match="must be a f") as named:
        check_places(run, folders)
    assert str(path) in str(named.value)


def test_a_folder_in_a_pictures_place_is_named_before_anything_is_drawn(run, capsys):
    first, second, *_ = sorted(run.glob("images/*/*.png"))
    first.unlink()
    second.unlink()
    second.mkdir()
    refused(command(run), capsys, f"{second} is a folder where a picture should be")
    assert not first.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is open to root")
@pytest.mark.parametrize("name", ["images.csv", "run.json", "features/*.npz", "images/*/cost-0.jsonl"])
def test_what_may_not_be_read_is_named_beforehand(run, name, capsys):
    path = next(iter(run.glob(name)))
    path.chmod(0)
    refused(command(run), capsys, str(path))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *itertools.product(
            ["summary.csv", "images.csv", "run.json"], ["cut", "empty", "flipped", "other content", "a folder", "gone"]
        ),
        ("summary.csv", "text in a score"),
        ("images.csv", "text in a score"),
    ],
)
def test_a_finished_run_with_a_damaged_table_is_named_with_the_file(run, name, damage):
    path = run / name
    if damage == "text in a score":
        column = "value" if name == "summary.csv" else "fashion_accuracy"
        head, first, *rest = path.read_text().splitlines()
        cells = first.split(",")
        cells[head.split(",").index(column)] = "high"
        path.write_text("\n".join([head, ",".join(cells), *rest]))
    elif damage in DAMAGES:
        DAMAGES[damage](path)
    else:
        path.unlink()
        if damage == "a folder":
            path.mkdir()
    with pytest.raises(ValueError, match="no finished run|was not written") as named:
        Finished.read(run)
    assert name in str(named.value) and str(run) in str(named.value) and "\n" not in str(named.value)


def test_features_that_do_not_belong_together_are_extracted_again(tmp_path, capsys):
    np.savez(
        tmp_path / "f.npz",
        detector="w",
        files=np.array(["a", "b"]),
        features=np.zeros((1, 4)),
        metrics=np.array(["m"]),
        scores=np.zeros((2, 1)),
    )
    assert read_cache(tmp_path / "f.npz", "w") == {} and "f.npz" in capsys.readouterr().out
    with pytest.raises(ValueError, match="is a folder where features are kept"):
        read_cache(tmp_path, "w")


def test_two_runners_in_one_folder_are_one_and_a_line(run, capsys):
    code = (
        "import sys, time; from pathlib import Path; from evaluation.run_folder import alone\n"
        "with alone(Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE, cwd=FIRST.parents[1])
    try:
        assert other.stdout.readline() == b"in\n"
        refused(command(run), capsys, f"--out {run}: another run is at work in it (process {other.pid} on ")
        assert main(command(run, "--dry-run")) == 0, "which writes nothing"
    finally:
        other.kill()
        other.wait()
    with alone(run):  # what a killed one leaves behind holds nobody up
        assert str(os.getpid()) in (run / ".running").read_text()
        with pytest.raises(ValueError, match=f"process {os.getpid()} on "), alone(run):
            pass
    assert not list(run.glob(".*"))


def test_a_full_disk_names_the_file(tmp_path):
    log, table = tmp_path / "cost-0.jsonl", tmp_path / "f.npz"
    log.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"cost-0\.jsonl") as full, naming(log), log.open("a") as file:
        file.write("a line")
    assert full.value.errno == errno.ENOSPC
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))  # the system says it as it says that a disk is full
    try:
        with pytest.raises(OSError, match=r"f\.npz"), whole_file(table) as partial, partial.open("wb") as file:
            np.savez(file, features=np.zeros(1 << 17))
        with pytest.raises(OSError, match=r"p\.png"):
            save_png(tmp_path / "p.png", np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name for path in tmp_path.iterdir()} == {log.name}, "and nothing half-written is left"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--height 1000000", "height must be an integer from 1 to 8192, got 1000000"),
        ("--width 0", "width must be an integer from 1 to 8192, got 0"),
        ("--images-per-prompt 99999999", "--images-per-prompt must be an integer from 1 to 1000000"),
        ("--images-per-prompt 999999", "6 prompts x 999999 images x 2 conditions are 11999988 images; 1000000 a run"),
    ],
)
def test_what_no_machine_could_hold_is_refused_before_anything_is_allocated(whole, capsys, more, message):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(command(whole / "new", "--dry-run", *more.split()), capsys, message)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000 and not (whole / "new").exists()
    check_amount(1000, 1000, 1)


def test_numbers_from_numpy_are_taken_as_pythons(tmp_path):
    config = RunConfig(
        tmp_path / "p.txt",
        guidance_scales=np.arange(1, 4),
        limit=np.int64(3),
        images_per_prompt=np.uint8(2),
        seed=np.int32(7),
        batch_size=np.array(4),
        sweep=(Axis("steps", tuple(Value(steps, (("steps", steps),)) for steps in np.array([2, 4]))),),
    )
    numbers = [config.limit, config.images_per_prompt, config.seed, config.batch_size]
    assert numbers == [3, 2, 7, 4] and {type(number) for number in numbers} == {int}
    assert config.guidance_scales == (1.0, 2.0, 3.0) and len(config.conditions) == 6
    values = [value for condition in config.conditions for _, value in condition.values]
    assert {type(value) for value in values} == {float, int}
    for wrong in ({"seed": 1.5}, {"limit": True}, {"guidance_scales": (np.nan,)}, {"batch_size": "4"}):
        with pytest.raises(ValueError, match=f"--{next(iter(wrong)).replace('_', '-')} must be"):
            RunConfig(tmp_path / "p.txt", **wrong)
