"""Free wording back into scenes: what a text asks for, in the everyday world's own words.

Every rule errs on the side of saying nothing: what is not surely said of a thing is None.
"""

from __future__ import annotations

import dataclasses
import re

from .lexicon import SCENERY
from .noun_phrase import NounPhrase
from .tokens import Token, read_tokens
from .world import COLOURED_KINDS, PEOPLE, SKY_KINDS, Scene, Thing

_SKY_ORDER = ("storm", "night", "sunset", "dawn", "day")  # "a stormy night" is a storm, "a sunny evening" an evening
_STEEDS = ("horse", "bicycle", "elephant", "cow")
_NOUN_LIKE = ("kind", "near", "none", "unknown", "garment", "part", "ground", "scenery", "adjective", "colour", "size")
_WITHIN_RELATIONS = ("top", "of", "same", "all", "very", "what", "looks", "like")
_WHOLE = ("picture", "image", "photo", "scene", "frame", "view", "drawing", "photograph", "painting")
_PARTICIPLES = (
    "haired",
    "headed",
    "eyed",
    "hair",
    "eyes",
    "faced",
    "nosed",
    "tailed",
    "legged",
    "roofed",
    "tipped",
    "lined",
    "trimmed",
    "collared",
    "topped",
    "rimmed",
)


def parse(text: str) -> Scene | None:
    """What a text asks for: a partial Scene, or None where it names nothing of the everyday world. Never raises.

    What the text does not say is None (False for mountains, clouds and stars); words from outside the world are
    passed over. A singular noun is one thing, "several" and numbers above three leave the count open, and two things
    in a relation share the place that is said of either. Words that `substitute` would replace are not read here.
    """
    return Reader(_simplified(read_tokens(text))).scene()


def _simplified(tokens: list[Token]) -> list[Token]:
    """Without what would mislead: "red-haired", "black and white" (no one colour), a kind before a kind (dog house)."""
    kept: list[Token] = []
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.role == "colour" and following is not None and following.text in _PARTICIPLES:
            continue
        if token.role in ("kind", "near") and token.singular and following is not None and _modifies(token, following):
            continue
        if token.role == "colour" and kept and _joins_colours(kept):
            last = len(kept) - 1 if kept[-1].role == "colour" else len(kept) - 2
            kept[last:] = [dataclasses.replace(kept[last], value=None)]
            continue
        kept.append(token)
    return kept


def _modifies(token: Token, following: Token) -> bool:
    """Whether a kind only says more about the noun right after it, as in "dog house", "child's", "horse trailer"."""
    return following.role in ("kind", "near", "none") and following.start - token.end == 1


def _joins_colours(kept: list[Token]) -> bool:
    """Whether a colour right now is a second one of the same noun: "red and blue house", "red, white house"."""
    if kept[-1].role == "colour":
        return True
    if len(kept) < 2 or kept[-2].role != "colour" or kept[-1].text not in ("and", ",", "or"):
        return False
    return kept[-1].text != "," or len(kept) < 3 or kept[-3].role != "wearing"  # "a man in red, white clouds"


class Reader:
    """Reads simplified tokens from left to right; `found` are the things so far."""

    def __init__(self, tokens: list[Token]):
        self.tokens = tokens
        self.found: list[Thing] = []
        self.clause = 0  # the first of `found` that the present clause named
        self.waiting: str | None = None  # a place said before its thing: "on the left, a red house"
        self.pending: tuple[str, bool, int] | None = None  # a relation, whether it is inverse, and whose it is
        self.stranger = False  # whether a noun from outside the world came after the last thing

    def scene(self) -> Scene | None:
        for index, token in enumerate(self.tokens):
            read = getattr(self, f"_read_{token.role}", None)
            if read is not None:
                read(index, token)
        self._place_last()
        signs = [token for token in self.tokens if token.role in ("sky", "ground", "scenery")]
        sky = next((name for name in _SKY_ORDER if any(t.role == "sky" and t.value == name for t in signs)), None)
        scenery = {name: any(t.role == "scenery" and t.value == name for t in signs) for name in SCENERY}
        if any("starry" in token.text for token in signs):
            scenery["stars"] = True
        scene = Scene(sky, self._ground(), tuple(_share_places(self.found)), **scenery)
        return None if scene == Scene() else scene

    def _ground(self) -> str | None:
        """The first ground that is named; of a compound (city park, desert road) the last word, but snow before all."""
        grounds = [(index, token) for index, token in enumerate(self.tokens) if token.role == "ground"]
        if not grounds:
            return None
        index, token = grounds[0]
        run = [token]
        while index + 1 < len(self.tokens) and self.tokens[index + 1].role == "ground":
            index += 1
            run.append(self.tokens[index])
        values = [token.value for token in run]
        return "snow" if "snow" in values else str(values[-1])

    def _read_break(self, index: int, token: Token) -> None:
        self.clause, self.pending, self.stranger = len(self.found), None, False

    def _read_ground(self, index: int, token: Token) -> None:
        self.pending = None

    def _read_unknown(self, index: int, token: Token) -> None:
        self.pending, self.stranger = None, True

    _read_near = _read_none = _read_unspoken = _read_unknown

    def _read_function(self, index: int, token: Token) -> None:
        if token.text not in _WITHIN_RELATIONS:  # "on its way to a house" is not on a house
            self.pending = None

    _read_verb = _read_function

    def _read_place(self, index: int, token: Token) -> None:
        following = [token.text for token in self.tokens[index + 1 : index + 4]]
        if following[:1] == ["of"] and not any(word in _WHOLE for word in following[1:]):
            return
        if len(self.found) > self.clause and self.found[-1].place is None:
            self._change(len(self.found) - 1, place=token.value)
        else:
            self.waiting = str(token.value)

    def _place_last(self) -> None:
        if self.waiting is not None and self.found and self.found[-1].place is None:
            self._change(len(self.found) - 1, place=self.waiting)

    def _read_relation(self, index: int, token: Token) -> None:
        relation, inverse = token.value
        if self.pending is not None and self.pending[0] in ("riding", "holding") and relation == "on":
            return  # "riding on"
        if not self.found:
            return
        subject = len(self.found) - 1
        if self.stranger and not (relation in ("riding", "holding") and self.found[subject].kind in PEOPLE):
            return
        self.pending = (relation, inverse, subject)

    def _read_pronoun(self, index: int, token: Token) -> None:
        """The object "it" of "a table with a cup on it" is the thing before the last."""
        if self.pending is not None and self.pending[2] > 0 and self.tokens[index - 1].role == "relation":
            relation, inverse, subject = self.pending
            self._relate(relation, inverse, subject, subject - 1)
        self.pending = None

    def _read_kind(self, index: int, token: Token) -> None:
        noun = NounPhrase(self.tokens, index)
        if noun.same and any(thing.kind == token.value for thing in self.found):
            position = max(i for i, thing in enumerate(self.found) if thing.kind == token.value)
        else:
            position = len(self.found)
            self.found.append(noun.thing(self.waiting))
            self.waiting = None
        if self.pending is not None:
            self._relate(*self.pending, position)
        self.pending, self.stranger = None, False
        self._read_copula(index, position)

    def _read_copula(self, index: int, position: int) -> None:
        """A colour said after its noun: "the car is red", "a dog that is brown", "a house painted blue"."""
        texts = [token.text for token in self.tokens[index + 1 : index + 4]]
        match = re.match(r"(?:(?:that|which|who) )?(?:is |are |painted |colored |coloured )", " ".join(texts) + " ")
        colour = index + 1 + len(match.group().split()) if match else len(self.tokens)
        if match and colour < len(self.tokens) and self.tokens[colour].role == "colour" and self._ends(colour + 1):
            self._colour(position, self.tokens[colour].value, people=False)

    def _read_garment(self, index: int, token: Token) -> None:
        """Clothes: the colour before them is that of the person whom the text named last."""
        colour = NounPhrase(self.tokens, index).colour
        if colour is not None and self.found:
            self._colour(len(self.found) - 1, colour)
        self.stranger = False

    def _read_wearing(self, index: int, token: Token) -> None:
        coloured = index + 1 < len(self.tokens) and self.tokens[index + 1].role == "colour"
        if coloured and self._ends(index + 2) and self.found:
            self._colour(len(self.found) - 1, self.tokens[index + 1].value)

    def _read_part(self, index: int, token: Token) -> None:
        """The part that carries a thing's colour: a boat with a red sail."""
        colour = NounPhrase(self.tokens, index).colour
        if colour is not None and self.found and self.found[-1].kind == token.value and self.found[-1].colour is None:
            self._change(len(self.found) - 1, colour=colour)
            self.clause = len(self.found) - 1  # "a house with blue walls on the left"

    def _ends(self, index: int) -> bool:
        """Whether no noun phrase goes on at a token: a colour before it stands alone."""
        token = self.tokens[index] if index < len(self.tokens) else None
        return token is None or token.role not in _NOUN_LIKE or token.text.endswith("ing")

    def _colour(self, position: int, colour: object, people: bool = True) -> None:
        thing = self.found[position]
        if thing.colour is None and (thing.kind in PEOPLE) == people and thing.kind in COLOURED_KINDS:
            self._change(position, colour=colour)

    def _relate(self, relation: str, inverse: bool, subject: int, other: int) -> None:
        first, second = (other, subject) if inverse else (subject, other)
        meant = _meant(relation, self.found[first].kind, self.found[second].kind, inverse)
        if inverse and meant == "holding":
            first, second = subject, other
        if meant and first != second and self.found[first].relation is None:
            self._change(first, relation=meant, other=second)

    def _change(self, position: int, **changes) -> None:
        self.found[position] = dataclasses.replace(self.found[position], **changes)


def _meant(relation: str, first: str, second: str, inverse: bool) -> str | None:
    """A relation as these kinds can have it: on a horse is riding, under an umbrella holding, flying a kite holding."""
    if relation == "flying":
        return "holding" if first in PEOPLE and second == "kite" else None
    if relation == "on" and first in PEOPLE and second in _STEEDS:
        return "riding"
    if inverse and relation == "above" and first == "umbrella" and second in PEOPLE:
        return "holding"
    if relation == "above" and first not in SKY_KINDS:
        return None  # a dog under a tree stands by it
    return relation


def _share_places(things: list[Thing]) -> list[Thing]:
    """Two things in a relation are in one place: where the text says it of one, it is said of both."""
    shared = list(things)
    for index, thing in enumerate(things):
        if thing.other is not None:
            place = shared[index].place or shared[thing.other].place
            for one in (index, thing.other):
                shared[one] = dataclasses.replace(shared[one], place=shared[one].place or place)
    return shared
