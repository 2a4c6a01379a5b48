"""Scenes in words, and words back into scenes.

`caption` says a scene in one of many ways and may leave things out, as people do; `parse` understands those ways and
free wording in the same vocabulary ("night sky over a little yellow house by the lake").
"""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Mapping

from .chance import pick
from .world import COLOURS, PLACES, Scene, Thing

SKY_PHRASES = {
    "day": ("on a sunny day", "by day", "in daylight", "on a clear day", "under a blue sky", "on a bright day"),
    "dawn": ("at dawn", "at sunrise", "early in the morning", "in the morning light"),
    "sunset": ("at sunset", "at dusk", "in the evening", "in the evening light"),
    "night": ("at night", "under a starry sky", "on a starry night", "by night", "at midnight"),
    "storm": ("in a storm", "under a stormy sky", "on a stormy day", "in bad weather"),
}
SKY_NOUNS = {
    "day": ("a blue sky", "a sunny sky", "a bright sky"),
    "dawn": ("a morning sky", "a sky at dawn"),
    "sunset": ("an evening sky", "a sunset sky"),
    "night": ("a night sky", "a starry sky"),
    "storm": ("a stormy sky", "a dark stormy sky"),
}
GROUND_PHRASES = {
    "field": ("in a grassy field", "on a green meadow", "on the grass", "in a field", "in the countryside"),
    "snow": ("in a snowy field", "in the snow", "on snow", "in winter", "in a snowy landscape"),
    "desert": ("in a desert", "in the desert", "on the sand", "among sand dunes"),
    "lake": ("on a lake", "by the lake", "at the lake", "by the water", "near a lake"),
}
GROUND_NOUNS = {
    "field": ("a grassy field", "a green meadow", "a field of grass"),
    "snow": ("a snowy field", "a snowy landscape", "a winter landscape"),
    "desert": ("a desert", "a sandy desert", "sand dunes"),
    "lake": ("a lake", "a calm lake", "a quiet lake"),
}
NOUNS = {
    "house": ("house", "house", "house", "cottage", "home", "cabin", "hut"),
    "pine": ("pine tree", "pine tree", "pine", "fir tree", "evergreen tree"),
    "palm": ("palm tree", "palm tree", "palm"),
    "boat": ("boat", "sailing boat", "sailboat"),
    "balloon": ("hot air balloon", "hot air balloon", "balloon"),
    "sun": ("sun",),
    "moon": ("moon", "moon", "full moon"),
}
ADJECTIVES = ("little", "small", "old", "big", "lonely", "pretty")
PLACE_PHRASES = {
    "left": ("on the left", "on the left", "to the left", "on the left side"),
    "center": ("in the center", "in the middle", "in the center", "at the center"),
    "right": ("on the right", "on the right", "to the right", "on the right side"),
}
MOUNTAIN_PHRASES = (
    "mountains",
    "mountains in the background",
    "mountains behind",
    "snow-capped mountains",
    "tall peaks",
)
CLOUD_PHRASES = ("clouds", "some clouds", "clouds in the sky", "white clouds")
OPENINGS = ("", "", "", "", "", "a picture of ", "a drawing of ", "a view of ", "there is ", "a landscape with ")


def caption(scene: Scene, seed: int) -> str:
    """One way to say a complete scene, the same for the same seed; three in ten captions leave details out."""
    rng = random.Random(operator.index(seed))
    said = _leave_out(rng, scene) if rng.random() < 0.3 else scene
    return re.sub(r"\s+", " ", _sentence(rng, said)).strip()


def _leave_out(rng: random.Random, scene: Scene) -> Scene:
    """Forget some of the scene, but never everything."""
    things = tuple(
        Thing(thing.kind, thing.colour, None if rng.random() < 0.4 else thing.place)
        for thing in scene.things
        if rng.random() < 0.8
    )
    sky, ground = (None if rng.random() < 0.35 else name for name in (scene.sky, scene.ground))
    if not things and sky is None:
        ground = scene.ground
    mountains, clouds = (told and rng.random() < 0.5 for told in (scene.mountains, scene.clouds))
    return Scene(sky, ground, things, mountains, clouds)


def _sentence(rng: random.Random, scene: Scene) -> str:
    things = _listed(rng, scene)
    sky = pick(rng, SKY_PHRASES[scene.sky]) if scene.sky else ""
    ground = pick(rng, GROUND_PHRASES[scene.ground]) if scene.ground else ""
    if not things:
        return f"{_empty_ground(rng, scene)} {sky}"
    form = rng.random()
    if form < 0.15 and sky:
        return f"{sky}, {things} {ground}"
    if form < 0.30 and scene.sky:
        return f"{pick(rng, SKY_NOUNS[scene.sky])} over {things} {ground}"
    if form < 0.45 and scene.ground:
        return f"{pick(rng, GROUND_NOUNS[scene.ground])} with {things} {sky}"
    if form < 0.60:
        return f"{pick(rng, OPENINGS)}{things}, {sky} {ground}" if sky or ground else f"{pick(rng, OPENINGS)}{things}"
    comma = pick(rng, ("", ",")) if ground or sky else ""
    return f"{pick(rng, OPENINGS)}{things}{comma} {ground} {sky}"


def _empty_ground(rng: random.Random, scene: Scene) -> str:
    if scene.ground:
        return pick(rng, GROUND_NOUNS[scene.ground])
    return pick(rng, SKY_NOUNS[scene.sky or ""])  # one of the two is there


def _listed(rng: random.Random, scene: Scene) -> str:
    parts = [_thing(rng, thing) for thing in scene.things]
    parts = [part for _, part in sorted((rng.random(), part) for part in parts)]
    parts += [pick(rng, MOUNTAIN_PHRASES)] if scene.mountains else []
    parts += [pick(rng, CLOUD_PHRASES)] if scene.clouds else []
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + f" and {parts[-1]}"


def _thing(rng: random.Random, thing: Thing) -> str:
    noun, adjective = pick(rng, NOUNS[thing.kind]), pick(rng, ADJECTIVES) if rng.random() < 0.12 else ""
    if thing.kind in ("sun", "moon"):
        article, adjective = pick(rng, ("a", "the")), ""
    else:
        article = "a"
    if thing.kind == "boat" and rng.random() < 0.4:
        words = f"{article} {adjective} boat with a {thing.colour} sail"
    else:
        words = f"{article} {adjective} {thing.colour or ''} {noun}"
    words = re.sub(r"\s+", " ", words).strip()
    words = re.sub(r"^a (?=[aeo])", "an ", words)
    if thing.place is None:
        return words
    place = pick(rng, PLACE_PHRASES[thing.place])
    return f"{place} {words}" if rng.random() < 0.08 else f"{words} {place}"


KIND_WORDS = {  # single words that name a kind
    "house": "house",
    "houses": "house",
    "cottage": "house",
    "cottages": "house",
    "home": "house",
    "cabin": "house",
    "hut": "house",
    "barn": "house",
    "farmhouse": "house",
    "pine": "pine",
    "pines": "pine",
    "fir": "pine",
    "evergreen": "pine",
    "palm": "palm",
    "palms": "palm",
    "boat": "boat",
    "boats": "boat",
    "sailboat": "boat",
    "sailboats": "boat",
    "balloon": "balloon",
    "balloons": "balloon",
    "sun": "sun",
    "moon": "moon",
}
_SKY_WORDS = {  # the first that occurs decides: "a stormy night" is a storm, "the blue of the night" is night
    "storm": ("storm", "stormy", "thunderstorm", "bad weather"),
    "night": ("night", "midnight", "starry", "stars", "nighttime"),
    "sunset": ("sunset", "dusk", "evening"),
    "dawn": ("dawn", "sunrise", "morning"),
    "day": ("day", "daylight", "daytime", "sunny", "noon", "blue sky", "bright sky"),
}
_GROUND_WORDS = {
    "lake": ("lake", "lakes", "water"),
    "snow": ("snow", "snowy", "winter"),
    "desert": ("desert", "sand", "sandy", "dunes"),
    "field": ("field", "grass", "grassy", "meadow", "countryside", "fields", "meadows"),
}
_PLACE_WORDS = {"left": "left", "center": "center", "centre": "center", "middle": "center", "right": "right"}
_BREAKS = (",", ".", ";", "and", "with", "over", "behind")


def parse(text: str) -> Scene | None:
    """What a text asks for in the drawn world's words: a partial Scene, or None where it names nothing of it.

    What the text does not say is None (False for mountains and clouds). Words from outside the world are passed over.
    """
    plain = re.sub(r"\b(?:boat|sailboat) with (?:a |an )?(\w+) sails?\b", r"\1 boat", text.lower())
    tokens = re.findall(r"[a-z-]+|[,.;]", plain)
    spaced = f" {' '.join(tokens)} "
    mountains = re.search(r" (snow-capped )?(mountains?|peaks?) ", spaced) is not None
    clouds = re.search(r" (clouds?|cloudy) ", spaced) is not None
    scene = Scene(_first(_SKY_WORDS, spaced), _first(_GROUND_WORDS, spaced), _things(tokens), mountains, clouds)
    return None if scene == Scene() else scene


def _first(words: dict[str, tuple[str, ...]], spaced: str) -> str | None:
    return next((name for name, signs in words.items() if any(f" {sign} " in spaced for sign in signs)), None)


def _things(tokens: list[str]) -> tuple[Thing, ...]:
    """Things with their colours and places: a place belongs to the thing before it in its clause, else to the next."""
    found: list[Thing] = []
    waiting: str | None = None  # a place said before its thing: "on the left, a red house"
    clause_start = 0  # the first of `found` that the present clause named
    for index, token in enumerate(tokens):
        if token in _BREAKS:
            clause_start = len(found)
        elif token in _PLACE_WORDS:
            if len(found) > clause_start and found[-1].place is None:
                found[-1] = Thing(found[-1].kind, found[-1].colour, _PLACE_WORDS[token])
            else:
                waiting = _PLACE_WORDS[token]
        elif token in KIND_WORDS:
            kind = KIND_WORDS[token]
            found.append(Thing(kind, _colour_before(tokens, index, kind), waiting))
            waiting = None
    if waiting is not None and found and found[-1].place is None:
        found[-1] = Thing(found[-1].kind, found[-1].colour, waiting)
    return tuple(found)


def _colour_before(tokens: list[str], index: int, kind: str) -> str | None:
    """The colour among the three words before a noun, as far back as the noun phrase can reach."""
    if kind not in ("house", "boat", "balloon"):
        return None
    for token in reversed(tokens[max(0, index - 4) : index]):
        if token in COLOURS:
            return token
        if token in _BREAKS or token in KIND_WORDS or token in ("a", "an", "the"):
            return None
    return None


def known_words() -> list[str]:
    """Every word a caption can hold, sorted: the vocabulary of a model that learned from these captions."""
    phrases = [*_flatten(SKY_PHRASES), *_flatten(SKY_NOUNS), *_flatten(GROUND_PHRASES), *_flatten(GROUND_NOUNS)]
    phrases += [*_flatten(NOUNS), *_flatten(PLACE_PHRASES), *MOUNTAIN_PHRASES, *CLOUD_PHRASES, *OPENINGS]
    phrases += [*COLOURS, *PLACES, *ADJECTIVES, "a an the and over with sail boat"]
    return sorted({word for phrase in phrases for word in re.findall(r"[a-z]+", phrase)})


def _flatten(phrases: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [phrase for group in phrases.values() for phrase in group]
