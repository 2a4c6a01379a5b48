"""The report's pictures: prompts down, conditions across, each small and within the page."""

from __future__ import annotations

import base64
import html
import io
import random
from pathlib import Path

import pandas as pd
from PIL import Image

SHOWN_PROMPTS = 24  # rows of the picture grid at most; images.csv has all
THUMBNAIL = 128  # pixels
RANKED_BY = ("clip_score", "scene_accuracy", "fashion_accuracy", "clip_scenes")  # which prompts came out best


def picture_grids(out: Path, images: pd.DataFrame) -> str:
    """All prompts where they are few; else the best, the worst and some by chance, by the metric that says most."""
    ids = list(images["prompt_id"].unique())
    metric = next((name for name in RANKED_BY if name in images and images[name].notna().any()), None)
    if len(ids) <= SHOWN_PROMPTS:
        return _picture_grid(out, images, ids)
    third = SHOWN_PROMPTS // 3
    by_chance = random.Random(0).sample(ids, third if metric else SHOWN_PROMPTS)
    parts = []
    if metric:
        ranked = images.groupby("prompt_id")[metric].mean().dropna().sort_values(ascending=False, kind="stable")
        parts = [
            (f"Best by {metric}, mean over conditions", list(ranked.index[:third])),
            (f"Worst by {metric}", list(ranked.index[::-1][:third])),
        ]
    parts.append(("By chance", sorted(by_chance)))
    note = f'<p class="quiet">{len(ids)} prompts in all, see images.csv</p>'
    return "".join(f"<h3>{words}</h3>{_picture_grid(out, images, chosen)}" for words, chosen in parts) + note


def _picture_grid(out: Path, images: pd.DataFrame, chosen: list[int]) -> str:
    """Prompts down, conditions across; the first seed of each."""
    first = images[images["prompt_id"].isin(chosen)].drop_duplicates(["prompt_id", "condition"])
    across = list(dict.fromkeys(first["condition"]))
    files = first.set_index(["prompt_id", "condition"])
    rows = []
    for prompt_id in chosen:
        keys = [(prompt_id, condition) for condition in across]
        cells = "".join(
            _picture(out / files.loc[key, "file"], files.loc[key]) if key in files.index else "<td></td>"
            for key in keys
        )
        prompt = next(files.loc[key, "prompt"] for key in keys if key in files.index)
        rows.append(f"<tr><td>{html.escape(prompt)}</td>{cells}</tr>")
    head = "<th></th>" + "".join(f"<th>{html.escape(condition)}</th>" for condition in across)
    return f'<div class="scroll"><table class="grid"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _picture(path: Path, scores: pd.Series) -> str:
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((2 * THUMBNAIL, 2 * THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=88)
    source = base64.b64encode(buffer.getvalue()).decode()
    words = f"{scores['prompt']}, {scores.name[1]}, seed {scores['seed']}"
    return (
        f'<td><img alt="{html.escape(words)}" title="{html.escape(words)}" src="data:image/webp;base64,{source}"></td>'
    )
