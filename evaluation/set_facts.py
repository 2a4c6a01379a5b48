"""What run.json holds of images that were scored and not made here, and what a report says of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ldm_core.files import write_whole

from .paths import clean_json

FILE = "score.json"  # not run.json: the folder is no run that could go on drawing


def measured_by(detectors: Mapping[str, Mapping[str, str]], references: Mapping[str, Mapping[str, Any]]) -> str:
    """In sentences, what features, scores and distances are by: each detector with its hash, and its resizing where it has
    one; each reference in its own words."""
    written = ""
    if detectors:
        facts = [(one["name"], [one["sha256"][:12], one["resize"]]) for one in detectors.values()]
        known = [f"{name} ({', '.join(filter(None, more))})" if any(more) else name for name, more in facts]
        written += f" Features and scores are by {', '.join(known)}."
    if references:
        words = "; ".join(f"{name}: {reference['words']}" for name, reference in references.items())
        written += f" Distances are to reference statistics ({words})."
    return written


@dataclass(frozen=True)
class SetFacts:
    """The keys of score.json."""

    sets: Mapping[str, Mapping[str, Any]]  # by name: folder, images, captions in words
    image_count: int
    prompt_count: int
    metrics: list[str]
    notes: list[str] = field(default_factory=list)  # what a reader must know beside the metrics' own
    not_computed: dict[str, str] = field(default_factory=dict)
    detectors: dict[str, dict[str, str]] = field(default_factory=dict)
    references: dict[str, dict[str, Any]] = field(default_factory=dict)
    truncated_by_detectors: dict[str, int] = field(default_factory=dict)
    constants: dict[str, dict[str, Any]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)  # files that were left out
    flat_images: list[str] = field(default_factory=list)
    command: str = ""
    device: str = "cpu"
    threads: int = 0
    machine: str = ""
    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    commit: str | None = None

    @property
    def title(self) -> str:
        """Of the report."""
        return ", ".join(self.sets)

    @property
    def lead(self) -> str:
        """What was scored, in one sentence."""
        return (
            f"{self.image_count} images that were there, of {self.prompt_count} prompts"
            if self.prompt_count
            else f"{self.image_count} images that were there, without captions"
        ) + "; ± is one standard error."

    @property
    def methods(self) -> str:
        """How the figures came about, in a paragraph."""
        written = f"We scored {self.image_count} images"
        written += f" of {self.prompt_count} prompts." if self.prompt_count else "."
        return (written + measured_by(self.detectors, self.references)) + (
            " Errors are standard errors: over prompts for means, by a delete-block jackknife over prompts for distances; "
            "p values are adjusted by Holm's method within a metric. Software: "
            + ", ".join(f"{name} {number}" for name, number in self.versions.items())
            + "."
        )

    def same_settings(self, axes: Sequence[str]) -> dict[str, object]:
        """Of a model, and none is known here."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """The object for score.json; no home folder in it."""
        return clean_json(dataclasses.asdict(self))

    def write(self, folder: Path) -> None:
        """Into a folder of results, whole or not at all."""
        write_whole(folder / FILE, json.dumps(self.to_json(), indent=1, ensure_ascii=False))
