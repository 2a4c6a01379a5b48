"""Ways to draw that had equal time: distances from real pictures, each with its interval, and their differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from ..statistics import Jackknifed


def budgets_of(text: str) -> list[float]:
    """Minutes, rising, of "0.5,1.5". ValueError in one line for anything else."""
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or found[0] <= 0:
        raise ValueError(f'--minutes must be positive numbers with commas between, such as "0.5,1.5", got {text!r}')
    return found


def distance_row(found: Jackknifed) -> dict[str, float | int | None]:
    """value, low, high and n of a distance."""
    return found.estimate().columns()


def apart(sides: Mapping[object, Jackknifed], plain: object, metric: str, name: str) -> pd.DataFrame:
    """Each side's distance minus that of `plain`, Holm-adjusted over them; `name` is the column that tells sides apart."""
    import pandas as pd

    from ..catalogue import METRICS
    from ..comparisons import paired_statistics
    from ..metrics.differences import with_verdicts

    others = [side for side in sides if side != plain]
    known = [{name: side, "value": sides[side].value, "plain": sides[plain].value} for side in others]
    pairs = [(row, paired_statistics(sides[plain], sides[side])) for row, side in zip(known, others)]
    return pd.DataFrame(with_verdicts(pairs, METRICS[metric], [(str(plain), str(side)) for side in others]))
