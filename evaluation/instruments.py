"""What a run measures with: the detectors and references that its metrics need, and the metrics that cannot be computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ldm_core.pipeline import LatentDiffusion

from .catalogue import AUTOENCODER, DEFAULTS, DISTANCE, METRICS, Metric, detectors_of
from .config import RunConfig
from .detectors.detector import Detector, load_detector
from .detectors.reference_sources import load_reference
from .detectors.references import Reference
from .downloads import Downloads
from .generation.jobs import Job
from .generation.prompts import Prompt
from .metrics import autoencoder as reconstruct
from .metrics import scoring as score
from .processes import Processes


class Instruments:
    """Made ready before the first picture; only what the metrics need is loaded.

    A metric asked for stops the command where it cannot be computed (ValueError); one of the defaults is noted in
    `obstacles`, with the reason. Only what is asked for is downloaded.
    """

    def __init__(self, config: RunConfig, model: LatentDiffusion, jobs: Sequence[Job], out: Path, processes: Processes):
        self.config, self.model, self.jobs, self.out, self.processes = config, model, jobs, out, processes
        self.metrics = config.metrics or DEFAULTS[model.spec.world]
        self.detectors: dict[str, Detector] = {}
        self.references: dict[str, Reference] = {}
        self.obstacles: dict[str, str] = {}
        for metric in self.metrics:
            self._prepare(METRICS[metric])
        self.obstacles = processes.told(self.obstacles)  # one process alone loads references

    @property
    def computed(self) -> list[str]:
        """The metrics without an obstacle."""
        return [name for name in self.metrics if name not in self.obstacles]

    @property
    def of_images(self) -> list[str]:
        """Those of them that are of generated images; the others are of the autoencoder alone."""
        return [name for name in self.computed if METRICS[name].kind != AUTOENCODER]

    @property
    def of_autoencoder(self) -> list[str]:
        return [name for name in self.computed if METRICS[name].kind == AUTOENCODER]

    @property
    def looking(self) -> dict[str, Detector]:
        """The detectors that see every generated image."""
        return {name: self.detectors[name] for name in detectors_of(self.of_images)}

    @property
    def photographs(self) -> Path | None:
        """Real images for the autoencoder, where the reference is a folder of them."""
        source = self.config.reference
        return source if source is not None and source.is_dir() else None

    def facts(self, prompts: Sequence[Prompt]) -> dict:
        """What run.json says of the instruments, and of what they cannot read of the prompts."""
        readers = {name: detector for name, detector in self.detectors.items() if hasattr(detector, "is_truncated")}
        return {
            "metrics": list(self.metrics),
            "not_computed": self.obstacles,
            "detectors": {
                name: {"name": detector.name, "sha256": detector.sha256, "resize": detector.resize}
                for name, detector in self.detectors.items()
            },
            "references": {
                name: {"words": reference.words, **reference.protocol} for name, reference in self.references.items()
            },
            "truncated_by_detectors": {
                name: sum(detector.is_truncated(prompt.text) for prompt in prompts)
                for name, detector in readers.items()
            },
        }

    def _prepare(self, metric: Metric) -> None:
        asked_for = self.config.metrics is not None
        try:
            if why := self._obstacle(metric):
                raise ValueError(why)
            if metric.detector and metric.detector not in self.detectors:
                self.detectors[metric.detector] = self._detector(metric.detector, asked_for)
            if metric.kind == DISTANCE:
                self._prepare_reference(metric)
        except ValueError as error:
            if asked_for:
                raise ValueError(f"--metrics {metric.name} cannot be computed: {error}") from None
            self.obstacles[metric.name] = str(error)

    def _obstacle(self, metric: Metric) -> str | None:
        if metric.kind == AUTOENCODER:
            return reconstruct.obstacle(metric.name, self.model, self.photographs)
        return score.obstacle(metric.name, self.jobs)

    def _detector(self, name: str, download: bool) -> Detector:
        if name == "autoencoder":
            return reconstruct.AutoencoderDetector(self.model)
        return load_detector(name, self.config.resize, str(self.model.device), Downloads("yes" if download else "no"))

    def _prepare_reference(self, metric: Metric) -> None:
        name = metric.detector
        if not self.processes.first or (self.config.dry_run and self.photographs):
            return  # one process measures; and to look at every image of a folder would take long
        if name not in self.references:
            self.references[name] = load_reference(
                self.detectors[name], self.config.reference, self.out / "references" / f"{name}.npz"
            )
        if metric.statistic != "frechet" and self.references[name].features is None:
            raise ValueError(score.NO_FEATURES)
