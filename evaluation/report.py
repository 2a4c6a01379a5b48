"""The tables, and two reports of them: report.html in one self-contained file, and report.md."""

from __future__ import annotations

import base64
import html
import io
import os
import random
from pathlib import Path

import pandas as pd
from PIL import Image

from . import paper, plots
from .cost import outside_networks
from .front import find_front

SHOWN_PROMPTS = 24  # rows of the picture grid at most; images.csv has all
THUMBNAIL = 128  # pixels
RANKED_BY = ("clip_score", "scene_accuracy", "fashion_accuracy", "clip_scenes")  # which prompts came out best
COLUMNS = ["model", "prompts", "category", "guidance_schedule", "guidance_scale", "metric", "value", "n", "se", "low",
           "high", "higher_is_better", "detector", "resize", "note"]  # fmt: skip

STYLE = """
:root{--ink:#1c2330;--quiet:#667085;--line:#e4e7ec;--back:#fff;--card:#f8f9fb;--accent:#2f6fde}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--quiet:#98a2b3;--line:#303846;--back:#12161d;--card:#1a202a;--accent:#7aa7f7}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 16px 64px}h1{font-size:1.5rem;margin:0 0 4px}h2{font-size:1.1rem;margin:36px 0 10px}h3{font-size:.95rem;margin:18px 0 4px}
p.lead,.quiet{color:var(--quiet)}p{margin:4px 0}p,li,pre,summary{overflow-wrap:anywhere}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:5px 12px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}thead th{color:var(--quiet);font-weight:600}td.best{font-weight:700;color:var(--accent)}td.words{text-align:left}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:14px}.charts svg{width:100%;background:var(--card);border-radius:10px;padding:6px}
svg text{font-size:11px;fill:var(--ink)}svg .title{font-size:13px;font-weight:600}svg .quiet,svg tspan.quiet{fill:var(--quiet);font-weight:400;font-size:11px}
svg .grid{stroke:var(--line)}svg .ceiling{stroke:var(--quiet);stroke-dasharray:4 3}svg .curve{fill:none;stroke:var(--accent);stroke-width:2}svg .bar{stroke:var(--accent);stroke-width:1.5}svg circle{fill:var(--accent)}svg circle.hollow{fill:var(--back);stroke:var(--accent)}
pre{white-space:pre-wrap;background:var(--card);border-radius:8px;padding:12px;font-size:13px;user-select:all}
.grid td,.grid th{padding:3px;border:0;text-align:center;vertical-align:top}.grid td:first-child,.grid th:first-child{text-align:left;white-space:normal;width:200px;min-width:140px;padding-right:12px;vertical-align:middle}
.grid img{width:96px;height:auto;border-radius:6px;display:block}details{margin-top:8px}dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0}dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
"""  # noqa: E501


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def summary_table(rows: list[dict], model: str, prompts: str, schedule: str) -> pd.DataFrame:
    """The rows of summary.csv, tidy: one value each."""
    table = pd.DataFrame(rows)
    table["model"], table["prompts"], table["guidance_schedule"] = model, prompts, schedule
    return table[COLUMNS]


def side_by_side(summary: pd.DataFrame) -> pd.DataFrame:
    """Metrics down, guidance scales across, as text with standard errors; what depends on no scale in `all`."""
    whole = summary[(summary["category"] == "") & summary["value"].notna()]
    text = whole.apply(
        lambda row: _digits(row["value"], 4) + (f" ± {_digits(row['se'], 2)}" if pd.notna(row["se"]) else ""), axis=1
    )
    across = whole["guidance_scale"].map(lambda scale: "all" if pd.isna(scale) else f"w = {scale:g}")
    order = [name for name in across.drop_duplicates() if name != "all"] + ["all"] * ("all" in set(across))
    table = pd.DataFrame({"metric": whole["metric"], "across": across, "text": text})
    return table.pivot(index="metric", columns="across", values="text").reindex(columns=order).fillna("").loc[
        list(dict.fromkeys(whole["metric"]))]  # fmt: skip


def _digits(value: float, count: int) -> str:
    """A number with that many digits that count, and never 1.1e+02 for 110."""
    return f"{value:.0f}" if round(abs(value)) >= 10**count else f"{value:.{count}g}"


def markdown(summary: pd.DataFrame, differences: pd.DataFrame, cost: pd.DataFrame, facts: dict) -> str:
    """The report for a terminal or a pull request."""
    notes = "".join(f"- {note}\n" for note in remarks(summary, facts))
    parts = [f"# {title(facts)}\n", lead(facts) + "\n", _markdown_table(side_by_side(summary).reset_index()), notes]
    by_category = categories(summary)
    if len(by_category):
        parts += ["## By category\n", _markdown_table(by_category)]
    if len(differences):
        parts += ["## Differences between scales\n", _markdown_table(_rounded(differences))]
    parts += [
        "## Cost\n",
        _markdown_table(_rounded(cost)),
        _outside(cost) + "\n",
        "## Methods\n",
        paper.methods(facts) + "\n",
    ]
    return "\n".join([*parts, "## LaTeX\n", f"```latex\n{_latex(summary, facts)}\n```"]) + "\n"


def _outside(cost: pd.DataFrame) -> str:
    return f"{outside_networks(cost):.1%} of {cost['seconds'].sum():.0f} s went into anything but the networks, start-up apart."


def _latex(summary: pd.DataFrame, facts: dict) -> str:
    better = dict(zip(summary["metric"], summary["higher_is_better"]))
    return paper.latex(side_by_side(summary), better, f"{title(facts)}: {facts['prompt_count']} prompts.")


def categories(summary: pd.DataFrame) -> pd.DataFrame:
    """Per-image metrics by category of prompts, scales across; empty where the prompts have none."""
    rows = summary[(summary["category"] != "") & summary["value"].notna()]
    rows = rows.assign(across=[f"w = {scale:g}" for scale in rows["guidance_scale"]],
                       text=[f"{_digits(value, 4)} (n = {n})" for value, n in zip(rows["value"], rows["n"])])  # fmt: skip
    order = list(dict.fromkeys(rows["across"]))
    return (
        rows.pivot(index=["metric", "category"], columns="across", values="text")[order]
        .fillna("")
        .reset_index()
        .rename_axis(None, axis=1)
    )


def _markdown_table(table: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [table.columns, *table.itertuples(index=False)]]
    return "\n".join([lines[0], "|" + " --- |" * len(table.columns), *lines[1:]]) + "\n"


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    return (
        table.astype(object).map(lambda value: f"{value:.4g}" if isinstance(value, float) else value).replace("nan", "")
    )


def title(facts: dict) -> str:
    return f"{facts['model']} on {facts['prompts']}"


def lead(facts: dict) -> str:
    """What was run, in one sentence."""
    protocol = facts["protocol"]
    return (
        f"{facts['image_count']} images of {protocol['width']} x {protocol['height']} pixels from {facts['prompt_count']} "
        f"prompts; {protocol['steps']} steps of {protocol['scheduler']}, {protocol['guidance_schedule']} guidance, "
        f"{protocol['dtype']} on {facts['device']}. ± is one standard error; the same prompt has the same seed at every scale."
    )


def remarks(summary: pd.DataFrame, facts: dict) -> list[str]:
    """What a reader must know before using the numbers."""
    notes = []
    if facts["unseen_words"]:
        most = ", ".join(list(facts["unseen_words"])[:12])
        notes.append(f"{facts['prompts_with_unseen_words']} of {facts['prompt_count']} prompts hold words the model has never "
                     f"seen ({len(facts['unseen_words'])} words, most often: {most}).")  # fmt: skip
    if facts["truncated_prompts"]:
        notes.append(
            f"{facts['truncated_prompts']} prompts are longer than the text encoder reads; their ends were cut off."
        )
    for name, count in facts["truncated_by_detectors"].items():
        if count:
            notes.append(
                f"{count} prompts are longer than {facts['detectors'][name]['name']} reads; it scored what it read of them."
            )
    if flat := facts.get("flat_images"):
        notes.append(
            f"{len(flat)} images are of one colour all over, {flat[0]} among them: look at them before the numbers."
        )
    if front := find_front(summary):
        notes.append(front.words())
    told = summary[summary["note"] != ""].drop_duplicates(["metric", "note"])
    return notes + [f"{', '.join(rows['metric'])}: {note}" for note, rows in told.groupby("note", sort=False)]


def page(out: Path, summary: pd.DataFrame, images: pd.DataFrame, differences: pd.DataFrame, cost: pd.DataFrame,
         facts: dict) -> str:  # fmt: skip
    """The whole HTML page."""
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in remarks(summary, facts))
    protocol = "".join(f"<dt>{html.escape(str(k))}</dt><dd>{html.escape(str(v))}</dd>" for k, v in _flat(facts))
    body = (
        f'<h1>{html.escape(title(facts))}</h1><p class="lead">{html.escape(lead(facts))}</p>'
        f"<h2>Guidance scales side by side</h2>{_summary_html(summary)}<ul class='quiet'>{notes}</ul>"
        f'<div class="charts">{"".join(_charts(summary))}</div>'
        f"{_category_section(summary)}<h2>Pictures</h2>{_picture_grids(out, images)}"
        f"<h2>Differences between scales</h2>{_table_html(_rounded(differences))}"
        f"<h2>Cost</h2>{_table_html(_rounded(cost))}<p class='quiet'>{html.escape(_outside(cost))}</p>"
        f"<h2>For a paper</h2><details><summary>methods, in a paragraph</summary><pre>{html.escape(paper.methods(facts))}</pre></details>"
        f"<details><summary>the table as LaTeX</summary><pre>{html.escape(_latex(summary, facts))}</pre></details>"
        f"<h2>Protocol</h2><details><summary>everything needed to repeat this run</summary><dl>{protocol}</dl></details>"
    )
    return document(html.escape(title(facts)), body)


def document(title: str, body: str) -> str:
    """A self-contained HTML file around a title and a body, both HTML already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def _flat(facts: dict, prefix: str = "") -> list[tuple[str, object]]:
    pairs = []
    for key, value in facts.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return pairs


def _charts(summary: pd.DataFrame) -> list[str]:
    whole = summary[(summary["category"] == "") & summary["value"].notna()]
    ceilings = whole[whole["guidance_scale"].isna()].set_index("metric")["value"]
    curves = whole[whole["guidance_scale"].notna()]
    front = find_front(summary)
    return [
        *([plots.front_chart(front)] if front else []),
        *(plots.chart(rows, metric, bool(rows["higher_is_better"].iloc[0]), ceilings.get(f"{metric}_ceiling"))
        for metric, rows in curves.groupby("metric", sort=False)),
    ]  # fmt: skip


def _summary_html(summary: pd.DataFrame) -> str:
    """side_by_side as HTML, each metric's best scale marked."""
    table = side_by_side(summary)
    whole = summary[(summary["category"] == "") & summary["value"].notna() & summary["guidance_scale"].notna()]
    best = {}
    for metric, rows in whole.groupby("metric"):
        index = rows["value"].idxmax() if rows["higher_is_better"].iloc[0] else rows["value"].idxmin()
        best[metric] = f"w = {rows.loc[index, 'guidance_scale']:g}"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ["", *table.columns])
    body = "".join(
        f"<tr><td>{html.escape(metric)}</td>"
        + "".join(
            f"<td{' class=best' if best.get(metric) == name else ''}>{html.escape(cells[name])}</td>" for name in table
        )
        + "</tr>"
        for metric, cells in table.iterrows()
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _table_html(table: pd.DataFrame) -> str:
    if not len(table):
        return '<p class="quiet">none: they need two scales and two prompts</p>'
    return f'<div class="scroll">{table.to_html(index=False, border=0)}</div>'


def _category_section(summary: pd.DataFrame) -> str:
    table = categories(summary)
    return f"<h2>By category</h2>{_table_html(table)}" if len(table) else ""


def _picture_grids(out: Path, images: pd.DataFrame) -> str:
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
        parts = [(f"Best by {metric}, mean over scales", list(ranked.index[:third])),
                 (f"Worst by {metric}", list(ranked.index[::-1][:third]))]  # fmt: skip
    parts.append(("By chance", sorted(by_chance)))
    note = f'<p class="quiet">{len(ids)} prompts in all, see images.csv</p>'
    return "".join(f"<h3>{words}</h3>{_picture_grid(out, images, chosen)}" for words, chosen in parts) + note


def _picture_grid(out: Path, images: pd.DataFrame, chosen: list[int]) -> str:
    """Prompts down, scales across; the first seed of each."""
    first = images[images["prompt_id"].isin(chosen)].drop_duplicates(["prompt_id", "guidance_scale"])
    scales = sorted(first["guidance_scale"].unique())
    files = first.set_index(["prompt_id", "guidance_scale"])
    rows = []
    for prompt_id in chosen:
        cells = "".join(
            _picture(out / files.loc[(prompt_id, scale), "file"], files.loc[(prompt_id, scale)]) for scale in scales
        )
        rows.append(f"<tr><td>{html.escape(files.loc[(prompt_id, scales[0]), 'prompt'])}</td>{cells}</tr>")
    head = "<th></th>" + "".join(f"<th>w = {scale:g}</th>" for scale in scales)
    return f'<div class="scroll"><table class="grid"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _picture(path: Path, scores: pd.Series) -> str:
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((2 * THUMBNAIL, 2 * THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=88)
    source = base64.b64encode(buffer.getvalue()).decode()
    words = f"{scores['prompt']}, w = {scores.name[1]:g}, seed {scores['seed']}"
    return f'<td><img loading="lazy" alt="{html.escape(words)}" title="{html.escape(words)}" src="data:image/webp;base64,{source}"></td>'
