"""A run's metrics in the tracker that a group already looks at: TensorBoard, or Weights & Biases. Neither is needed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # --help reads the names here, and must not wait for pandas
    import pandas as pd

TRACKERS = ("tensorboard", "wandb")


def check_installed(tracker: str) -> None:
    """ValueError, with what to install, where the tracker's package is not there."""
    try:
        importlib.import_module(tracker)
    except ImportError:
        raise ValueError(f"--log {tracker} needs the package {tracker}: pip install {tracker}") from None


def track(tracker: str, out: Path, summary: pd.DataFrame) -> None:
    """Send every metric over all prompts to a tracker, a scalar `metric/condition` each; its files go below `out`."""
    found = scalars(summary)
    if tracker == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(out / "tensorboard")) as writer:
            for name, value in found.items():
                writer.add_scalar(name, value)
        return
    import wandb

    with wandb.init(project="evaluation", name=out.name, dir=str(out)) as run:
        run.log(found)


def scalars(summary: pd.DataFrame) -> dict[str, float]:
    """The values of summary.csv by metric and condition; those of no condition by the metric alone."""
    from .report.tables import whole

    rows = whole(summary)
    names = [f"{row.metric}/{row.condition}" if row.condition else row.metric for row in rows.itertuples()]
    return dict(zip(names, map(float, rows["value"])))
