"""Images in, tables and a report out: `from evaluation import evaluate`.

found = evaluate("my_images", ["clip_scenes", my_metric], prompts="prompts/scenes.txt")
found.summary, found.images, found.differences     # DataFrames, as summary.csv, images.csv and differences.csv
found.report("report.html")
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ldm_core.checks import check_whole
from ldm_core.placement import choose_device
from ldm_core.settings import SamplingSettings

from .bounds import MOST_IMAGES
from .detectors.feature_cache import cache_file, identity, parts
from .downloads import NO_DOWNLOADS, Downloads
from .findings import Evaluation
from .folders import AXIS, Examined, Folder, drawn, examined, read_folder, side_by_side, twins
from .image_set import ImageSet
from .image_sources import Drawing, Source, listed_prompts, named_sources
from .instruments import Instruments
from .metrics.differences import differences
from .metrics.scoring import gather_evidence, tabulate
from .own import Asked, ScoreDetector, resolve
from .paths import portable
from .report import tables
from .run_facts import machine
from .set_facts import SetFacts

COST = ["stage", "condition", "images", "seconds", "network_seconds"]


def evaluate(
    image_set: Source | Sequence[Source] | Mapping[str, Source],
    metrics: Sequence[Asked],
    reference: str | Path | None = None,
    prompts: str | Path | Sequence[str] | None = None,
    *,
    settings: SamplingSettings | None = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    images_per_prompt: int = 1,
    seed: int = 0,
    batch_size: int = 16,
    captions: str = "auto",
    pairing: str = "auto",
    limit: int | None = None,
    shuffle: bool = False,
    resize: str = "clean",
    device: str | None = None,
    out: str | Path | None = None,
    world: str = "",
    asked_for: bool = True,
    downloads: Downloads = NO_DOWNLOADS,
    command: str = "",
) -> Evaluation:
    """Score images by metrics.

    image_set   a folder, a run's folder, or any function (prompts, seeds, settings) -> images (B, 3, H, W) in [0, 1]: an own
                model or an own sampler; several as a list or by name, which are then compared, paired where prompts and
                seeds agree. A function needs `prompts`; `settings`, `sweep`, `images_per_prompt`, `seed` and `batch_size`
                are for functions alone
    metrics     names of the catalogue, own metrics or own detectors: see own.py
    reference   of distances: a folder of real images or a file of statistics
    prompts     a file or a list; folders pair with them as captions.py says, `captions` and `pairing` being its options
    limit       only so many prompts, drawn at random by `seed` with `shuffle`
    world       the drawn world that the images are of (a name of worlds.DRAWN), whose detector reads them by metrics called
                after scenes, and whose drawings are the reference where a detector has no other
    out         a folder for features and drawn images, found again by the next call; without it they go with the result

    ValueError, before any image is scored, for what cannot be done. A metric that cannot be computed stops it too, unless
    `asked_for` is false: it is then a row that says why.
    """
    listed = listed_prompts(prompts)
    own_settings = SamplingSettings() if settings is None else settings
    drawing = Drawing(listed, own_settings, sweep or {}, images_per_prompt, seed, batch_size)
    limit = None if limit is None else check_whole("limit", limit, 1, MOST_IMAGES)
    resolved, own = resolve(metrics, world)
    held = tempfile.TemporaryDirectory(prefix="evaluate-", ignore_cleanup_errors=True) if out is None else None
    kept = Path(out or held.name)  # type: ignore[union-attr]  # one of the two is there
    texts = Path(prompts) if isinstance(prompts, str | Path) else listed
    folders = {
        name: read_folder(Path(source), texts, captions, pairing)
        if isinstance(source, str | Path)
        else drawing.folder(source, kept / "images" / f"{place:02d}")
        for place, (name, source) in enumerate(named_sources(image_set).items())
    }
    together = side_by_side({name: one.images for name, one in folders.items()})
    found = examined(drawn(together, limit, shuffle, drawing.seed))
    instruments = Instruments(
        resolved,
        found.images,
        asked_for=asked_for,
        reference=None if reference is None else Path(reference),
        kept=kept / "references",
        resize=resize,
        device=choose_device(device),
        own=own,
        world=world,
        downloads=downloads,
    )
    return replace(_score(found, instruments, kept / "features", folders, command), held=held)


def _score(
    found: Examined, instruments: Instruments, cache: Path, folders: Mapping[str, Folder], command: str
) -> Evaluation:
    """Tables of the images that can be read."""
    images = found.images
    began, spent = time.perf_counter(), []
    evidence = gather_evidence(
        images,
        instruments.computed,
        instruments.detectors,
        instruments.references,
        cache,
        log=lambda part, count, seconds, network: spent.append((count, seconds, network)),
    )
    assert evidence is not None  # this is the only process
    _forget_own(images, instruments, cache)
    scores = tabulate(evidence, instruments.metrics, instruments.obstacles)
    seconds, network = (sum(row[part] for row in spent) for part in (1, 2))
    cost = pd.DataFrame(
        [
            ("detectors", "", sum(row[0] for row in spent), seconds, network),
            ("tables", "", len(images), time.perf_counter() - began - seconds, 0.0),
        ],
        columns=COST,
    )
    facts = _facts(found, instruments, folders, command)
    computed = [metric for metric in instruments.computed if metric.of_generated]
    summary = tables.summary_table(scores.rows, {}, scores.images)
    absent = [name for name in ("guidance_scale",) if name not in scores.images.table]
    return Evaluation(
        summary.drop(columns=absent),
        scores.images.table,
        differences(evidence, computed, or_unpaired=True),
        cost,
        facts,
        scores.images.axes,
    )


def _forget_own(images: ImageSet, instruments: Instruments, cache: Path) -> None:
    """Scores of own metrics that do not say what they are must not be found again."""
    for name, detector in instruments.detectors.items():
        if isinstance(detector, ScoreDetector) and not getattr(detector.metric, "sha256", ""):
            for part, _ in parts(images):
                cache_file(cache, part, name, identity(detector.sha256, detector.resize)).unlink(missing_ok=True)


def _facts(found: Examined, instruments: Instruments, folders: Mapping[str, Folder], command: str) -> SetFacts:
    images = found.images
    prompts = [caption for caption in dict.fromkeys(images.captions) if caption]
    return SetFacts(
        sets={
            name: {
                "images": len(one.images),
                "captions": one.captions,
                "folder": portable(one.images.root),
            }
            for name, one in folders.items()
        },
        image_count=len(images),
        prompt_count=len(prompts),
        notes=_notes(found, folders),
        unreadable=found.unreadable,
        flat_images=found.flat,
        command=command,
        device=instruments.device,
        **instruments.facts(prompts),
        **machine(),
    )


def _notes(found: Examined, folders: Mapping[str, Folder]) -> list[str]:
    images, unreadable = found.images, found.unreadable
    notes = [f"Captions of {name}: {one.captions}." for name, one in folders.items()]
    if unreadable:
        shown = ", ".join(unreadable[:5]) + (", ..." if len(unreadable) > 5 else "")
        notes.append(f"{len(unreadable)} files could not be read as images and are left out: {shown}.")
    if len(images.conditions) > 1 and AXIS in images.axes:
        shared, least = twins(images)
        how = "by prompt and seed, or by name where no seed is known: the seed column then numbers a prompt's images"
        notes.append(
            f"{shared} of {least} images have a twin in every set ({how})."
            if shared
            else "No images are twins, their prompts, seeds and names do not agree: differences are of independent samples."
        )
    return notes
