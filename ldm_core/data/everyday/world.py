"""The everyday world: its vocabulary, and what one scene of it holds.

A scene is a sky, a ground and one to four things, each a kind with a colour, a count, a place, a size and perhaps a
relation to another. Words for all of these are in captions.py, shapes in kinds/, places in the picture in layout.py.
"""

from __future__ import annotations

from dataclasses import dataclass

PEOPLE = ("man", "woman", "child")
ANIMALS = ("dog", "cat", "horse", "cow", "sheep", "bird", "elephant")
VEHICLES = ("car", "bus", "truck", "bicycle", "train", "airplane", "boat", "balloon", "kite")
BUILDINGS = ("house", "castle")
PLANTS = ("pine", "palm", "oak", "flowers")  # flowers: one clump of them, always said in the plural
FURNITURE = ("bench", "chair", "table", "bed", "lamp")
OBJECTS = ("umbrella", "ball", "cup", "pizza", "cake")
LIGHTS = ("sun", "moon", "rainbow")
KINDS = (*PEOPLE, *ANIMALS, *VEHICLES, *BUILDINGS, *PLANTS, *FURNITURE, *OBJECTS, *LIGHTS)
SKY_KINDS = ("bird", "airplane", "balloon", "kite", *LIGHTS)  # these are in the sky; a bird may also be on the ground
COUNTED_ONCE = ("flowers", *LIGHTS)  # of these a scene holds one, always

SKIES = ("day", "dawn", "sunset", "night", "storm")  # a storm has dark clouds and rain
GROUNDS = ("field", "snow", "desert", "lake", "beach", "street", "room")
PLACES = ("left", "center", "right")
SIZES = ("small", "medium", "big")  # medium is the ordinary size, of which nobody speaks
COUNTS = (1, 2, 3)

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "brown", "black")
# People carry the colour as clothes, houses as walls, boats as sails, flowers as petals, a lamp as its shade.
UNCOLOURED_KINDS = ("pine", "palm", "oak", "pizza", *LIGHTS)
COLOURED_KINDS = tuple(kind for kind in KINDS if kind not in UNCOLOURED_KINDS)
# Kinds that are also drawn without any of the ten colours (grey elephant, spotted cow, stone castle): in a complete
# scene, colour None means that look. All other coloured kinds have a colour in every complete scene.
NATURAL_KINDS = ("elephant", "cow", "castle")

RELATIONS = ("next to", "on", "in front of", "above", "riding", "holding")

# Combinations that no training picture holds: how such a prompt is drawn says how far a model composes. Each colour
# is carried by several other kinds in the same places, each kind by the nine other colours.
UNSEEN_PAIRS = (
    ("truck", "purple"),
    ("bench", "pink"),
    ("boat", "orange"),
    ("sheep", "green"),
    ("kite", "white"),
    ("lamp", "brown"),
)
UNSEEN_RELATIONS = (("child", "riding", "elephant"), ("cat", "on", "bench"))

# Seeds of scenes: models and detectors learn from the first range, are judged on the second; distribution metrics take
# their reference from the third. The ranges are disjoint, so no picture is ever on both sides of a comparison.
TRAINING_SEEDS = range(100_000_000)
HELD_OUT_SEEDS = range(100_000_000, 101_000_000)
REFERENCE_SEEDS = range(101_000_000, 102_000_000)


@dataclass(frozen=True)
class Thing:
    """One to three of a kind. In a scene read from a text, None means that the text does not say.

    `relation` (one of RELATIONS) holds towards `other`, the index in the scene's things of the thing it is on, rides,
    holds, and so on. In a complete scene two things of one relation have the same place.
    """

    kind: str
    colour: str | None = None
    count: int | None = None
    place: str | None = None
    size: str | None = None
    relation: str | None = None
    other: int | None = None


@dataclass(frozen=True)
class Scene:
    """What is to be seen. In a scene read from a text, None (and False) mean that the text does not say."""

    sky: str | None = None
    ground: str | None = None
    things: tuple[Thing, ...] = ()
    mountains: bool = False
    clouds: bool = False
    stars: bool = False
    layout: int = 0  # seeds the drawing's small variations: variants, exact positions, hills, stars

    @property
    def has_unseen_pair(self) -> bool:
        """Whether a thing in it has a colour that its kind never has in training."""
        return any((thing.kind, thing.colour) in UNSEEN_PAIRS for thing in self.things)

    @property
    def has_unseen_relation(self) -> bool:
        """Whether two things in it stand in a relation that their kinds never have in training."""
        return any(
            (thing.kind, thing.relation, self.things[thing.other].kind) in UNSEEN_RELATIONS
            for thing in self.things
            if thing.relation is not None and thing.other is not None
        )
