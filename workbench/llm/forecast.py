"""What a call will probably cost in tokens: estimated from its text at first, then learnt from what calls have cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from workbench.llm.example_choice import estimate_tokens
from workbench.llm.prompt import Prompt
from workbench.llm.providers import Usage
from workbench.llm.sheet import Question

_PER_ITEM = 3
"""Tokens around the text of an item: its number and the separators."""
_ANSWER = {"always": 32.0, "short": 19.0, "low_confidence": 14.0, "never": 11.0}
"""Tokens of an answer to one item, before anything is known."""
_REMEMBERED = 50


class Forecast:
    """Foretells the tokens of calls with one prompt."""

    def __init__(self, prompt: Prompt, reason: str = "always") -> None:
        """Read the prompt; it goes into every call."""
        self.prefix = estimate_tokens(prompt.render(reason))
        self._first_guess = _ANSWER[reason]
        self._ratio = 1.0
        """Tokens that went in, by those that were estimated."""
        self._answers: deque[float] = deque(maxlen=_REMEMBERED)

    def of(self, questions: Sequence[Question]) -> Usage:
        """Give the tokens of a call, on the dear side: a high percentile (95) of what answers have cost of late."""
        texts = sum(estimate_tokens(text) + _PER_ITEM for question in questions for text in question.fields.values())
        return Usage(1, round((self.prefix + texts) * self._ratio), 0, round(len(questions) * self._answer))

    def learn(self, forecast: Usage, actual: Usage, items: int) -> None:
        """Learn from what a call has really cost."""
        if actual.input_tokens and forecast.input_tokens:
            self._ratio *= (actual.input_tokens / forecast.input_tokens) ** 0.5
        if actual.output_tokens:
            self._answers.append(actual.output_tokens / items)

    @property
    def has_learnt(self) -> bool:
        """Say whether anything is known from calls."""
        return bool(self._answers)

    @property
    def _answer(self) -> float:
        if not self._answers:
            return self._first_guess
        ordered = sorted(self._answers)
        return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
