"""Write the next prompt from what reviewers said: corrected and confirmed items become its examples.

Each time the examples that come from verdicts are chosen anew, from all verdicts of all iterations; `example_choice`
says how. Items of the dev and holdout pools never enter, however the
caller filtered: a prompt must not contain what it is measured on.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from workbench.errors import ParameterError, VerdictError, nearest
from workbench.llm.example_choice import Bounds, Candidate, Pair, choose, estimate_tokens
from workbench.llm.prompt import Example, Prompt, fold
from workbench.records import Pool

__all__ = ["Refinement", "estimate_tokens", "own_examples", "refine_prompt"]

_NEEDED = ("item_id", "text", "category", "is_correct", "corrected_category", "pool", "iteration")
_LONGEST_NOTE = 120


@dataclass(frozen=True, slots=True)
class Refinement:
    """The next prompt, and what is new in it."""

    prompt: Prompt
    examples_added: int
    examples: list[Example]
    """Those that the former prompt did not have."""
    categories_served: list[str]
    """The categories of these, in the order of the prompt."""
    confused_pairs: list[tuple[str, str, int]]
    """Predicted category, true category, how often; the most frequent first."""
    tokens: int
    """What all examples from verdicts cost in each call, about."""
    diff: str
    """Unified diff of the two prompts as YAML; empty where they are the same."""
    summary: str

    def improvement_metrics(self) -> dict[str, Any]:
        """Give what the refinement brought, as plain data."""
        return {"examples_added": self.examples_added, "categories_improved": list(self.categories_served)}


def refine_prompt(
    prompt: Prompt,
    validations: pd.DataFrame,
    *,
    max_examples: int = 40,
    max_tokens: int = 4000,
    additional_examples: Iterable[Mapping[str, str]] = (),
    confusion: Mapping[Pair, int] | None = None,
) -> Refinement:
    """Write the next prompt.

    `validations` holds all verdicts of all iterations, one row each: item_id, text (clean), category (what was
    predicted), is_correct, corrected_category, pool, iteration and, if there, user_notes, n_rows, validated_at. At
    most `max_examples` examples come from them, which cost at most `max_tokens` in each call. Examples without
    item_id are a person's own: they stay, and `additional_examples` (`{text, category}`) join them; one of these
    replaces an example of the same text. `confusion` counts (predicted, true) pairs; null = as the verdicts say.

    Raises ParameterError for additional examples that are wrong and VerdictError where there is nothing to learn from.
    """
    additional = list(additional_examples)
    own = own_examples(prompt, additional)
    verdicts = _read_verdicts(prompt, validations)
    if not verdicts.candidates and not additional:
        raise VerdictError(
            f"no verdict can become an example: {verdicts.why_unused() or 'there is none'}.",
            hint="review more items, and name the right category of those that are wrong; half of the items, "
            "those of the pool 'prompt', may become examples.",
        )
    pairs = _confused(verdicts.candidates, confusion)
    chosen = choose(own, verdicts.candidates, [pair[:2] for pair in pairs], Bounds(max_examples, max_tokens))
    refined = prompt.with_examples([*own, *_in_former_order(prompt, chosen)])
    return _describe(prompt, refined, chosen, pairs, verdicts)


@dataclass(slots=True)
class _Verdicts:
    candidates: list[Candidate]
    unused: Counter[str] = field(default_factory=Counter)
    """Why verdicts cannot be used → how many."""

    def why_unused(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in sorted(self.unused.items()))


def own_examples(prompt: Prompt, additional: Iterable[Mapping[str, str]]) -> list[Example]:
    """Give the examples that people wrote themselves, the additional ones last; raises ParameterError."""
    added = [_additional(prompt, entry, number) for number, entry in enumerate(additional, start=1)]
    newest = {fold(example.text): example for example in added}
    kept = [example for example in prompt.examples if example.item_id is None and fold(example.text) not in newest]
    return kept + list(newest.values())


def _additional(prompt: Prompt, entry: Mapping[str, str], number: int) -> Example:
    text, category = (str(entry.get(key) or "").strip() for key in ("text", "category"))
    if not text or not category:
        raise ParameterError(f"additional example {number} has no text or no category.", hint="write {text, category}.")
    known = prompt.find_category(category)
    if known is None:
        raise ParameterError(
            f"additional example {number}: the prompt has no category {category!r}.",
            hint=nearest(category, prompt.category_names),
        )
    return Example(text=text, category=known, note=_shortened(entry.get("note") or ""))


def _read_verdicts(prompt: Prompt, validations: pd.DataFrame) -> _Verdicts:
    """Give the candidates: the latest verdict on each item of the prompt pool, and the examples without a verdict."""
    latest = _latest(validations)
    verdicts = _Verdicts([])
    for row in latest:
        candidate = _candidate(prompt, row)
        if isinstance(candidate, str):
            verdicts.unused[candidate] += 1
        else:
            verdicts.candidates.append(candidate)
    if verdicts.candidates:
        judged = {str(row["item_id"]) for row in latest}
        verdicts.candidates += [
            Candidate(example.item_id, example.text, example.category, example.category, example.note)
            for example in prompt.examples
            if example.item_id is not None and example.item_id not in judged
        ]
    verdicts.candidates = _one_per_text(verdicts.candidates)
    return verdicts


def _latest(validations: pd.DataFrame) -> list[dict[str, Any]]:
    if missing := [column for column in _NEEDED if column not in validations.columns]:
        raise VerdictError(
            f"the verdicts have no column {', '.join(map(repr, missing))}.",
            hint=f"they need {', '.join(_NEEDED)}.",
        )
    order = [column for column in ("iteration", "validated_at") if column in validations.columns]
    judged = validations[validations["is_correct"].notna()].sort_values(order, kind="stable")
    rows = judged.drop_duplicates("item_id", keep="last").to_dict("records")
    return [{str(column): value for column, value in row.items()} for row in rows]


def _candidate(prompt: Prompt, row: dict[str, Any]) -> Candidate | str:
    """Give the candidate, or why the verdict cannot be used."""
    if row["pool"] != Pool.PROMPT:
        return "outside the prompt pool"
    predicted, corrected = _word(row["category"]), _word(row["corrected_category"])
    true = predicted if row["is_correct"] else corrected
    if not true or (not row["is_correct"] and true == predicted):
        return "wrong without the right category"
    category = prompt.find_category(true)
    if category is None:
        return "of categories that the prompt does not have"
    text = _word(row["text"])
    if not text:
        return "without text"
    was = category if row["is_correct"] else prompt.find_category(predicted) or predicted
    rows = row.get("n_rows", 1)
    count = int(rows) if isinstance(rows, int | float) and rows == rows else 1
    return Candidate(str(row["item_id"]), text, category, was, _shortened(_word(row.get("user_notes"))), count)


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _shortened(note: str) -> str:
    """Bring a note to one line of at most 120 characters, cut between words."""
    line = " ".join(note.split())
    if len(line) <= _LONGEST_NOTE:
        return line
    return line[:_LONGEST_NOTE].rsplit(" ", 1)[0][: _LONGEST_NOTE - 1] + "…"


def _one_per_text(candidates: list[Candidate]) -> list[Candidate]:
    """Keep the last of several items with the same text."""
    return list({fold(candidate.text): candidate for candidate in candidates}.values())


def _confused(candidates: Sequence[Candidate], confusion: Mapping[Pair, int] | None) -> list[tuple[str, str, int]]:
    counted: Mapping[Pair, int] = (
        confusion
        if confusion is not None
        else Counter((candidate.predicted, candidate.category) for candidate in candidates if candidate.was_wrong)
    )
    pairs = [(predicted, true, int(count)) for (predicted, true), count in counted.items()]
    return sorted((pair for pair in pairs if pair[0] != pair[1] and pair[2] > 0), key=lambda pair: (-pair[2], pair[:2]))


def _in_former_order(prompt: Prompt, chosen: Sequence[Candidate]) -> list[Example]:
    """Give the chosen examples, those that the prompt had already in their former order first."""
    former = {example.item_id: place for place, example in enumerate(prompt.examples) if example.item_id is not None}
    ranked = sorted(chosen, key=lambda candidate: former.get(candidate.item_id, len(former) + len(prompt.examples)))
    return [candidate.example() for candidate in ranked]


def _describe(
    former: Prompt,
    refined: Prompt,
    chosen: Sequence[Candidate],
    pairs: list[tuple[str, str, int]],
    verdicts: _Verdicts,
) -> Refinement:
    known = {(fold(example.text), example.category) for example in former.examples}
    added = [example for example in refined.examples if (fold(example.text), example.category) not in known]
    served = {example.category for example in added}
    categories = [name for name in refined.category_names if name in served]
    tokens = sum(candidate.tokens for candidate in chosen)
    now = {(fold(example.text), example.category) for example in refined.examples}
    dropped = sum((fold(example.text), example.category) not in now for example in former.examples)
    corrected = sum(candidate.was_wrong for candidate in chosen)
    sentences = [
        f"{_counted(len(added), 'example')} added" + (f", {dropped} dropped" if dropped else ""),
        f"{_counted(len(chosen), 'example')} from verdicts in all: {corrected} corrected, "
        f"{len(chosen) - corrected} confirmed, about {tokens:,} tokens per call",
        _about_pairs(pairs),
        f"not used: {verdicts.why_unused()}" if verdicts.unused else "",
    ]
    summary = ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences if sentence) + "."
    return Refinement(refined, len(added), added, categories, pairs, tokens, _diff(former, refined), summary)


def _about_pairs(pairs: Sequence[tuple[str, str, int]]) -> str:
    if not pairs:
        return ""
    named = [f"{true!r} taken for {predicted!r} ({count})" for predicted, true, count in pairs[:3]]
    return f"most confused: {', '.join(named)}"


def _counted(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"


def _diff(former: Prompt, refined: Prompt) -> str:
    lines = difflib.unified_diff(
        former.to_yaml().splitlines(),
        refined.to_yaml().splitlines(),
        f"{former.name} (before)",
        f"{former.name} (refined)",
        n=2,
        lineterm="",
    )
    return "\n".join(lines)
