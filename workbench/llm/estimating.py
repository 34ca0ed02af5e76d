"""What a classification will cost, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from workbench.llm.budget import PRICES, load_prices, price_in_mode
from workbench.llm.cache import Answer, AnswerCache
from workbench.llm.forecast import Forecast
from workbench.llm.limits import BATCH, Limits
from workbench.llm.prompt import Prompt
from workbench.llm.providers import Provider, Usage
from workbench.llm.sheet import Question, Sheet
from workbench.records import Status
from workbench.values import amount_text

_LOW_SHARE = 0.2
"""Of the items whose score is not known yet, so many are taken to be asked again in a second pass."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a classification will cost."""

    items: int
    """Items that get a category."""
    from_cache: int
    """Those whose answer is kept already: they cost nothing."""
    model: str
    calls: int
    calls_again: int
    """Those among them that ask items again: the second pass and the position audit."""
    input_tokens: int
    output_tokens: int
    usd: float | None
    """Null where the model's price is unknown; without what a service takes off for a repeated prompt."""
    mxn: float | None
    prices_as_of: str
    prices_file: str
    in_batches: bool = False
    """By the Batch API, at half price."""
    judge: Estimate | None = None
    """The second opinion; not in the other numbers."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self)

    def __str__(self) -> str:
        """Give a few lines to show."""
        lines = [f"{self.items:,} items, {self.from_cache:,} of them from kept answers, for nothing"]
        if self.calls and (self.usd is None or self.input_tokens):
            tokens = f"about {self.input_tokens:,} tokens in, {self.output_tokens:,} out"
            again = f" ({self.calls_again:,} of them ask again)" if self.calls_again else ""
            price = ", in batches at half price" if self.in_batches else ""
            calls = "1 call" if self.calls == 1 else f"{self.calls:,} calls"
            lines.append(f"{calls} to {self.model}{again}, {tokens}{price}")
        if self.usd is None:
            lines.append(f"cost: unknown, because {self.prices_file} has no price for {self.model}")
        elif not self.usd or self.mxn is None:
            lines.append("cost: free" if self.calls else "cost: none")
        else:
            said = f"about {amount_text(self.usd)} USD, {amount_text(self.mxn)} MXN"
            lines.append(f"cost: {said} ({self.prices_file}, {self.prices_as_of})")
        if self.judge:
            lines += ["and a second opinion:", *(f"  {line}" for line in str(self.judge).splitlines())]
        return "\n".join(lines)


def estimate(
    items: pd.DataFrame, prompt: Prompt, provider: Provider, limits: Limits, cache: AnswerCache | None = None
) -> Estimate:
    """Estimate what `classify` would cost with the same arguments; nothing is sent.

    Raises what `classify` raises for items that cannot be classified, and ParameterError for a bad price list.
    """
    sheet, prices = Sheet(items, prompt), load_prices()
    questions = sheet.questions(limits, provider.fingerprint)
    kept = cache.get([question.key for question in questions]) if cache is not None else {}
    good = {key for key, answer in kept.items() if answer.status != Status.FAILED}
    asked = [question for question in questions if question.key not in good]
    passes = [asked, *_asked_again(items, prompt, provider, limits, _Kept(cache, kept, asked))]
    counts = [math.ceil(len(each) / limits.chunk_size) for each in passes]
    forecast, calls = Forecast(prompt, limits.reason), sum(counts)
    tokens = forecast.of([question for each in passes for question in each])
    usage = Usage(calls, tokens.input_tokens + (calls - 1) * forecast.prefix, 0, tokens.output_tokens)
    usage = usage if calls and provider.name != "lexical" else Usage(calls)
    price = price_in_mode(prices, provider.model, limits.mode)
    usd = price.cost(usage) if price else None if calls else 0.0
    return Estimate(
        items=sheet.total,
        from_cache=sum(len(question.positions) for question in questions if question.key in good),
        model=provider.model,
        calls=calls,
        calls_again=sum(counts[1:]),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usd=usd,
        mxn=None if usd is None else usd * prices.mxn_per_usd,
        prices_as_of=prices.as_of.isoformat(),
        prices_file=PRICES,
        in_batches=limits.mode == BATCH,
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is known of first answers."""

    cache: AnswerCache | None
    answers: dict[str, Answer]
    asked: list[Question]
    """Questions without a kept answer."""


def _asked_again(
    items: pd.DataFrame, prompt: Prompt, provider: Provider, limits: Limits, first: _Kept
) -> tuple[Sequence[Question], Sequence[Question]]:
    """Guess what the second and the third pass ask, on the dear side: all low scores twice, and the audit."""
    if not (limits.second_pass_below or limits.audit_sample):
        return [], []
    every = limits.changed(sample_size=0)
    known, second = (Sheet(items, prompt).questions(every, provider.fingerprint, number) for number in (1, 2))
    kept = first.cache.get([question.key for question in second]) if first.cache is not None else {}
    unkept = {_texts(question) for question in second if question.key not in kept}
    is_low = {key for key, answer in first.answers.items() if answer.score < limits.second_pass_below}
    low = [question for question in known if limits.second_pass_below and question.key in is_low]
    low += (
        first.asked[len(first.asked) - math.ceil(_LOW_SHARE * len(first.asked)) :] if limits.second_pass_below else []
    )
    audited = known[: min(limits.audit_sample, len(first.asked) + len(first.answers))]
    asked = {_texts(question): question for question in [*low, *audited] if _texts(question) in unkept}
    return list(asked.values()), [question for question in low if _texts(question) in unkept]


def _texts(question: Question) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(question.fields.items()))
