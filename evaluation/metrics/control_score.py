"""The score of pictures against their control images: what control.py measures, by its name of the catalogue."""

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
class ControlScore(ImageScore):
    """The iou of the silhouettes that a control image asks for and those that a world's reader sees in the picture."""

    captions: bool = False
    of: str  # the world whose reader it is

    def obstacle(self, images: ImageSet, autoencoder: Reconstructions | None = None) -> str | None:
        if "control_image" not in images.table:
            return "no picture was steered: --control and --control-images do that"
        return super().obstacle(images, autoencoder)

    def instrument(
        self, resize: str, device: str, downloads: Downloads, autoencoder: Reconstructions | None = None
    ) -> Detector:
        raise ValueError(OF_A_RUN)
