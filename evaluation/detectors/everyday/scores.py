"""How well what a picture shows fits its prompt: by single facts (atoms), and by the prompt as a whole.

GenEval 2 (arXiv 2512.16853) calls the two levels atom and prompt. A prompt's atoms are what `parse` reads in it.
"""

from __future__ import annotations

import math

from ldm_core.data.everyday import Scene, parse
from ldm_core.data.everyday.atoms import SKILLS, extra_things, judge
from ldm_core.data.everyday.nearest import substitute

from .reading import Reading

ACCURACY, PROMPT, EXTRA, ATOMS = "scene_accuracy", "scene_prompt_accuracy", "scene_extra", "scene_atoms"
OF_SKILL = {skill: f"{ACCURACY}_{skill}" for skill in SKILLS}  # the columns of the accuracy by skill
COLUMNS = (ACCURACY, PROMPT, EXTRA, ATOMS, *OF_SKILL.values())


def scores_of(prompt: str, reading: Reading) -> dict[str, float]:
    """A number for each of COLUMNS, NaN where the prompt says nothing of it.

    scene_accuracy          the share of the prompt's atoms that hold; scene_accuracy_colour and so on, of those of a skill
    scene_prompt_accuracy   1 where all hold, else 0
    scene_extra             things seen that nobody asked for; what a model draws in the place of a word that it does not
                            know (nearest.substitute) is asked for
    scene_atoms             how many atoms the prompt has
    """
    found = dict.fromkeys(COLUMNS, math.nan)
    asked = parse(prompt)
    if asked is None:
        return found
    judged = judge(asked, reading.scene, reading.also)
    right = [holds for _, holds in judged]
    found |= {ACCURACY: sum(right) / len(right), PROMPT: float(all(right)), ATOMS: float(len(right))}
    found[EXTRA] = float(_extra(prompt, asked, reading.scene))
    for skill, column in OF_SKILL.items():
        of_skill = [holds for atom, holds in judged if atom.skill == skill]
        found[column] = sum(of_skill) / len(of_skill) if of_skill else math.nan
    return found


def _extra(prompt: str, asked: Scene, seen: Scene) -> int:
    nearest = substitute(prompt)
    drawn = parse(nearest.text) if nearest.replaced else None
    return extra_things(drawn or asked, seen)
