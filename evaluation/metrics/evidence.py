"""What metrics are computed from: an image set with the scores and features that detectors extracted of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..detectors.references import Reference
from ..image_set import PAIR, ImageSet
from .autoencoder import Reconstructions
from .distance import DistanceEstimate, estimate_distances
from .metric import Distance


@dataclass
class Evidence:
    """Features (len(images), d), references and detectors go by the detector's name."""

    images: ImageSet  # a column for each per-image score
    features: Mapping[str, np.ndarray] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    detectors: Mapping[str, Any] = field(default_factory=dict)
    autoencoder: Reconstructions | None = None
    _distances: dict[str, dict[str, DistanceEstimate]] = field(default_factory=dict)

    def distances(self, metric: Distance) -> dict[str, DistanceEstimate]:
        """Each condition's distance, computed once."""
        if metric.name not in self._distances:
            target = metric.target(self.references[metric.detector])
            self._distances[metric.name] = estimate_distances(self.images, self.features[metric.detector], target)
        return self._distances[metric.name]

    def scores(self, name: str, condition: str) -> pd.Series:
        """A condition's scores of a column, by prompt and seed."""
        return self._tables[condition][name]

    @functools.cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        """Each condition's images by prompt and seed."""
        return {str(condition): part.set_index(PAIR) for condition, part in self.images.table.groupby("condition")}
