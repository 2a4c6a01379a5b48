"""Scores of what masks had drawn anew: what inside.py measures, by the names of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .metric import OF_A_RUN, ImageScore

if TYPE_CHECKING:
    from ..detectors.detector import Detector
    from ..downloads import Downloads
    from ..image_set import ImageSet
    from .autoencoder import Reconstructions


@dataclass(frozen=True, kw_only=True)
class InsideScore(ImageScore):
    """A score of the part of a picture that its mask covers."""

    of: str  # the detector

    def obstacle(self, images: ImageSet, autoencoder: Reconstructions | None = None) -> str | None:
        if "mask" not in images.table:
            return "nothing is masked: --masks gives that"
        return super().obstacle(images, autoencoder)

    def instrument(
        self, resize: str, device: str, downloads: Downloads, autoencoder: Reconstructions | None = None
    ) -> Detector:
        """A run has one of its own unless the detector is lacking; ValueError says why there is none."""
        from ..detectors.detector import load_detector

        load_detector(self.of, resize, device, downloads)
        raise ValueError(OF_A_RUN)
