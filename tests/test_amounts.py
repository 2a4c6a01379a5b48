"""So many of something, as a sentence has it."""

from __future__ import annotations

from evaluation.amounts import amount


def test_one_is_singular_and_all_else_plural():
    assert [amount(count, "step") for count in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
    assert amount("1", "step") == "1 step" and amount("4, 8 or 12", "step") == "4, 8 or 12 steps"
    assert amount("1 or 2", "step") == "1 or 2 steps"
