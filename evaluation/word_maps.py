"""What word maps are worth: a word's map on a real drawing against the drawing program's exact mask of what it names.

    python -m evaluation.word_maps scenes

Drawings of held-out seeds are encoded, noised to a time t and given to the denoiser with their caption; of each noun that
names one thing in the picture, the map (ldm_core/word_maps.py) is compared with the thing's mask. Printed for each t:
iou, of the mask and the map above a threshold, which was chosen on training drawings; pointing, how often the map's maximum
lies inside the mask. Chance is the same for the mask of a thing of that kind in another drawing: what a map comes to that
knows where such things stand at large, and not where this one does. The ceiling is the iou of the mask itself once it has
been through the resolution of the finest map.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

import ldm_core
from ldm_core import word_maps
from ldm_core.attention import watched
from ldm_core.conditioning import Conditioning
from ldm_core.images import from_uint8
from ldm_core.pipeline import LatentDiffusion
from ldm_core.schedulers import make_scheduler
from ldm_core.training import everyday
from ldm_core.training.held_out import WORLDS
from ldm_core.training.losses import diffusion_target

from . import command
from .statistics import Estimate, mean

TIMES = (0.3, 0.5, 0.7, 0.9)
THRESHOLDS = np.linspace(0.05, 0.95, 19)  # of a map brought to [0, 1]
LEAST_AREA = 0.005  # of a picture: what is smaller, or more of it hidden, is no fair question


@dataclass(frozen=True)
class Asked:
    """A drawing with its caption, and the nouns that name one thing each: (word, kind, mask (H, W) of 0 and 1)."""

    seed: int
    image: np.ndarray
    caption: str
    nouns: list[tuple[str, str, Tensor]]


@dataclass(frozen=True)
class Compared:
    """A word's map, and the mask of what it names, both (H, W) in [0, 1]; the mask through the map's own resolution."""

    seed: int
    kind: str
    map: Tensor
    mask: Tensor
    coarse: Tensor


def kind_words() -> dict[str, str]:
    """Single words that name a kind of thing, and which."""
    return {word: name for word, name in everyday.names().items() if name in everyday.world.KINDS}


def drawings(world: str, seeds: Iterable[int], size: int) -> Iterator[Asked]:
    """Those drawings of the seeds whose captions name something that there is one of."""
    module, say = WORLDS[world]
    known = kind_words()
    for seed in seeds:
        scene: Any = module.random_scene(seed)
        caption = say(scene, seed)
        told = caption.lower().replace(",", " ").split()
        kinds = [thing.kind for thing in scene.things]
        nouns = []
        for thing, mask in zip(scene.things, torch.from_numpy(module.masks(scene, size))):
            said = [word for word in told if known.get(word) == thing.kind]
            inside = (mask > 0.5).float()
            if len(said) == 1 and kinds.count(thing.kind) == 1 and inside.mean() >= LEAST_AREA:
                nouns.append((said[0], thing.kind, inside))
        if nouns:
            yield Asked(seed, module.draw(scene, size), caption, nouns)


@torch.inference_mode()
def compare(model: LatentDiffusion, asked: Sequence[Asked], times: Sequence[float]) -> dict[float, list[Compared]]:
    """The maps of one call of the denoiser for each drawing at each time; the noise is its seed's."""
    alphas = make_scheduler(model.scheduler_config, "ddim").alphas_cumprod
    found: dict[float, list[Compared]] = {t: [] for t in times}
    for one in tqdm(asked, "drawings", mininterval=2):
        clean = model.encode(from_uint8(one.image[None]))
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(one.seed)).to(clean)
        told = Conditioning.stack([model.conditioner.encode(one.caption)])
        words = {word.text.lower(): word for word in word_maps.words_of_prompt(model.conditioner, one.caption)}
        nouns = [noun for noun in one.nouns if noun[0] in words]  # a caption may be longer than the encoder reads
        for t in times:
            index = torch.tensor(min(int(t * len(alphas)), len(alphas) - 1))
            noisy, _ = diffusion_target(clean, noise, alphas[index].view(1).to(clean), "epsilon")
            with watched(model.denoiser.network) as maps:
                model.denoiser(noisy, index, told, 1)
                tokens, finest = maps.at_size(*clean.shape[2:]).cpu(), maps.finest(*clean.shape[2:])
            for noun, kind, mask in nouns:
                own = _shown(word_maps.of_words(tokens, [words[noun]]), mask)
                found[t].append(Compared(one.seed, kind, own, mask, _coarse(mask, finest, clean.shape[2:])))
    return found


def _shown(maps: Tensor, mask: Tensor) -> Tensor:
    """A map (1, h, w) at the mask's size, from 0 at its least to 1 at its most."""
    large = word_maps.at_size(maps, *mask.shape)[0]
    return (large - large.min()) / (large.max() - large.min()).clamp(min=1e-12)


def _coarse(mask: Tensor, finest: tuple[int, int], latent: Sequence[int]) -> Tensor:
    """The mask as it would be as a map: averaged to the cells of the finest one, and back."""
    cells = F.adaptive_avg_pool2d(mask[None, None], finest)
    grid = F.interpolate(cells, tuple(latent), mode="bicubic", align_corners=False).clamp(min=0)
    return _shown(grid[0], mask)


def iou(shown: Tensor, mask: Tensor, threshold: float) -> float:
    """Intersection over union of a mask and what of a map is above a threshold."""
    above = shown > threshold
    return float((above & (mask > 0)).sum() / (above | (mask > 0)).sum())


def points_inside(shown: Tensor, mask: Tensor) -> float:
    """1 where the map's maximum lies inside the mask, else 0."""
    return float(mask.flatten()[shown.argmax()] > 0)


def best_threshold(maps: Sequence[Tensor], masks: Sequence[Tensor]) -> float:
    """The one of THRESHOLDS at which the mean iou is largest."""
    means = [np.mean([iou(one, mask, threshold) for one, mask in zip(maps, masks)]) for threshold in THRESHOLDS]
    return float(THRESHOLDS[int(np.argmax(means))])


def with_others_masks(found: Sequence[Compared]) -> list[Compared]:
    """Each map with the mask of a thing of its kind in another drawing; kinds that occur once are left out."""
    shuffled, rng = [], random.Random(0)
    for kind in sorted({one.kind for one in found}):
        own = [one for one in found if one.kind == kind]
        shift = rng.randrange(1, len(own)) if len(own) > 1 else 0
        shuffled += [replace(one, mask=own[(at + shift) % len(own)].mask) for at, one in enumerate(own) if shift]
    return shuffled


def figures(found: Sequence[Compared], calibration: Sequence[Compared]) -> dict[str, Estimate]:
    """The means over things, each with its interval over drawings; thresholds are chosen on `calibration`."""
    masks = [one.mask for one in calibration]
    threshold = best_threshold([one.map for one in calibration], masks)
    coarse = best_threshold([one.coarse for one in calibration], masks)
    others = with_others_masks(found)
    values = {
        "iou": (found, [iou(one.map, one.mask, threshold) for one in found]),
        "iou by chance": (others, [iou(one.map, one.mask, threshold) for one in others]),
        "iou ceiling": (found, [iou(one.coarse, one.mask, coarse) for one in found]),
        "pointing": (found, [points_inside(one.map, one.mask) for one in found]),
        "pointing by chance": (others, [points_inside(one.map, one.mask) for one in others]),
    }
    return {name: mean(each, [one.seed for one in group], (0.0, 1.0)) for name, (group, each) in values.items() if each}


def by_kind(found: Sequence[Compared], calibration: Sequence[Compared]) -> pd.DataFrame:
    """A row for each kind: how many, iou, pointing."""
    threshold = best_threshold([one.map for one in calibration], [one.mask for one in calibration])
    rows = [
        {"kind": one.kind, "iou": iou(one.map, one.mask, threshold), "pointing": points_inside(one.map, one.mask)}
        for one in found
    ]
    return pd.DataFrame(rows).groupby("kind").agg(n=("iou", "size"), iou=("iou", "mean"), pointing=("pointing", "mean"))


def said(found: Estimate) -> str:
    """An estimate as it stands in a table."""
    return f"{found.value:.3f}" + (f" [{found.low:.3f}, {found.high:.3f}]" if found.low is not None else "")


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("evaluation.word_maps", __doc__)
    parser.add_argument("model", help="a model of a drawn world: a registry name or a folder")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="held-out drawings (default: %(default)s)")
    note = "drawings that the threshold is chosen on (default: %(default)s)"
    parser.add_argument("--calibration", type=int, default=40, metavar="N", help=note)
    parser.add_argument("--times", type=float, nargs="+", default=TIMES, metavar="T", help="0 clean, 1 noise")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    model = ldm_core.load(arguments.model, dtype="float32", engine="torch")
    world = model.spec.world
    if world not in WORLDS:
        raise ValueError(f"model {arguments.model!r} draws no world with masks; those of {', '.join(WORLDS)} do")
    if min(arguments.count, arguments.calibration) < 2 or not all(0 <= t <= 1 for t in arguments.times):
        raise ValueError("--count and --calibration must be 2 or more, and --times from 0 to 1")
    word_maps.check_watchable(model.denoiser)
    module, _ = WORLDS[world]
    asked, tuning = (
        list(itertools.islice(drawings(world, seeds, model.height), count))
        for seeds, count in ((module.HELD_OUT_SEEDS, arguments.count), (module.TRAINING_SEEDS, arguments.calibration))
    )
    found, calibration = (compare(model, each, arguments.times) for each in (asked, tuning))
    rows = [
        {"t": t, "things": len(found[t])} | {k: said(v) for k, v in figures(found[t], calibration[t]).items()}
        for t in arguments.times
    ]
    kinds = max((by_kind(found[t], calibration[t]) for t in arguments.times), key=lambda table: table.iou.mean())
    print(f"{arguments.model}: {len(asked)} held-out drawings, intervals of 95 % over drawings\n")
    print(pd.DataFrame(rows).to_string(index=False))
    print(f"\nby kind, at the best of these times\n{kinds.round(3).to_string()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
