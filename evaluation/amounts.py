"""So many of something, as a sentence has it."""

from __future__ import annotations


def amount(count: object, noun: str) -> str:
    """ "1 step", "12 steps", "4, 8 or 12 steps": a number, or what `RunFacts.setting` says, before a noun of a regular plural."""
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}s"
