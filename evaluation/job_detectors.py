"""What measures a run's pictures against the files that they were made of: start images, masks, control images."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from .config import RunConfig
from .detectors.detector import Detector, load_detector
from .detectors.silhouettes import load_silhouette_reader
from .downloads import Downloads
from .generation.jobs import Job
from .generation.starts import protocol_of_starts
from .generation.steering import protocol_of_steering
from .metrics.control import ControlDetector
from .metrics.control_score import ControlScore
from .metrics.inside import InsideDetector
from .metrics.inside_score import InsideScore
from .metrics.metric import Metric
from .metrics.start import StartDetector
from .metrics.start_score import StartScore


def job_detectors(
    metrics: Sequence[Metric], config: RunConfig, jobs: Sequence[Job], device: str, downloads: Downloads
) -> dict[str, Detector]:
    """By the names that the metrics have for them; none for a metric of other things."""
    of_prompt = {job.prompt.id: job for job in jobs}
    starts = {place: job.start for place, job in of_prompt.items() if job.start is not None}
    controls = {place: job.control for place, job in of_prompt.items() if job.control is not None}
    began, steered = protocol_of_starts(config), protocol_of_steering(config)
    texts, found = {place: job.prompt.text for place, job in of_prompt.items()}, dict[str, Detector]()
    for metric in metrics:
        if isinstance(metric, StartScore) and starts:
            features = load_detector(metric.of, downloads=downloads) if metric.of else None
            found[metric.detector] = StartDetector(starts, began, features)
        elif isinstance(metric, ControlScore) and controls:
            found[metric.detector] = ControlDetector(controls, steered, load_silhouette_reader(metric.of))
        elif isinstance(metric, InsideScore) and config.masks is not None:
            with contextlib.suppress(ValueError):  # a detector that is lacking is told of by the metric
                inner = load_detector(metric.of, device=device, downloads=downloads)
                found[metric.detector] = InsideDetector(starts, texts, began, metric.of, inner)
    return found
