"""The report's pictures: a grid whose rows and columns the reader chooses among prompts, seeds and every axis swept.

The page holds the pictures' places and scores as data; `explorer.js` lays them out, opens one large with its settings and
with what differs from its neighbours. Without scripts the first view stands as a plain table. Pictures are embedded small
as far as the budget goes; the others are taken from the run folder, where the report lies.
"""

from __future__ import annotations

import html
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ..condition import SHORT, shown
from .strips import webp_url

EMBEDDED = 1000  # pictures in the page itself, about 5 KB each; more are read from the folder as they are looked at
LISTED = 100_000  # images that the page knows of, about 150 bytes each; images.csv has all
THUMBNAIL = 192  # pixels of the longer side
OF_A_GROUP = 12  # prompts of the best, of the worst and of those by chance
RANKED_BY = ("clip_score", "scene_accuracy", "fashion_accuracy", "clip_scenes")  # which prompts came out best
NOT_SCORES = {"prompt_id", "seed", "condition"}
SCRIPT = Path(__file__).with_name("explorer.js")


@dataclass(frozen=True)
class Dimension:
    """One way to tell images apart: its name, its values in words, and each image's place among them."""

    name: str
    values: list[str]
    places: list[int]


def explorer(out: Path, images: pd.DataFrame, axes: Sequence[str], same: Mapping[str, Any]) -> str:
    """HTML: the explorer over a run's images (the table of images.csv); `same` are the settings all of them share."""
    groups = prompt_groups(images)
    shown_first = [prompt for _, chosen in groups for prompt in chosen]
    rank = {prompt: place for place, prompt in enumerate(dict.fromkeys(shown_first))}
    order = images["prompt_id"].map(lambda prompt: rank.get(prompt, len(rank)))
    listed = images.assign(_order=order).sort_values("_order", kind="stable").drop(columns="_order")
    listed = listed.head(LISTED).reset_index(drop=True)
    dimensions = dimensions_of(listed, axes)
    rows, columns = first_view(dimensions)
    data = {
        "dimensions": [{"name": d.name, "values": d.values} for d in dimensions],
        "rows": rows,
        "columns": columns,
        "groups": [{"name": name, "prompts": _places(listed, chosen)} for name, chosen in groups],
        "scores": _scores_of(listed),
        "same": {name: shown(value) for name, value in same.items()},
        "images": _records(out, listed, dimensions),
    }
    note = "" if len(listed) == len(images) else f'<p class="quiet">{len(images)} images in all, see images.csv</p>'
    content = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        '<div class="explorer" id="explorer"><div class="choices"></div>'
        f'<div class="view">{_plain_table(data)}</div><dialog></dialog>{note}</div>'
        f'<script type="application/json" id="explorer-data">{content}</script>'
        f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>"
    )


def prompt_groups(images: pd.DataFrame) -> list[tuple[str, list[int]]]:
    """All prompts where they are few; else the best and the worst by the metric that says most, and some by chance."""
    ids = list(dict.fromkeys(images["prompt_id"]))
    if len(ids) <= 2 * OF_A_GROUP:
        return [("all prompts", ids)]
    metric = next((name for name in RANKED_BY if name in images and images[name].notna().any()), None)
    groups = [("some by chance", sorted(random.Random(0).sample(ids, OF_A_GROUP)))]
    if metric:
        ranked = images.groupby("prompt_id")[metric].mean().dropna().sort_values(ascending=False, kind="stable")
        groups += [
            (f"best by {metric}", list(ranked.index[:OF_A_GROUP])),
            (f"worst by {metric}", list(ranked.index[::-1][:OF_A_GROUP])),
        ]
    return [*groups, ("all prompts", ids)]


def dimensions_of(images: pd.DataFrame, axes: Sequence[str]) -> list[Dimension]:
    """Prompts, each axis, and the images of one prompt under one condition one after another, where there are several."""
    prompts = images["prompt_id"].map(images.groupby("prompt_id")["prompt"].first())
    named = ["" if pd.isna(text) else str(text) for text in prompts]
    if not any(named):
        named = [Path(file).stem for file in images["file"]]
    found = [_dimension("prompt", images["prompt_id"], named)]
    for axis in axes:
        values = images[axis]
        numbers = pd.api.types.is_numeric_dtype(values) and not values.isna().any()
        ordered = sorted(set(values)) if numbers else list(dict.fromkeys(values))
        found.append(_dimension(SHORT.get(axis, axis), values, [shown(value) for value in values], ordered))
    repeat = images.groupby(["prompt_id", "condition"], dropna=False).cumcount()
    found.append(_dimension("image of the prompt", repeat, [str(k + 1) for k in repeat], sorted(set(repeat))))
    return [dimension for dimension in found if len(dimension.values) > 1] or found[:1]


def first_view(dimensions: Sequence[Dimension]) -> tuple[int, int]:
    """Rows and columns to begin with: prompts down, the axis with most values across."""
    if len(dimensions) == 1:
        return 0, 0
    rest = range(1, len(dimensions))
    return 0, max(rest, key=lambda index: (len(dimensions[index].values), -index))


def _dimension(name: str, values: pd.Series, words: Sequence[str], ordered: Sequence[Any] | None = None) -> Dimension:
    distinct = list(dict.fromkeys(values)) if ordered is None else list(ordered)
    place = {value: index for index, value in enumerate(distinct)}
    of = dict(zip(values, words))
    return Dimension(name, [of[value] for value in distinct], [place[value] for value in values])


def _places(images: pd.DataFrame, chosen: Sequence[int]) -> list[int]:
    """Places among the listed prompts, in the group's own order."""
    place = {prompt: index for index, prompt in enumerate(dict.fromkeys(images["prompt_id"]))}
    return [place[prompt] for prompt in chosen if prompt in place]


def _scores_of(images: pd.DataFrame) -> list[str]:
    numbers = images.select_dtypes("number").columns
    after = list(images.columns).index("file")
    return [name for name in numbers if name not in NOT_SCORES and list(images.columns).index(name) > after]


def _records(out: Path, images: pd.DataFrame, dimensions: Sequence[Dimension]) -> list[dict[str, Any]]:
    scores = _scores_of(images)
    places = list(zip(*(dimension.places for dimension in dimensions)))
    records = []
    for index, row in enumerate(images.to_dict("records")):
        record: dict[str, Any] = {"at": places[index], "file": row["file"]}
        if not pd.isna(row["seed"]):
            record["seed"] = int(row["seed"])
        if index < EMBEDDED:
            record["small"] = thumbnail(out / row["file"])
        record["scores"] = [float(f"{row[name]:.6g}") if np.isfinite(row[name]) else None for name in scores]
        records.append(record)
    return records


def thumbnail(path: Path) -> str:
    """A picture made small, as a data URL."""
    with Image.open(path) as picture:
        return webp_url(picture, THUMBNAIL)


def _plain_table(data: dict[str, Any]) -> str:
    """The first view without scripts: the embedded pictures of the first group, first values of all other dimensions."""
    dimensions, rows, columns = data["dimensions"], data["rows"], data["columns"]
    others = [index for index in range(len(dimensions)) if index not in (rows, columns)]
    at = {
        (image["at"][rows], image["at"][columns]): image
        for image in reversed(data["images"])
        if "small" in image and all(image["at"][other] == 0 for other in others)
    }
    across = range(len(dimensions[columns]["values"])) if rows != columns else [0]
    head = "".join(f"<th>{html.escape(_heading(dimensions[columns], place))}</th>" for place in across)
    body = []
    for row in data["groups"][0]["prompts"]:
        keys = [(row, place if rows != columns else row) for place in across]
        cells = "".join(f"<td>{_img(at[key]) if key in at else ''}</td>" for key in keys)
        body.append(f"<tr><th>{html.escape(dimensions[rows]['values'][row])}</th>{cells}</tr>")
    head = head if rows != columns else "<th></th>"
    return f'<div class="scroll"><table class="grid"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _heading(dimension: dict[str, Any], place: int) -> str:
    return f"{dimension['name']} = {dimension['values'][place]}"


def _img(image: dict[str, Any]) -> str:
    return f'<img alt="{html.escape(Path(image["file"]).name)}" src="{image["small"]}">'
