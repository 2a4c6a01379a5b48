"""A finished run, as its folder holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldm_core.settings import FIELDS

from .detectors.detector import load_detector
from .detectors.feature_cache import cache_file, identity, read_cache
from .detectors.reference_sources import load_reference
from .detectors.references import stored_reference
from .generation.axes import MODEL, WORDING, as_value
from .image_set import PAIR, ImageSet
from .metrics.evidence import Evidence
from .metrics.metric import Metric
from .run_facts import FILE, RunFacts
from .run_folder import read_table

OF_COMMAND = ("run_seed", "compiled", "engine")  # of the protocol, beside the settings


@dataclass(frozen=True)
class Finished:
    """Its facts, its images with their scores, and its rows of summary.csv."""

    folder: Path
    facts: RunFacts
    images: ImageSet
    summary: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Finished:
        """ValueError where the folder is no finished run."""
        try:
            facts = RunFacts.read(folder)
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder} is no finished run: {error}") from None
        summary = read_table(folder / "summary.csv", ("metric", "value"), ("value", "n", "se", "low", "high"))
        images = ImageSet.read(folder, facts.axes)
        read_table(folder / "images.csv", facts.axes, facts.metrics)
        if len(images) != facts.image_count:
            raise ValueError(
                f"{folder} is no finished run: images.csv has {len(images)} images, {FILE} says {facts.image_count}; run the "
                "command again"
            )
        return cls(folder, facts, images, summary)

    @property
    def metrics(self) -> list[str]:
        """Those that it has a value of."""
        return [name for name in self.facts.metrics if name not in self.facts.not_computed]

    def places(self, axes: Sequence[str]) -> dict[tuple, str]:
        """Its conditions by their value on each of some axes, read off the settings where it did not vary one."""
        settings = {condition.label: condition for condition in self.facts.conditions}
        found = {}
        for label in self.images.conditions:
            values: dict[str, Any] = dict(self.images.values(label))
            if label in settings:
                made = settings[label]
                known = {name: as_value(made.settings[name]) for name in FIELDS} | {WORDING: made.wording}
                values = known | {MODEL: made.model or self.facts.model} | values
            found[tuple(values.get(axis) for axis in axes)] = label
        return found

    def pairs(self, condition: str) -> set[tuple]:
        """Prompt and seed of each image under a condition: what another run's are paired by."""
        table = self.images.table[self.images.under(condition)]
        return set(table[PAIR].itertuples(index=False, name=None))

    def features(self, name: str) -> np.ndarray:
        """Per-image features (images, d) by a detector, in the order of images.csv."""
        who = identity(self.facts.detectors[name]["sha256"], self.facts.detectors[name]["resize"])
        known: dict[tuple[str, str], np.ndarray] = {}
        for part in dict.fromkeys(path.parent.name for path in self.images.paths):
            file = cache_file(self.folder / "features", part, name, who)
            found = read_cache(file, who)
            if not found:
                raise ValueError(
                    f"{self.folder} has lost its features ({file.name}); run the evaluation again to score it"
                )
            known |= {(part, key): features for key, (features, _) in found.items()}
        return np.stack([known[path.parent.name, path.name] for path in self.images.paths])

    def evidence(self, metric: Metric) -> Evidence:
        """What the metric is computed from."""
        if not metric.needs_reference:
            return Evidence(self.images)
        name = metric.detector
        kept = self.folder / "references" / f"{name}.npz"
        reference = stored_reference(kept) if kept.exists() else load_reference(load_detector(name))
        return Evidence(self.images, {name: self.features(name)}, {name: reference})

    def described(self) -> dict[str, str]:
        """What made its images, in words: every setting, the weights, the precision, the seed, the machine's part."""
        facts = self.facts
        settings = {name: facts.setting(name) for name in FIELDS if name in facts.protocol or facts.conditions}
        made = {name: str(facts.protocol.get(name)) for name in OF_COMMAND if name in facts.protocol}
        made |= {"weights": str(facts.protocol.get("weights"))[:12], "dtype": str(facts.protocol.get("dtype"))}
        if "configs" in facts.protocol:
            made["configs"] = str(facts.protocol["configs"])[:12]
        machine = {"device": facts.device, "threads": str(facts.threads)}
        libraries = {f"{name} (version)": value for name, value in facts.versions.items()}
        parts = {"model": facts.model, "vae": str(facts.vae), "lora": str(facts.lora)}
        return parts | settings | made | machine | libraries


def axes_of(runs: Sequence[Finished]) -> list[str]:
    """Every axis that any of the runs varied, the guidance scale first."""
    axes = dict.fromkeys(axis for run in runs for axis in run.images.axes)
    return sorted(axes, key=lambda name: name != "guidance_scale")
