"""What an image set is measured with: the detectors and references that metrics need, and the metrics that cannot be computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .detectors.detector import Detector
from .detectors.reference_files import read_stored
from .detectors.reference_sources import load_reference
from .detectors.references import Reference
from .downloads import NO_DOWNLOADS, Downloads
from .image_set import ImageSet
from .metrics.autoencoder import Reconstructions
from .metrics.metric import Metric
from .paths import without_home
from .processes import Processes


class Instruments:
    """Made ready before anything is computed; only what the metrics need is loaded.

    A metric `asked_for` stops the command where it cannot be computed (ValueError); one of the defaults is noted in
    `obstacles`, with the reason. A detector that is missing is fetched where `downloads` agrees.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        images: ImageSet,
        *,
        asked_for: bool = True,
        earlier: Sequence[Metric] = (),
        reference: Path | None = None,
        kept: Path | None = None,
        resize: str = "clean",
        device: str = "cpu",
        autoencoder: Reconstructions | None = None,
        own: Mapping[str, Detector] | None = None,
        processes: Processes | None = None,
        measure_references: bool = True,
        world: str = "",
        downloads: Downloads = NO_DOWNLOADS,
    ):
        """`kept` is a folder for the references made of `reference`; without `measure_references` one that would have to be
        made of images first is passed over. `world` is what the model draws: its pictures are the reference where there is
        no other. `own` are detectors that no name stands for. `earlier` are metrics of tables that are there already: they
        stay, with a reason where they cannot be computed any more."""
        self.metrics, self.images = [*metrics, *earlier], images
        self.asked_for = {metric.name for metric in metrics} if asked_for else set()
        self.source, self.kept, self.measure_references = reference, kept, measure_references
        self.resize, self.device, self.autoencoder = resize, device, autoencoder
        self.processes, self.world, self.downloads = processes or Processes(), world, downloads
        if reference is not None and not reference.is_dir():
            read_stored(reference)  # a damaged one stops the command, whatever the metrics are
        self.detectors: dict[str, Detector] = dict(own or {})
        self.references: dict[str, Reference] = {}
        self.obstacles: dict[str, str] = {}
        for metric in self.metrics:
            self._prepare(metric)
        self.obstacles = self.processes.broadcast(self.obstacles)  # one process alone loads references
        if autoencoder is not None:
            autoencoder.prepare(self.computed, self.detectors)

    @property
    def computed(self) -> list[Metric]:
        """The metrics without an obstacle."""
        return [metric for metric in self.metrics if metric.name not in self.obstacles]

    def facts(self, prompts: Sequence[str]) -> dict[str, Any]:
        """What run.json says of the instruments, and of what they cannot read of the prompts."""
        readers: dict[str, Callable[[str], bool]] = {
            name: detector.is_truncated
            for name, detector in self.detectors.items()
            if hasattr(detector, "is_truncated")
        }
        return {
            "metrics": [metric.name for metric in self.metrics],
            "constants": {metric.name: metric.constants for metric in self.metrics if metric.constants},
            "not_computed": self.obstacles,
            "detectors": {
                name: {"name": detector.name, "sha256": detector.sha256, "resize": detector.resize}
                for name, detector in self.detectors.items()
            },
            "references": {
                name: {"words": without_home(reference.words), **reference.protocol}
                for name, reference in self.references.items()
            },
            "truncated_by_detectors": {name: sum(map(reads, prompts)) for name, reads in readers.items()},
        }

    def _prepare(self, metric: Metric) -> None:
        try:
            self.processes.first_then_all(lambda: self._check(metric))  # one process alone asks, and fetches
            if metric.detector and metric.detector not in self.detectors:
                self.detectors[metric.detector] = self._detector(metric)
            if metric.needs_reference:
                self._prepare_reference(metric)
        except ValueError as error:
            if metric.name in self.asked_for:
                raise ValueError(f"--metrics {metric.name} cannot be computed: {error}") from None
            self.obstacles[metric.name] = without_home(str(error))

    def _check(self, metric: Metric) -> None:
        if why := metric.obstacle(self.images, self.autoencoder):
            raise ValueError(why)

    def _detector(self, metric: Metric) -> Detector:
        made_with = (self.resize, self.device, self.downloads, self.autoencoder)
        return self.processes.first_then_all(lambda: metric.instrument(*made_with))

    def _prepare_reference(self, metric: Metric) -> None:
        name, ships = metric.detector, hasattr(self.detectors[metric.detector], "weights")
        of_images = not ships if self.source is None else self.source.is_dir()
        if not self.processes.first or (of_images and not self.measure_references):
            return  # one process measures; and to look at every image would take long
        if name not in self.references:
            file = None if self.kept is None else self.kept / f"{name}.npz"
            self.references[name] = load_reference(self.detectors[name], self.source, file, self.world, self.downloads)
        if why := metric.reference_obstacle(self.references[name]):
            raise ValueError(why)
