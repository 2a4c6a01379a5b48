"""Scores of a drawn world: over all prompts, by skill (colour, count, place, ...) and by how much a prompt asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .metric import ImageScore, Row

if TYPE_CHECKING:
    import pandas as pd

    from .evidence import Evidence

ATOMS = "scene_atoms"  # the column that holds how many facts a prompt asks for
MOST_ATOMS = 8  # prompts that ask for more are counted with these


@dataclass(frozen=True, kw_only=True)
class SceneScore(ImageScore):
    """A score an image whose rows by category are followed by those by skill ("skill: colour") and by number of atoms
    ("atoms: 3"), where the detector tells these apart. `whole` counts a skill's atoms all together: 1 or 0 an image."""

    by_skill: bool = True
    whole: bool = False

    def rows(self, evidence: Evidence) -> list[Row]:
        from ..statistics import mean
        from .rows import row

        images, rows = evidence.images, super().rows(evidence)
        judge = getattr(evidence.detectors.get(self.detector), "judge_words", str)()
        if self.by_skill and not self.whole and judge:
            rows = [found | {"note": "; ".join(filter(None, [found["note"], judge]))} for found in rows]
        for condition in images.conditions:
            for label, part in self._parts(images.table[images.under(condition)]):
                value = mean(part[self.name], part["prompt_id"], self.bounds)
                rows.append(row(self, value, images.values(condition), condition, label))
        return rows

    def _parts(self, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each part's words, and its images that have a value, that value in the score's own column."""
        first = "scene_accuracy_"
        for column in [name for name in table if str(name).startswith(first)] if self.by_skill else []:
            part = table.dropna(subset=[column])
            value = (part[column] == 1).astype(float) if self.whole else part[column]
            if len(part):
                yield f"skill: {column.removeprefix(first)}", part.assign(**{self.name: value})
        if ATOMS in table:
            known = table.dropna(subset=[self.name])
            for count, part in known.groupby(known[ATOMS].clip(upper=MOST_ATOMS)):
                yield f"atoms: {count:.0f}{' or more' if count == MOST_ATOMS else ''}", part
