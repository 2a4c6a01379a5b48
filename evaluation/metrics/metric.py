"""What a metric is: an object that says what it needs, computes its rows, and knows its own detector and constants.

An own metric is any object with the attributes and methods of `Metric`. Heavy parts (torch, SciPy) are imported where they
are used, so that the catalogue can name every metric at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from ..comparisons import Difference
    from ..detectors.detector import Detector
    from ..detectors.references import Reference
    from ..downloads import Downloads
    from ..image_set import ImageSet
    from ..statistics import Bounds, Sample
    from .autoencoder import Reconstructions
    from .distance import Target
    from .evidence import Evidence

NEIGHBOURS = {"precision": 3, "recall": 3, "density": 5, "coverage": 5}  # k of the papers and of their programs
OF_A_RUN = "the pictures that its images were made of are known to python -m evaluation.run alone"
NO_FEATURES = "the reference holds mean and covariance alone"
Row = dict[str, Any]  # of summary.csv, but for what is the same for all rows of a run


@dataclass(frozen=True, kw_only=True)
class Metric(ABC):
    """A metric by name; what it needs beside the images stands in the four flags."""

    name: str
    higher_is_better: bool
    detector: str = ""  # whose features or scores it is computed from: a name of detectors/detector.py, or ""

    needs_reference: ClassVar[bool] = False  # statistics of real images, by the same detector
    needs_captions: ClassVar[bool] = False
    needs_autoencoder: ClassVar[bool] = False
    of_generated: ClassVar[bool] = True  # of the images of the set; else of the autoencoder alone

    @property
    def constants(self) -> dict[str, Any]:
        """Every number in its definition that another implementation might choose otherwise."""
        return {}

    def obstacle(self, images: ImageSet, autoencoder: Reconstructions | None = None) -> str | None:
        """Why it cannot be computed of these images (their rows, not their pixels), known before anything is; or None."""
        if self.needs_autoencoder and autoencoder is None:
            return "it needs the autoencoder of one model"
        if self.needs_captions and not any(images.captions):
            return "it scores images against their captions, and none are known"
        return None

    def reference_obstacle(self, reference: Reference) -> str | None:
        """Why a reference does not do for it."""
        return None

    def instrument(
        self, resize: str, device: str, downloads: Downloads, autoencoder: Reconstructions | None = None
    ) -> Detector:
        """Its detector, ready to use; one that is missing is fetched where `downloads` agrees. ValueError where it cannot be."""
        from ..detectors.detector import load_detector

        return load_detector(self.detector, resize, device, downloads)

    @abstractmethod
    def rows(self, evidence: Evidence) -> list[Row]:
        """Its rows of summary.csv: a value for each condition, with its error; then by category, where it knows that."""

    def between(self, evidence: Evidence, first: str, other: Evidence, second: str) -> Difference | None:
        """The value under a condition of another set (or of this one) minus that under a condition of this one, paired, with
        error, interval and p; None where that cannot be."""
        return None

    def sample(self, evidence: Evidence, condition: str) -> Sample | None:
        """What a condition's value and its error are made of, for comparisons that cannot be paired; None where there is none."""
        return None

    def ceiling(self, evidence: Evidence) -> list[Row]:
        """What real images would score, where it is known: a row, or none."""
        return []


@dataclass(frozen=True, kw_only=True)
class Distance(Metric):
    """A set of features beside a reference's. Its error is the delete-block jackknife's over prompts."""

    needs_reference: ClassVar[bool] = True
    needs_features: ClassVar[bool] = True  # of the reference: its mean and covariance alone do not do

    @abstractmethod
    def target(self, reference: Reference) -> Target:
        """What features are measured against, the work on the reference done once."""

    unbiased: ClassVar[bool] = False  # whether its interval is about the distance itself, or about the value at this n

    def note(self, n: int, dimension: int) -> str:
        """What a reader must know of a value from n images in so many dimensions."""
        return ""

    def obstacle(self, images: ImageSet, autoencoder: Reconstructions | None = None) -> str | None:
        from .distance import TOO_FEW, enough_images

        return None if enough_images(images) else TOO_FEW

    def reference_obstacle(self, reference: Reference) -> str | None:
        return NO_FEATURES if self.needs_features and reference.features is None else None

    def rows(self, evidence: Evidence) -> list[Row]:
        from .distance import distance_rows

        return distance_rows(self, evidence)

    def between(self, evidence: Evidence, first: str, other: Evidence, second: str) -> Difference | None:
        from .differences import of_distances

        return of_distances(evidence.distances(self)[first], other.distances(self)[second])

    def sample(self, evidence: Evidence, condition: str) -> Sample | None:
        return evidence.distances(self)[condition].sample


@dataclass(frozen=True, kw_only=True)
class FrechetDistance(Distance):
    """Of Gaussians fitted to both (Heusel et al. 2017); biased upwards at small n."""

    needs_features: ClassVar[bool] = False

    @property
    def constants(self) -> dict[str, Any]:
        return {"covariance": "unbiased (n - 1)"}

    def target(self, reference: Reference) -> Target:
        from .frechet import FrechetReference

        return FrechetReference(reference.mean, reference.covariance)

    def note(self, n: int, dimension: int) -> str:
        return f"n/d = {n / dimension:.1f}: biased upwards, compare at equal n only"


@dataclass(frozen=True, kw_only=True)
class KernelDistance(Distance):
    """Squared maximum mean discrepancy with the kernel (x.y / d + 1)^3, unbiased (Binkowski et al. 2018); pairs of images of
    one prompt are left out."""

    unbiased: ClassVar[bool] = True

    @property
    def constants(self) -> dict[str, Any]:
        return {"kernel": "polynomial", "degree": 3, "gamma": "1 / dimension", "coef0": 1, "estimator": "unbiased"}

    def target(self, reference: Reference) -> Target:
        from .kernel import KernelReference

        return KernelReference(_features(self, reference), "kernel")


@dataclass(frozen=True, kw_only=True)
class Cmmd(Distance):
    """1000 times the squared discrepancy with a Gaussian kernel, every pair counted (Jayasumana et al. 2024)."""

    @property
    def constants(self) -> dict[str, Any]:
        from .kernel import WIDTH

        return {"kernel": "gaussian", "sigma": WIDTH, "scale": 1000, "estimator": "every pair", "features": "length 1"}

    def target(self, reference: Reference) -> Target:
        from .kernel import KernelReference

        return KernelReference(_features(self, reference), "cmmd")


@dataclass(frozen=True, kw_only=True)
class Neighbours(Distance):
    """One of the four shares by nearest neighbours: `statistic` is its name in neighbours.py."""

    statistic: str
    k: int

    @property
    def constants(self) -> dict[str, Any]:
        return {"k": self.k}

    def target(self, reference: Reference) -> Target:
        from .neighbours import NeighbourReference

        return NeighbourReference(_features(self, reference), self.statistic, self.k)


@dataclass(frozen=True, kw_only=True)
class ImageScore(Metric):
    """A score an image, by its detector, in a column of its own name; errors are over prompts."""

    reads: Callable[[str], object] | None = None  # None for a prompt that the metric has nothing to say about
    nothing_read: str = ""  # the reason where that is so of every prompt
    captions: bool = True  # whether it is against the captions
    bounds: Bounds | None = None  # between which every score lies
    has_ceiling: bool = False  # whether the detector knows what real images score
    autoencoder: bool = False  # whether the model's autoencoder stands in the detector's place

    @property
    def needs_captions(self) -> bool:  # type: ignore[override]  # a field of the base, worked out here
        return self.captions

    @property
    def needs_autoencoder(self) -> bool:  # type: ignore[override]  # a field of the base, worked out here
        return self.autoencoder

    def obstacle(self, images: ImageSet, autoencoder: Reconstructions | None = None) -> str | None:
        if why := super().obstacle(images, autoencoder):
            return why
        if self.reads is not None and all(self.reads(caption) is None for caption in set(images.captions)):
            return self.nothing_read
        return None

    def instrument(
        self, resize: str, device: str, downloads: Downloads, autoencoder: Reconstructions | None = None
    ) -> Detector:
        if not self.autoencoder or autoencoder is None:
            return super().instrument(resize, device, downloads)
        from .autoencoder import AutoencoderDetector

        return AutoencoderDetector(autoencoder.model)

    def rows(self, evidence: Evidence) -> list[Row]:
        from .scoring import score_rows

        return score_rows(self, evidence)

    def between(self, evidence: Evidence, first: str, other: Evidence, second: str) -> Difference | None:
        from .differences import of_means
        from .scoring import finite_scores

        sides = evidence.scores(self.name, first), other.scores(self.name, second)
        return of_means(finite_scores(sides[0]), finite_scores(sides[1]), self.bounds)

    def sample(self, evidence: Evidence, condition: str) -> Sample | None:
        from .scoring import sample_of

        return sample_of(evidence.scores(self.name, condition), self.bounds)

    def ceiling(self, evidence: Evidence) -> list[Row]:
        from .rows import row

        if not self.has_ceiling:
            return []
        value, note = evidence.detectors[self.detector].ceiling(self.name)
        return [row(self, value, name=f"{self.name}_ceiling", note=note)]


@dataclass(frozen=True, kw_only=True)
class AutoencoderScore(Metric):
    """What an autoencoder keeps of real images: one row, whatever the condition. Its detector measures a distance."""

    of_generated: ClassVar[bool] = False
    needs_autoencoder: ClassVar[bool] = True
    numbers: tuple[tuple[str, Any], ...] = ()  # its constants

    @property
    def constants(self) -> dict[str, Any]:
        return dict(self.numbers)

    def obstacle(self, images: ImageSet, autoencoder: Reconstructions | None = None) -> str | None:
        if autoencoder is None:
            return super().obstacle(images, autoencoder)
        return autoencoder.obstacle(self)

    def rows(self, evidence: Evidence) -> list[Row]:
        assert evidence.autoencoder is not None, "its obstacle says so"
        return evidence.autoencoder.rows(self)


def _features(metric: Metric, reference: Reference) -> Any:
    """The features (k, d) that a reference keeps; ValueError where it has none."""
    if reference.features is None:
        raise ValueError(f"{metric.name}: {NO_FEATURES}")
    return reference.features
