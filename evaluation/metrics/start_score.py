"""Scores of pictures against the images that they began at: what start.py measures, by the names of the catalogue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .metric import OF_A_RUN, ImageScore, Row

if TYPE_CHECKING:
    from ..comparisons import Difference
    from ..detectors.detector import Detector
    from ..downloads import Downloads
    from ..image_set import ImageSet
    from .autoencoder import Reconstructions
    from .evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class StartScore(ImageScore):
    """A score of a picture against its start. One of equal pictures is infinite: no mean holds it, and the row says so."""

    captions: bool = False
    of: str = ""  # the detector whose features are compared; "" for pixels
    masked: bool = False  # whether it is of what a mask keeps

    def obstacle(self, images: ImageSet, autoencoder: Reconstructions | None = None) -> str | None:
        if "start" not in images.table:
            return "no picture began at a start image: --init-images gives them"
        if self.masked and "mask" not in images.table:
            return "nothing is masked: --masks gives that"
        return None

    def instrument(
        self, resize: str, device: str, downloads: Downloads, autoencoder: Reconstructions | None = None
    ) -> Detector:
        raise ValueError(OF_A_RUN)

    def rows(self, evidence: Evidence) -> list[Row]:
        import numpy as np

        from ..statistics import Estimate
        from .rows import row

        images, found = evidence.images, []
        for condition in images.conditions:
            scores = evidence.scores(self.name, condition).dropna()
            if not len(scores):
                continue
            infinite = int(np.isinf(scores).sum())
            sample = self.sample(evidence, condition)
            estimate = Estimate(math.inf, len(scores)) if sample is None else sample.estimate()
            note = f"infinite, equal to the last bit, in {infinite} of {len(scores)} images" if infinite else ""
            note += ", which the mean leaves out" if infinite and sample is not None else ""
            found.append(row(self, estimate, images.values(condition), condition, note=note))
        return found

    def between(self, evidence: Evidence, first: str, other: Evidence, second: str) -> Difference | None:
        from .differences import of_means
        from .scoring import finite_scores

        finite = [finite_scores(evidence.scores(self.name, first)), finite_scores(other.scores(self.name, second))]
        return of_means(finite[0], finite[1], self.bounds) if all(map(len, finite)) else None
