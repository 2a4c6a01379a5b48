"""Checkpoints whose configs are damaged: one line, or the picture that diffusers draws; no hang, no memory.

The suite damages some places, chosen at random, and loads each checkpoint whole. `-m fuzz` puts every value at every place:

    python -m pytest -m fuzz -n 0 tests/test_config_fuzz.py

which takes about nine minutes of one processor; LDM_FUZZ_EVERY=10 before it takes one in ten of them.
"""

from __future__ import annotations

import copy
import json
import math
import os
import random
import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import ldm_core
from ldm_core import checkpoint, loading
from tests.test_families import FAMILIES, family

SECONDS = 60  # of the processor, for a load
MEMORY = 400_000  # KiB more than before, over all loads
SAMPLED = 24  # of each family, in the suite
GONE = object()
DEEP: list = []
for _ in range(400):
    DEEP = [DEEP]
VALUES: dict[str, Any] = {
    "gone": GONE,
    "null": None,
    "text": "x",
    "huge": 10**12,
    "large": 50_000,
    "negative": -1,
    "zero": 0,
    "real": 1.5,
    "infinite": math.inf,
    "true": True,
    "list": [],
    "object": {},
    "nested": {"a": [{"b": None}]},
    "texts": ["x"],
    "deep": DEEP,
}
# Keys that are taken more kindly than by diffusers: noise is of the image's seed, text encoders know their lengths, and an
# autoencoder's latents are normalised as it says in every family.
KINDER = {"stochastic_sampling", "model_max_length", "shift_factor", "latents_mean", "latents_std"}


class Mutant(NamedTuple):
    """A place in a JSON file of a checkpoint, and the name of what is put there; no place is the whole file."""

    file: str
    place: tuple[str | int, ...]
    value: str


def mutants(folder: Path) -> list[Mutant]:
    """Every place of every JSON file with every value, in one order."""
    found = []
    for path in sorted(folder.rglob("*.json")):
        places = [(), *places_of(json.loads(path.read_text()))]
        whole = [value for value in VALUES if value not in ("gone", "deep")]
        found += [
            Mutant(path.relative_to(folder).as_posix(), place, value)
            for place in places
            for value in (VALUES if place else whole)
        ]
    return found


def places_of(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Keys and indices, five deep; within vocabularies none."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict) and len(value) <= 100:
        inner = list(value.items())
    elif isinstance(value, list) and len(value) <= 10:
        inner = list(enumerate(value))
    for key, each in inner:
        yield (*above, key)
        if len(above) < 4:
            yield from places_of(each, (*above, key))


def mutated(document: Any, mutant: Mutant) -> Any:
    """A JSON file's content with the mutant's value in its place."""
    value = VALUES[mutant.value]
    if not mutant.place:
        return value
    document = copy.deepcopy(document)
    at = document
    for key in mutant.place[:-1]:
        at = at[key]
    if value is GONE:
        del at[mutant.place[-1]]
    else:
        at[mutant.place[-1]] = value
    return document


def read_alike(folder: Path, file: str) -> str:
    """What reads a file and which places it has: two files of which this is the same need not both be damaged. Denoisers,
    schedulers and indices are each family's own."""
    name = file.split("/")[-1]
    if not file.startswith(("tokenizer", "text_encoder", "vae")):
        return f"{folder} {file}"
    content = json.loads((folder / file).read_text())
    return f"{name} {content.get('architectures')} {list(places_of(content))}"


def drawn(model) -> torch.Tensor:
    return model.sample(["a red house"], [3], 3.0, steps=2)


def drawn_by_diffusers(folder: Path, kind: type, height: int, width: int) -> torch.Tensor | None:
    """None where it cannot. It is told the size: it has no default where a config names none, and the family has."""
    try:
        pipeline = kind.from_pretrained(folder)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline(
            ["a red house"],
            generator=[torch.Generator().manual_seed(3)],
            num_inference_steps=2,
            guidance_scale=3.0,
            height=height,
            width=width,
            output_type="pt",
        ).images
    except Exception:  # noqa: BLE001  # it raises what it likes
        return None


def verdict(folder: Path, kind: type, whole: torch.Tensor) -> str:
    """What is wrong with how a damaged checkpoint was taken; "" where nothing is."""
    try:
        model = ldm_core.load(str(folder), device="cpu", dtype="float32")
    except ValueError as error:
        return "several lines" if "\n" in str(error) else ""
    except Exception as error:  # noqa: BLE001  # which is the fault that is looked for
        return f"{type(error).__name__}: {error}"
    if max(model.height, model.width) > 128:
        return ""
    try:
        picture = drawn(model)
    except FloatingPointError:  # numbers beyond all bounds are said in their own words
        return ""
    if picture.shape == whole.shape and torch.equal(picture, whole):
        return ""
    theirs = drawn_by_diffusers(folder, kind, model.height, model.width)
    if theirs is None:
        return "a picture, where diffusers draws none"
    return "" if theirs.shape == picture.shape and (theirs - picture).abs().max() < 1e-3 else "another picture"


def surveyed(request, tmp_path: Path, name: str, chosen) -> list[str]:
    """The mutants of a family that are not taken as they should be, each with its fault."""
    source, kind = family(request, name)
    shutil.copytree(source, tmp_path / "m", copy_function=os.symlink)
    whole = drawn(ldm_core.load(str(source), device="cpu", dtype="float32"))
    faults = []
    for mutant in chosen(mutants(source)):
        original, path = source / mutant.file, tmp_path / "m" / mutant.file
        path.unlink()
        path.write_text(json.dumps(mutated(json.loads(original.read_text()), mutant)))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        fault = verdict(tmp_path / "m", kind, whole) if not {*mutant.place} & KINDER else ""
        signal.setitimer(signal.ITIMER_PROF, 0)
        if fault:
            faults.append(f"{mutant}: {fault}")
        path.unlink()
        path.symlink_to(original)
    return faults


@pytest.fixture(autouse=True)
def bounded():
    """Over all loads of a test hardly more memory than before; a load that hangs is a failure."""

    def hangs(*_: object) -> None:
        pytest.fail("a load hangs")

    before, former = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, signal.signal(signal.SIGPROF, hangs)
    yield
    signal.signal(signal.SIGPROF, former)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY


@pytest.mark.parametrize("name", list(FAMILIES))
def test_configs_damaged_at_random_are_one_line_or_the_picture_of_diffusers(request, tmp_path, name):
    assert not surveyed(request, tmp_path, name, lambda all_: random.Random(15).sample(all_, SAMPLED))


@pytest.fixture
def sound_parts_once(monkeypatch):
    """Of the thousands of copies of a checkpoint the part that is damaged is read each time, the sound ones, which are links
    to the same files, once: reading them is four fifths of the time."""

    def once(read):
        kept: dict[Any, Any] = {}

        def reading(*arguments: Any):
            place = next(each for each in arguments if isinstance(each, Path))
            files = sorted(place.iterdir()) if place.is_dir() else []
            if not files or not all(path.is_symlink() for path in files):
                return read(*arguments)
            key = (*(each for each in arguments if each is not place), *(path.resolve() for path in files))
            if key not in kept:
                kept[key] = read(*arguments)
            return kept[key]

        return reading

    network = once(checkpoint.network)
    for module in (checkpoint, loading):
        monkeypatch.setattr(module, "network", network)
    monkeypatch.setattr(checkpoint, "load_tokenizer", once(checkpoint.load_tokenizer))
    monkeypatch.setattr(loading.load_autoencoder, "__defaults__", ("cpu", network))


@pytest.mark.fuzz
@pytest.mark.usefixtures("sound_parts_once")
@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_config_damaged_everywhere_is_one_line_or_the_picture_of_diffusers(request, tmp_path, name):
    before = list(FAMILIES)[: list(FAMILIES).index(name)]
    known = {
        read_alike(folder, path.relative_to(folder).as_posix())
        for folder, _ in (family(request, each) for each in before)
        for path in folder.rglob("*.json")
    }

    def chosen(all_: list[Mutant]) -> list[Mutant]:
        folder, _ = family(request, name)
        files: dict[str, str] = {}  # by what reads them: the first of each
        for file in dict.fromkeys(mutant.file for mutant in all_):
            files.setdefault(read_alike(folder, file), file)
        own = {file for alike, file in files.items() if alike not in known}
        left = [mutant for mutant in all_ if mutant.file in own]
        return random.Random(15).sample(left, len(left) // int(os.environ.get("LDM_FUZZ_EVERY", "1")))

    assert not surveyed(request, tmp_path, name, chosen)


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("unet", {"layers_per_block": 10**9}),
        ("unet", {"layers_per_block": 90, "transformer_layers_per_block": 90}),
        ("unet", {"block_out_channels": [32] * 5000}),
        ("vae", {"layers_per_block": 5000}),
        ("text_encoder", {"num_hidden_layers": 10**7}),
        ("text_encoder", {"max_position_embeddings": 10**10}),
        ("text_encoder", {"text_config": {"num_hidden_layers": 10**7}}),
    ],
)
def test_a_config_that_asks_for_more_than_its_weights_hold_is_refused_before_anything_is_built(
    tiny_folder, tmp_path, part, values
):
    shutil.copytree(tiny_folder, tmp_path / "m")
    path = tmp_path / "m" / part / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    with pytest.raises(ValueError, match=r"config\.json: .*(at the most|more layers than its)") as caught:
        ldm_core.load(str(tmp_path / "m"), device="cpu")
    signal.setitimer(signal.ITIMER_PROF, 0)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_is_to_have_a_million_million_tokens_is_refused_before_it_makes_them(
    tiny_sd3_folder, tmp_path
):
    shutil.copytree(tiny_sd3_folder, tmp_path / "m")
    path = tmp_path / "m" / "tokenizer_3" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"extra_ids": 10**12}))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    with pytest.raises(ValueError, match="tokenizer_config.json: extra_ids is 1000000000000, 1000000 is the most"):
        ldm_core.load(str(tmp_path / "m"), device="cpu")
    signal.setitimer(signal.ITIMER_PROF, 0)


@pytest.mark.parametrize(("name", "place"), [("sd3", ("out_channels",)), ("sd", ("sample_size",))])
def test_what_a_denoisers_config_may_leave_empty_is_the_familys_own(request, tmp_path, name, place):
    file = "transformer/config.json" if name == "sd3" else "unet/config.json"
    assert not surveyed(request, tmp_path, name, lambda _: [Mutant(file, place, "null"), Mutant(file, place, "gone")])
