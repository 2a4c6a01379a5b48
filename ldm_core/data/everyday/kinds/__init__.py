"""The entries of all kinds, by name."""

from ..shapes import Kind
from . import animals, objects, people, places, vehicles

ENTRIES: dict[str, Kind] = {
    kind.name: kind for group in (people, animals, vehicles, places, objects) for kind in group.KINDS
}
