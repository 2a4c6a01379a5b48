"""The lessons that workers make of the everyday world: pictures with what is said of them, and captions alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from transformers import CLIPTokenizer

from ...data import everyday as world
from .. import everyday, wording
from ..corpus import silhouette
from .studio import Arrays

SLOTS = 8  # masks kept of a picture: a kind and a colour of each of its things
HEARD = 64  # captions alone for each picture that a job of as many would hold
NAMES = tuple(sorted(set(everyday.names().values())))  # the kinds and colours that masks are of
LONGEST = 32  # facts kept of a caption


@dataclass(frozen=True)
class Drawing:
    """Makers of lessons, each of whose lessons depends on its number alone.

    Lesson i is picture i of the corpus, and its captions are the corpus' own: caption(i, 0), caption(i, 1) and so on.
    """

    tokenizer: CLIPTokenizer
    tokens: int  # longest prompt, start and end included
    size: int  # of pictures, pixels
    captions: int  # of each picture
    attribute_dropout: float  # share of captions in which one thing's colour, its noun or both are left out

    def pictures(self, start: int, count: int) -> Arrays:
        """images uint8 (count, size, size, 3); tokens int16 (count, captions, tokens); masks uint8 (count, SLOTS, 16, 16), of
        255, of what names int16 (count, SLOTS) say by their places in NAMES, -1 where there are fewer."""
        scenes = self.scenes(start, count)
        names = np.full((count, SLOTS), -1, np.int16)
        masks = np.zeros((count, SLOTS, everyday.MASK_SIZE, everyday.MASK_SIZE), np.uint8)
        for row, scene in enumerate(scenes):
            for slot, (name, mask) in enumerate(list(everyday.masks_of(scene).items())[:SLOTS]):
                names[row, slot], masks[row, slot] = NAMES.index(name), np.rint(255 * mask.astype(np.float32))
        images = np.stack([world.draw(scene, self.size) for scene in scenes])
        tokens = np.stack([self.said(scene, start + row) for row, scene in enumerate(scenes)])
        return {"images": images, "tokens": tokens, "masks": masks, "names": names}

    def silhouettes(self, start: int, count: int) -> Arrays:
        """Pictures, and of each its silhouette, a bit a pixel: uint8 (count, size, size / 8)."""
        shown = [silhouette(world.masks(scene, self.size)) for scene in self.scenes(start, count)]
        return self.pictures(start, count) | {"silhouettes": np.packbits(np.stack(shown) > 127, axis=2)}

    def heard(self, start: int, count: int) -> Arrays:
        """Captions without pictures, HEARD times as many: tokens int16 (N, tokens) and facts int16 (N, LONGEST), the places of
        those that are stated in the world's list, -1 where there are fewer."""
        columns = {fact: column for column, fact in enumerate(everyday.facts())}
        captions = [everyday.heard(index) for index in range(start * HEARD, (start + count) * HEARD)]
        facts = np.full((len(captions), LONGEST), -1, np.int16)
        for row, caption in enumerate(captions):
            stated = sorted(columns[fact] for fact in everyday.facts_of(caption))[:LONGEST]
            facts[row, : len(stated)] = stated
        return {"tokens": self.tokens_of(captions), "facts": facts}

    def scenes(self, start: int, count: int) -> list[world.Scene]:
        """Of the training seeds, from the start-th on."""
        return [world.random_scene(seed) for seed in world.TRAINING_SEEDS[start : start + count]]

    def said(self, scene: world.Scene, index: int) -> np.ndarray:
        """Tokens of the captions of picture `index`, int16 (captions, tokens)."""
        rng = np.random.default_rng((0, index))
        settings = (world.COLOURS, everyday.nouns(), self.attribute_dropout, rng)
        captions = [everyday.told(scene, index * 1009 + k) for k in range(self.captions)]
        return self.tokens_of([wording.less_one_attribute(caption, *settings) for caption in captions])

    def tokens_of(self, captions: list[str]) -> np.ndarray:
        """int16 (len(captions), tokens), padded to the longest prompt."""
        options = dict(padding="max_length", truncation=True, max_length=self.tokens, return_tensors="np")
        return self.tokenizer(captions, **options).input_ids.astype(np.int16)
