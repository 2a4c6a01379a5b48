"""A run's conditions, each with its model and its folder of images, those that the folder already held among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ldm_core.pipeline import LatentDiffusion
from ldm_core.settings import FIELDS

from ..config import RunConfig
from . import protocol
from .axes import MODEL, WORDING, Condition, as_value
from .jobs import Job
from .steering import check_steerable

if TYPE_CHECKING:
    from ..run_facts import RunFacts


class Plan:
    """`asked` are the conditions of the command, `conditions` all that the tables hold; `model` is the first one's.

    Where models are swept each is loaded to be checked, and again when its turn comes: one at a time is in memory.
    """

    def __init__(self, config: RunConfig, load: Callable[[str | None], LatentDiffusion]):
        self.config, self._load, self._loaded = config, load, ""
        asked = config.conditions
        self.model = self._take(asked[0].model or config.model)
        self.protocol = protocol.protocol_of(config, config.settings, self.model)
        self.base = self.model.spec.name
        self.network_rows: dict[Condition, int] = {}
        self._made_by: dict[str, dict[str, Any]] = {}  # protocols by a condition's folder
        self.asked = [self._resolved(condition) for condition in asked]
        self.conditions, self.axes = list(self.asked), tuple(axis.name for axis in config.axes)
        self.model = self._take(asked[0].model or config.model)

    @property
    def several_models(self) -> bool:
        """Whether the tables are of more than one model."""
        return MODEL in self.axes

    def _take(self, name: str | None) -> LatentDiffusion:
        """The model of a name, loaded unless it is the one at hand."""
        if self._loaded != (name or "the best"):
            self.model = self._load(name)
            self._loaded = name or "the best"
        return self.model

    def _resolved(self, condition: Condition) -> Condition:
        """With what the settings leave to the model written out."""
        model = self._take(condition.model or self.config.model)
        made_by = protocol.protocol_of(self.config, condition.settings, model)
        settings = model.resolve(condition.settings).resolved(rows_per_call=made_by["rows_per_call"])
        check_steerable(model, settings)
        values = tuple(
            (axis, as_value(settings[axis]) if axis in FIELDS else value) for axis, value in condition.values
        )
        folder = _folder(made_by)
        self._made_by[folder] = made_by
        made = dataclasses.replace(condition, values=values, settings=settings, folder=folder)
        self.network_rows[made] = model.rows_alone(settings)
        return made

    def extend(self, before: RunFacts) -> None:
        """Take in the conditions that the folder already holds: what is there stays in the tables."""
        self._go_on_as(before)
        axes = dict.fromkeys([*before.axes, *self.axes])
        self.axes = tuple(sorted(axes, key=lambda name: name != "guidance_scale"))  # that one first
        known = {condition.key: condition for condition in [*before.conditions, *self.asked]}
        rows = {condition.key: count for condition, count in self.network_rows.items()}
        order = [condition.key for condition in self.asked]
        order += [key for key in known if key not in order]
        self.conditions = [self._on_all_axes(known[key]) for key in order]
        self.network_rows = {
            condition: rows[condition.key] if condition.key in rows else self._rows_of(condition)
            for condition in self.conditions
        }

    def _go_on_as(self, before: RunFacts) -> None:
        """Under the protocol that an earlier run knew, in the folders that it gave the same model's images."""
        self.protocol = protocol.as_known_to(before, self.protocol)
        held = {(condition.model, condition.folder) for condition in before.conditions}
        rows = [self.network_rows[condition] for condition in self.asked]
        for place, condition in enumerate(self.asked):
            former = _folder(protocol.as_known_to(before, self._made_by[condition.folder]))
            if (condition.model, former) in held:
                self.asked[place] = dataclasses.replace(condition, folder=former)
        self.network_rows = dict(zip(self.asked, rows))

    def _rows_of(self, condition: Condition) -> int:
        """Of a condition that the folder held: by the model at hand, whose schedule of steps any of the family shares."""
        return self.model.rows_alone(condition.settings)

    def _on_all_axes(self, condition: Condition) -> Condition:
        """With a value on every axis, read off the settings where the condition was made without that axis."""
        values = dict(condition.values)
        return dataclasses.replace(
            condition, values=tuple((name, values.get(name, self._value(condition, name))) for name in self.axes)
        )

    def _value(self, condition: Condition, axis: str) -> int | float | str:
        if axis in FIELDS:
            return as_value(condition.settings[axis])
        return {MODEL: condition.model or self.base, WORDING: condition.wording}.get(axis, "as it was")

    def by_model(self, jobs: Sequence[Job]) -> Iterator[tuple[LatentDiffusion, list[Job]]]:
        """Jobs by their model, each loaded when its turn comes."""
        groups: dict[str | None, list[Job]] = {}
        for job in jobs:
            groups.setdefault(job.condition.model, []).append(job)
        for name, group in groups.items():
            yield self._take(name or self.config.model), group


def _folder(made_by: dict[str, Any]) -> str:
    """Of the images that a protocol makes, within a run's."""
    return f"images/{protocol.fingerprint(made_by)}"
