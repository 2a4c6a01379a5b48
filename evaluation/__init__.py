"""Images or prompts in, one report out. `python -m evaluation.run --help`, `python -m evaluation.score --help`, and from
Python `from evaluation import evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .image_evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]


def __getattr__(name: str) -> object:
    """Torch takes seconds to import: only who uses these waits."""
    if name in __all__:
        from . import image_evaluation

        return getattr(image_evaluation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
