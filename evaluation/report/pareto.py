"""The Pareto front: which conditions no other beats in both distance to real images and fit to the prompt.

The FID-CLIP curves of Saharia et al. 2022 (Imagen, figure 4), or their twin by the model's own detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .tables import at_conditions

# Distance and fit, in the order in which a pair is preferred.
PAIRS = (
    ("fid", "clip_score"),
    ("fd_dinov2", "clip_score"),
    ("cmmd", "clip_score"),
    ("fd_scenes", "clip_scenes"),
    ("fd_fashion", "fashion_accuracy"),
)


@dataclass(frozen=True)
class ParetoFront:
    """Conditions that nothing dominates; the knee among them, where three or more make one; the others."""

    distance: str
    fit: str
    points: pd.DataFrame  # indexed by condition, in their order: distance, fit, and their 95 % intervals
    best: list[str]
    knee: str | None

    @property
    def dominated(self) -> list[str]:
        return [condition for condition in self.points.index if condition not in self.best]

    def words(self) -> str:
        """The front in one sentence."""
        best = f"Nothing else has both lower {self.distance} and higher {self.fit} than {_listed(self.best)}"
        knee = f"; the knee is at {self.knee}" if self.knee is not None else ""
        return best + knee + (f"; dominated: {_listed(self.dominated)}." if self.dominated else ".")


def _listed(conditions: Sequence[str]) -> str:
    parted = "; " if any("," in condition for condition in conditions) else ", "
    return parted.join(conditions)


def find_front(summary: pd.DataFrame) -> ParetoFront | None:
    """The front of the first pair of metrics that the summary holds under two conditions or more; None where there is none."""
    rows = at_conditions(summary)
    for distance, fit in PAIRS:
        one, other = (rows[rows["metric"] == name].set_index("condition") for name in (distance, fit))
        columns = ["value", "low", "high"]
        points = one[columns].add_suffix("_distance").join(other[columns].add_suffix("_fit"), how="inner", sort=False)
        if len(points) >= 2:
            best = not_dominated(points["value_distance"], points["value_fit"])
            return ParetoFront(distance, fit, points, best, knee(points.loc[best]))
    return None


def not_dominated(distance: pd.Series, fit: pd.Series) -> list[str]:
    """Those of an index that no other beats in one (lower distance, higher fit) without losing in the other."""
    kept = []
    for condition in distance.index:
        no_worse = (distance <= distance[condition]) & (fit >= fit[condition])
        better = (distance < distance[condition]) | (fit > fit[condition])
        if not (no_worse & better).any():
            kept.append(condition)
    return kept


def knee(points: pd.DataFrame) -> str | None:
    """The condition farthest from the line between the front's ends, both axes brought to [0, 1]; None for fewer than three."""
    if len(points) < 3:
        return None
    ordered = points.sort_values("value_fit")[["value_fit", "value_distance"]]
    places = ordered.to_numpy()
    places = (places - places.min(0)) / np.ptp(places, axis=0)
    along = places[-1] - places[0]
    apart = np.abs(along[0] * (places[:, 1] - places[0, 1]) - along[1] * (places[:, 0] - places[0, 0]))
    return str(ordered.index[int(apart.argmax())])
