"""What goes into a paper as it stands: a paragraph on methods, and the table in LaTeX."""

from __future__ import annotations

import re

import pandas as pd

from ..amounts import amount
from ..condition import shown
from ..run_facts import RunFacts
from ..set_facts import SetFacts, measured_by

ARROWS = {True: r"$\uparrow$", False: r"$\downarrow$"}


def methods(facts: RunFacts | SetFacts) -> str:
    """How the figures came about, in a paragraph."""
    if isinstance(facts, SetFacts):
        return facts.methods
    protocol, versions = facts.protocol, facts.versions
    guidance = f"{facts.setting('guidance_schedule')} classifier-free guidance"
    if (interval := facts.setting("guidance_interval")) != "none":
        guidance += f" in the interval t = {interval.replace(':', ' to ')}"
    if (rescale := facts.setting("guidance_rescale")) != "0":
        guidance += f", rescaled by {rescale}"
    if (rule := _later(facts, "guidance_rule")) not in ("", "cfg"):
        guidance += f" by the rule {rule}"
    shift = _later(facts, "shift")
    moved = f" (shift {shift} towards noise)" if shift not in ("", "none", "1") else ""
    scales = ", ".join(shown(scale) for scale in facts.guidance_scales)
    prompts = "the prompt" if facts.prompt_count == 1 else f"each of the {facts.prompt_count} prompts"
    written = (
        f"We generated {amount(facts.images_per_prompt, 'image')} of "
        f"{facts.setting('width')} x {facts.setting('height')} pixels for {prompts} of {facts.prompts} "
        f"with {facts.model} (weights {protocol['weights'][:12]}), {amount(facts.setting('steps'), 'step')} of "
        f"{facts.setting('scheduler')}{moved} in {protocol['dtype']}, and {guidance} at scale{'s' * (len(facts.guidance_scales) > 1)} "
        f"{scales}. A prompt has the same seed under every condition (run seed {protocol['run_seed']}), so conditions are "
        "compared pairwise."
    )
    return (written + measured_by(facts.detectors, facts.references)) + (
        " Errors are standard errors: over prompts for means, by a delete-block jackknife over prompts for distances; "
        "p values and intervals of differences are adjusted alike, by Holm's method within a metric. "
        f"Software: PyTorch {versions['torch']}, diffusers {versions['diffusers']}, transformers {versions['transformers']}."
    )


def _later(facts: RunFacts, name: str) -> str:
    """A setting that older runs know nothing of; empty where this one says nothing of it."""
    return facts.setting(name) if name in facts.protocol or facts.conditions else ""


def latex(table: pd.DataFrame, better: dict[str, bool], caption: str) -> str:
    """The table of tables.side_by_side for booktabs, an arrow on each metric for the way that is better."""
    names = (f"${_escaped(name)}$" if name.startswith("w =") else _escaped(name) for name in table.columns)
    head = " & ".join(["", *names])
    lines = [
        " & ".join(
            [
                f"{_escaped(metric)} {ARROWS[better[metric]]}" if metric in better else _escaped(metric),
                *(cell.replace("±", r"$\pm$") for cell in cells),
            ]
        )
        + r" \\"
        for metric, cells in zip(table.index, table.itertuples(index=False))
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(caption)}}}",
            r"\begin{tabular}{l" + "r" * len(table.columns) + "}",
            r"\toprule",
            head + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


IN_WORDS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def _escaped(text: str) -> str:
    """With every letter as itself that LaTeX would take for a command."""
    return re.sub(r"[\\~^_%&#${}]", lambda found: IN_WORDS.get(found[0], f"\\{found[0]}"), text)
