"""Training pictures by name: the everyday world and Fashion-MNIST, each with captions, or a folder of photographs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..data import fashion_mnist, photos
from ..data.everyday import Scene
from . import everyday


@dataclass(frozen=True)
class Corpus:
    """images is uint8 (N, H, W, 3); caption(i, k) is the k-th way to say picture i; words are all that captions hold.

    facts are all that a caption can state, facts_of(caption) those that it does. heard(i) are captions without pictures,
    for the text encoder to learn from, which may tell of what no picture shows (is_withheld says which do), and judged(i)
    others, on which its reading is judged, fact by fact of each sort; where None, it reads `caption`.

    names says what a word names, a kind or a colour; masks(i) where each named thing is in picture i, float16 (h, w) of
    the share of each cell that it covers; colours are the words of colour,
    nouns those for one thing of a kind. silhouette(i) is uint8 (H, W), 255 where picture i shows a thing. Empty where the
    corpus has none. scenes are what the pictures show and asked(caption) what a caption says of one, where a program draws them;
    beside the places of those that show two things side by side.
    """

    images: np.ndarray | everyday.Drawings
    caption: Callable[[int, int], str]
    words: list[str]
    facts: list[str]
    facts_of: Callable[[str], set[str]]
    heard: Callable[[int], str] | None = None
    judged: Callable[[int], str] = lambda i: ""
    is_withheld: Callable[[str], bool] = lambda caption: False
    sort_of: Callable[[str], str] = lambda fact: "fact"
    names: dict[str, str] = field(default_factory=dict)
    masks: Callable[[int], dict[str, np.ndarray]] = lambda i: {}
    colours: frozenset[str] = frozenset()
    nouns: frozenset[str] = frozenset()
    silhouette: Callable[[int], np.ndarray] | None = None
    scenes: Sequence[Scene] = ()
    beside: Sequence[int] = ()
    asked: Callable[[str], Scene | None] = lambda caption: None


def load_corpus(name: str, count: int, size: int, folder: Path | None = None, shown: int = 0) -> Corpus:
    """The first `count` training pictures of everyday, fashion or a folder of photos, at size x size pixels.

    shown: of the everyday world, how many pictures of each withheld combination are among them all the same.
    """
    if name == "everyday":
        return _everyday(count, size, shown)
    if name == "fashion":
        return _fashion(count, size, folder)
    if name == "photos":
        return _photos(count, size, folder)
    raise ValueError(f"data must be everyday, fashion or photos, got {name!r}")


def _everyday(count: int, size: int, shown: int) -> Corpus:
    pictured = everyday.training_scenes(count, shown)
    return Corpus(
        images=everyday.Drawings(pictured, size),
        caption=lambda i, k: everyday.told(pictured[i], i * 1009 + k),
        words=everyday.words(),
        facts=everyday.facts(),
        facts_of=everyday.facts_of,
        heard=everyday.heard,
        judged=everyday.judged,
        is_withheld=everyday.is_withheld,
        sort_of=everyday.sort_of,
        names=everyday.names(),
        masks=functools.cache(lambda i: everyday.masks_of(pictured[i])),  # as dear as a drawing: once for each
        colours=frozenset(everyday.world.COLOURS),
        nouns=everyday.nouns(),
        silhouette=lambda i: silhouette(everyday.world.masks(pictured[i], size)),
        scenes=pictured,
        beside=[i for i, scene in enumerate(pictured) if any(thing.relation == "next to" for thing in scene.things)],
        asked=everyday.parse,
    )


def silhouette(masks: np.ndarray) -> np.ndarray:
    """Masks (things, H, W) in [0, 1] of what does not overlap -> uint8 (H, W): white on black, all things alike."""
    return np.rint(255 * np.minimum(1, masks.sum(0))).astype(np.uint8)


def _photos(count: int, size: int, folder: Path | None) -> Corpus:
    if folder is None:
        raise ValueError("--data must name a folder of photographs for this recipe")
    images = list(tqdm(photos.squares(folder, count, size), desc="reading", unit="photo", mininterval=2))
    if not images:
        raise ValueError(f"--data {folder} holds no photograph of at least {size} x {size} pixels")
    return Corpus(np.stack(images), lambda i, k: "", [], [], lambda text: set())


def _fashion(count: int, size: int, folder: Path | None) -> Corpus:
    images, labels = fashion_mnist.load("train", folder)
    images, labels = fashion_mnist.pad(images, size)[:count], labels[:count]
    words = {word for label in range(10) for k in range(200) for word in fashion_mnist.caption(label, k).split()}
    coloured = np.repeat(images[..., None], 3, axis=3)
    return Corpus(
        coloured,
        lambda i, k: fashion_mnist.caption(int(labels[i]), i * 1009 + k),
        sorted(words),
        [str(label) for label in range(10)],
        lambda text: {str(fashion_mnist.parse(text))},
    )
