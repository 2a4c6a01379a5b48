"""The phrases that captions of the everyday world are made of; nouns of the same meaning come from nearest.csv."""

from __future__ import annotations

from .world import KINDS

# How a kind is called, the first most often; further synonyms are in nearest.csv.
NOUNS: dict[str, tuple[str, ...]] = {kind: (kind,) for kind in KINDS} | {
    "man": ("man", "man", "man", "guy", "gentleman", "person"),
    "woman": ("woman", "woman", "woman", "lady"),
    "child": ("child", "child", "kid", "boy", "girl"),
    "dog": ("dog", "dog", "dog", "puppy"),
    "cat": ("cat", "cat", "cat", "kitten"),
    "horse": ("horse", "horse", "horse", "pony"),
    "car": ("car", "car", "car", "auto"),
    "truck": ("truck", "truck", "lorry"),
    "bicycle": ("bicycle", "bike"),
    "train": ("train", "train", "train", "locomotive"),
    "airplane": ("airplane", "plane", "plane", "jetliner"),
    "boat": ("boat", "boat", "boat", "sailboat", "ship"),
    "balloon": ("hot air balloon", "hot air balloon", "balloon"),
    "house": ("house", "house", "house", "cottage", "cabin"),
    "pine": ("pine tree", "pine tree", "pine", "fir tree"),
    "palm": ("palm tree", "palm tree", "palm"),
    "oak": ("tree", "tree", "oak tree", "oak"),
    "flowers": ("flower",),
    "cup": ("cup", "cup", "cup", "mug"),
    "moon": ("moon", "moon", "full moon"),
}
# Words that fit one look of a kind alone (layout.look_names): who sees a girl drawn does not say "a boy".
LOOK_NOUNS: dict[str, tuple[str, ...]] = {
    "boy": ("boy", "lad", "schoolboy"),
    "girl": ("girl", "lass", "schoolgirl"),
    "full moon": ("full moon",),
    "crescent moon": ("crescent moon",),
    "armchair": ("armchair", "arm chair"),
    "cottage": ("cottage",),
    "double-decker": ("double decker bus", "double decker"),
    "double bed": ("double bed",),
    "pickup": ("pickup truck", "pickup", "pick up truck"),
    "lorry": ("lorry",),
    "floor lamp": ("floor lamp",),
    "sailboat": ("sailboat", "sailing boat", "sail boat", "sailing ship"),
    "table lamp": ("table lamp", "desk lamp"),
    "mug": ("mug", "coffee mug"),
    "airliner": ("airliner", "jetliner", "passenger plane"),
    "parasol": ("parasol",),
    "whole": ("birthday cake", "layer cake", "pizza pie"),
}
# Words before a noun that say nothing the world holds.
ADJECTIVES = {
    **dict.fromkeys(("man", "woman"), ("young", "old", "smiling")),
    "child": ("young", "happy", "smiling"),
    **dict.fromkeys(("dog", "cat", "horse", "cow", "sheep", "bird", "elephant"), ("cute", "young", "old", "lovely")),
    **dict.fromkeys(("house", "castle", "car", "bus", "truck", "boat", "bicycle", "train"), ("old", "new", "pretty")),
    **dict.fromkeys(("bench", "chair", "table", "bed", "lamp"), ("old", "new", "nice")),
    **dict.fromkeys(("pizza", "cake", "flowers"), ("fresh", "nice")),
}
NATURAL_LOOKS = {"elephant": ("grey", "gray"), "cow": ("spotted", "spotted"), "castle": ("stone", "grey", "gray")}
POSTURES = {
    **dict.fromkeys(("man", "woman", "child"), ("standing", "walking")),
    **dict.fromkeys(("dog", "cat", "elephant"), ("standing", "walking")),
    **dict.fromkeys(("horse", "cow", "sheep"), ("standing", "grazing")),
    **dict.fromkeys(("car", "truck", "bus", "bicycle"), ("parked",)),
    "train": ("traveling", "passing"),
    "boat": ("sailing", "floating"),
    **dict.fromkeys(("airplane", "kite"), ("flying", "flying in the sky")),
    "balloon": ("floating in the sky", "flying"),
    "bird": ("flying",),
    "sun": ("shining", "in the sky"),
    "moon": ("shining", "in the sky"),
    "rainbow": ("in the sky",),
}
SIZE_WORDS = {"small": ("small", "small", "little", "tiny"), "big": ("big", "big", "large", "huge")}
PLACE_WORDS = {"left": ("left",), "center": ("center", "middle"), "right": ("right",)}
PLACE_PHRASES = {
    "left": ("on the left", "on the left", "on the left side", "to the left", "at the left"),
    "center": ("in the center", "in the middle", "in the center", "in the middle", "at the center"),
    "right": ("on the right", "on the right", "on the right side", "to the right", "at the right"),
}
COUNT_WORDS = {2: ("two", "two", "two", "a pair of", "a couple of"), 3: ("three",)}
GARMENTS = {
    "man": ("shirt", "shirt", "jacket", "coat", "sweater", "suit"),
    "woman": ("dress", "dress", "coat", "shirt", "jacket", "blouse"),
    "child": ("shirt", "jacket", "sweater", "coat", "outfit"),
}
PARTS = {"boat": "sail", "house": "wall", "lamp": "shade"}  # the part that carries the colour: a boat with a red sail

RELATION_PHRASES = {
    "next to": ("next to", "next to", "beside", "by", "near", "standing next to"),
    "on": ("on", "on", "on top of"),
    "in front of": ("in front of",),
    "above": ("above", "over"),
    "riding": ("riding", "riding", "riding on", "on"),
    "holding": ("holding", "holding", "carrying"),
}
RESTING_PHRASES = {
    **dict.fromkeys(("man", "woman", "child"), ("sitting on",)),
    **dict.fromkeys(("dog", "cat"), ("sitting on", "lying on", "sleeping on")),
}
INVERSE_PHRASES = {"in front of": ("behind",), "above": ("under", "below", "beneath")}  # said from the other's side

SKY_PHRASES: dict[str, tuple[str, ...]] = {
    "day": (
        "on a sunny day",
        "by day",
        "in daylight",
        "on a clear day",
        "on a bright day",
        "during the day",
        "in the daytime",
    ),
    "dawn": ("at dawn", "at sunrise", "early in the morning", "in the morning", "at daybreak"),
    "sunset": ("at sunset", "at dusk", "in the evening", "in the evening light", "at twilight", "at sundown"),
    "night": ("at night", "at night", "by night", "at midnight", "at nighttime"),
    "storm": (
        "on a rainy day",
        "during a storm",
        "in a storm",
        "on a stormy day",
        "in stormy weather",
        "in a thunderstorm",
        "in a rainstorm",
        "in a downpour",
    ),
}
OPEN_SKY_PHRASES = {  # not for a room
    "day": ("under a blue sky", "under a clear sky"),
    "dawn": ("in the morning light",),
    "sunset": ("under an evening sky",),
    "night": ("under the night sky",),
    "storm": ("in the rain", "in the rain", "under a stormy sky"),
}
SKY_NOUNS = {
    "day": ("a blue sky", "a sunny sky", "a clear sky"),
    "dawn": ("a morning sky", "a sky at dawn"),
    "sunset": ("an evening sky", "a sunset sky"),
    "night": ("a night sky", "the night sky"),
    "storm": ("a stormy sky", "a rainy sky"),
}
GROUND_PHRASES: dict[str, tuple[str, ...]] = {
    "field": (
        "in a field",
        "in a grassy field",
        "on the grass",
        "in a park",
        "in a green meadow",
        "in the countryside",
    ),
    "snow": ("in the snow", "in the snow", "on snow", "in a snowy field", "in a snowy landscape"),
    "desert": ("in the desert", "in a desert", "among sand dunes", "in a sandy desert"),
    "lake": ("on a lake", "by a lake", "at the lake", "near the water", "by a pond", "by a river"),
    "beach": ("on the beach", "on a beach", "on a sandy beach", "at the beach", "by the sea", "near the ocean"),
    "street": ("on a street", "on the street", "on a road", "in the street", "in a city", "on a city street"),
    "room": ("in a room", "in a room", "in a living room", "in a bedroom", "in a kitchen", "inside a room"),
}
GROUND_NOUNS = {
    "field": ("a grassy field", "a green meadow", "a park", "a field"),
    "snow": ("a snowy field", "a snowy landscape"),
    "desert": ("a desert", "a sandy desert", "sand dunes"),
    "lake": ("a lake", "a calm lake", "a pond"),
    "beach": ("a beach", "a sandy beach"),
    "street": ("a street", "a city street", "a road"),
    "room": ("a room", "a living room", "a bedroom", "a kitchen"),
}
# How a ground's synonym from nearest.csv is led in, where the ground's own way does not fit.
GROUND_LEADS = {
    "field": "in a",
    "snow": "in the",
    "desert": "in a",
    "lake": "by a",
    "beach": "on a",
    "street": "on a",
    "room": "in a",
}
ODD_LEADS = {
    "lawn": "on a",
    "grass": "on the",
    "farm": "on a",
    "grassland": "in",
    "farmland": "in",
    "prairie": "on a",
    "countryside": "in the",
    "ice": "on the",
    "snowfield": "in a",
    "snowy field": "in a",
    "sahara": "in the",
    "dune": "on a",
    "sand dune": "on a",
    "water": "on the",
    "lakeside": "at the",
    "seaside": "at the",
    "sand": "on the",
    "city": "in a",
    "town": "in a",
    "parking lot": "in a",
    "pavement": "on the",
    "sidewalk": "on the",
    "coast": "on the",
    "shore": "on the",
    "seashore": "on the",
    "coastline": "on the",
    "shoreline": "on the",
}
_MOUNTAINS = ("mountains", "mountains in the background", "mountains behind", "a mountain in the background")
_CLOUDS = ("clouds", "some clouds", "clouds in the sky", "fluffy clouds", "a cloudy sky")
_STARS = ("stars", "stars in the sky", "bright stars")
# The hour and something of the sky in one phrase.
STARRY_NIGHTS = ("on a starry night", "under a starry sky", "under the stars at night", "on a starry night")
CLOUDY_DAYS = ("on a cloudy day", "on an overcast day", "by day under a cloudy sky")
SCENERY_PHRASES = {"mountains": _MOUNTAINS, "clouds": _CLOUDS, "stars": _STARS}
OPENINGS = ("", "", "", "", "", "a picture of ", "a photo of ", "a drawing of ", "a view of ", "there is ")
