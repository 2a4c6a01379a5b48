"""What a model makes of the words of a run's prompts: those in whose place it draws the nearest, and those it has never seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ldm_core.pipeline import LatentDiffusion

from .generation.axes import Condition
from .prompts import Prompt

MOST = 8  # words that are named on the terminal


@dataclass(frozen=True)
class PromptWords:
    """Of `count` prompts."""

    count: int
    substituted: dict[str, str]  # words that the model's world does not hold, and what is drawn in their place
    with_substituted: int  # prompts
    unseen: Counter[str]  # words that no training caption held, with how many prompts hold each
    with_unseen: int  # prompts

    @classmethod
    def read(cls, model: LatentDiffusion, prompts: Sequence[Prompt], conditions: Sequence[Condition]) -> PromptWords:
        """As the prompts are drawn under the first condition that substitutes words, if any does."""
        settings = [condition.settings for condition in conditions]
        own = next((one for one in settings if one.substitute), settings[0])
        found = [model.in_own_words(prompt.text, own) for prompt in prompts]
        return cls(
            len(prompts),
            dict(pair for one in found for pair in one.replaced),
            sum(bool(one.replaced) for one in found),
            model.unseen_words([one.text for one in found]),
            sum(bool(model.unseen_words([one.text])) for one in found),
        )

    def facts(self) -> dict[str, Any]:
        """What run.json says of them."""
        return {
            "unseen_words": dict(self.unseen.most_common()),
            "prompts_with_unseen_words": self.with_unseen,
            "substituted_words": self.substituted,
            "prompts_with_substituted_words": self.with_substituted,
        }

    def lines(self) -> list[str]:
        """For the terminal; none where the model knows every word."""
        said = []
        if pairs := [f"{word}: {nearest}" for word, nearest in self.substituted.items()]:
            said.append(
                f"{self.with_substituted} of {self.count} prompts hold words that this model's world does not, "
                f"and the nearest is drawn ({', '.join(pairs[:MOST])}{', ...' if len(pairs) > MOST else ''}); "
                "--substitute false leaves them as they are"
            )
        if self.unseen:
            some = ", ".join(word for word, _ in self.unseen.most_common(MOST))
            said.append(
                f"{self.with_unseen} of {self.count} prompts hold words this model has never seen "
                f"({len(self.unseen)} words: {some} ...); it draws what it knows of the rest"
            )
        return said
