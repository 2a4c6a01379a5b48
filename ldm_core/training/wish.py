"""How far what is drawn is from what its caption asks for, by a reader of latents; with a gradient.

A caption asks for so many things of each sort: two cats, one red thing among the cars, no cow at all. A reader expects mu of
them where n were asked for; were they Poisson distributed, the surprise at n, beyond that of the best mu, is mu - n + n log(n / mu).
It is 0 where mu = n, and its pull on what is missing does not fade with mu. Where one or more were asked for, it is the chance
that no cell holds one: a second one pleases no more than the first. So a model can be taught what to draw by
following the gradient through its own steps (DRaFT: Clark et al. 2024, arXiv 2309.17400).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.everyday import GROUNDS, KINDS, SKIES, Scene, Thing
from ..data.everyday.atoms import SAID_SIZES
from ..data.everyday.lexicon import SCENERY
from ..data.everyday.truth import ATTRIBUTES

LEAST = 1e-3  # things expected, at the least: the logarithm of fewer says nothing more
OF_SCENE = 0.5  # how much sky, ground and scenery weigh beside a number of things


@dataclass(frozen=True)
class Wanted:
    """Things of these kinds that are all that is said of them; `count` of them, or where it is None one or more."""

    kinds: tuple[int, ...]
    said: tuple[tuple[str, int], ...] = ()  # attributes and the places of the right answers
    count: int | None = None


@dataclass(frozen=True)
class Wish:
    """What a caption asks for: numbers of things, the kinds of which there should be none, and the scene's answers."""

    wanted: tuple[Wanted, ...]
    absent: tuple[int, ...]
    scene: tuple[tuple[str, int], ...]

    @property
    def relations(self) -> frozenset[str]:
        """In which relations things should stand to each other."""
        said = (pair for wanted in self.wanted for pair in wanted.said)
        return frozenset(ATTRIBUTES[name][answer] for name, answer in said if name == "relation")


def wish_of(asked: Scene, scene: Scene) -> Wish:
    """Of what a caption asks for, said of a whole scene. Kinds that it does not name should be absent only where it names
    all that the scene holds."""
    numbers: dict[str, list[int | None]] = {}
    for thing in asked.things:
        numbers.setdefault(thing.kind, []).append(thing.count)
    wanted = [Wanted((KINDS.index(kind),), (), _sum(counts)) for kind, counts in numbers.items()]
    wanted += [each for thing in asked.things for each in _of_thing(asked, thing)]
    whole = Counter(thing.kind for thing in asked.things) == Counter(thing.kind for thing in scene.things)
    absent = tuple(index for index, kind in enumerate(KINDS) if whole and kind not in numbers)
    answers = [("sky", SKIES.index(asked.sky))] if asked.sky else []
    answers += [("ground", GROUNDS.index(asked.ground))] if asked.ground else []
    answers += [("scenery", index) for index, name in enumerate(SCENERY) if getattr(asked, name)]
    return Wish(tuple(wanted), absent, tuple(answers))


def _sum(counts: list[int | None]) -> int | None:
    return None if None in counts else sum(count or 0 for count in counts)


def _of_thing(asked: Scene, thing: Thing) -> list[Wanted]:
    """Each attribute by itself, but together with the colour, by which things of one kind are told apart."""
    kind, found = (KINDS.index(thing.kind),), []
    colour = (_answer("colour", thing.colour),) if thing.colour else ()
    attributes = [("place", thing.place), ("size", thing.size if thing.size in SAID_SIZES else None)]
    if colour:
        found.append(Wanted(kind, colour, thing.count))
    found += [Wanted(kind, (*colour, _answer(name, said)), thing.count) for name, said in attributes if said]
    if thing.relation is not None and thing.other is not None:
        related = _answer("relation", thing.relation)
        if thing.relation == "next to":  # whichever of the two it is said of
            found.append(Wanted((*kind, KINDS.index(asked.things[thing.other].kind)), (related,)))
        else:
            number = None if thing.relation == "above" else thing.count  # not each of three balloons is above the house
            found.append(Wanted(kind, (*colour, related), number))
    return found


def _answer(name: str, said: str) -> tuple[str, int]:
    return name, ATTRIBUTES[name].index(said)


def surprise(logits: Mapping[str, Tensor], wishes: list[Wish]) -> Tensor:
    """What a latent reader says of B latents against B wishes: the sum of what each finds surprising, (B,), 0 or more."""
    chances = {name: logits[name].softmax(1) for name in ATTRIBUTES}
    here = logits["kind"].sigmoid()
    rows = []
    for row, wish in enumerate(wishes):
        terms = []
        for wanted in wish.wanted:
            like_it = here[row, list(wanted.kinds)].sum(0)
            for name, answer in wanted.said:
                like_it = like_it * chances[name][row, answer]
            terms.append(surprise_of_number(like_it, wanted.count))
        terms.append(here[row, list(wish.absent)].sum())
        terms += [OF_SCENE * _surprise_of_scene(logits, row, name, answer) for name, answer in wish.scene]
        rows.append(torch.stack(terms).sum())
    return torch.stack(rows)


def surprise_of_number(chances: Tensor, count: int | None) -> Tensor:
    """Of `count` things where each cell holds one with these chances, or of one or more where it is None: -log P(N > 0)."""
    if count is None:
        none = torch.log1p(-chances.clamp(max=1 - LEAST)).sum()
        return -torch.log(-torch.expm1(none.clamp(max=-LEAST)))
    mu = chances.sum().clamp(min=LEAST)
    return mu - count + count * (count / mu).log() if count else mu


def _surprise_of_scene(logits: Mapping[str, Tensor], row: int, name: str, answer: int) -> Tensor:
    if name == "scenery":
        return F.softplus(-logits[name][row, answer])
    return -logits[name][row].log_softmax(0)[answer]
