"""Write the next prompt from what reviewers said: corrected and confirmed items become its rules and examples.

Each time the examples that come from verdicts are chosen anew, from all verdicts of all iterations; `example_choice`
says how, and `rule_proposals` what becomes a rule. What is new is a proposal that people may strike. Items of the dev
and holdout pools never enter, however the caller filtered: a prompt must not contain what it is measured on.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from workbench.errors import ParameterError, VerdictError, nearest
from workbench.llm.example_choice import Bounds, Candidate, Choice, Pair, choose, estimate_tokens
from workbench.llm.prompt import Example, Prompt, fold
from workbench.llm.proposals import EVERYTHING, EXAMPLE, RULE, Proposal, Selection, proposal_id
from workbench.llm.rule_proposals import MOST_RULES, outdated, propose_rules
from workbench.records import Pool
from workbench.settling import settled

__all__ = ["Lessons", "Refinement", "Wishes", "estimate_tokens", "learn", "own_examples", "refine_prompt"]

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
    proposals: list[tuple[Proposal, bool]]
    """Everything that is new and might be, the rules first, with whether the prompt got it."""
    tokens: int
    """What all examples from verdicts and the new rules cost in each call, about."""
    diff: str
    """Unified diff of the two prompts as YAML; empty where they are the same."""
    summary: str

    def improvement_metrics(self) -> dict[str, Any]:
        """Give what the refinement brought, as plain data."""
        return {"examples_added": self.examples_added, "categories_improved": list(self.categories_served)}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the next prompt may have."""

    max_examples: int = 40
    """Upper bound of the examples from verdicts."""
    max_tokens: int = 4000
    """Upper bound of what these examples and the new rules cost in each call."""
    additional_examples: Iterable[Mapping[str, str]] = ()
    """A person's own, as `{text, category}`."""
    confusion: Mapping[Pair, int] | None = None
    """(predicted, true) → how often; null = as the verdicts say."""
    written_rules: Sequence[Proposal] = ()
    """Rules from elsewhere; each takes the place of the one from words for the same pair."""
    selection: Selection = EVERYTHING
    to_classify: Sequence[str] = ()
    """Texts without a verdict: examples are taken that are typical of them."""


@dataclass(slots=True)
class Lessons:
    """What verdicts teach."""

    candidates: list[Candidate]
    """Judged items of the prompt pool, one per text."""
    pairs: list[tuple[str, str, int]] = field(default_factory=list)
    """Predicted category, true category, how often; the most frequent first."""
    unused: Counter[str] = field(default_factory=Counter)
    """Why verdicts cannot be used → how many."""

    @property
    def ordered_pairs(self) -> list[Pair]:
        """The confused pairs alone."""
        return [pair[:2] for pair in self.pairs]

    def why_unused(self) -> str:
        """Say why verdicts cannot be used."""
        return ", ".join(f"{count} {reason}" for reason, count in sorted(self.unused.items()))


def refine_prompt(
    prompt: Prompt, validations: pd.DataFrame, wishes: Wishes | None = None, **changes: Any
) -> Refinement:
    """Write the next prompt.

    `validations` holds all verdicts of all iterations, one row each: item_id, text (clean), category (what was
    predicted), is_correct, corrected_category, pool, iteration and, if there, user_notes, n_rows, reviewer and
    validated_at; of several on an item what most reviewers stand for counts (`settling`).
    `changes` are single fields of `Wishes`. Examples without item_id are a person's own: they stay, and the additional
    ones join them; one of these replaces an example of the same text. Of the proposals those enter that the selection
    takes; an example or a rule that is struck leaves, whenever it came. Where there is nothing to learn, the prompt
    stays as it is, and `summary` says why.

    Raises ParameterError for additional examples that are wrong, VerdictError for verdicts without their columns.
    """
    wishes = replace(wishes or Wishes(), **changes)
    additional = list(wishes.additional_examples)
    own, lessons = own_examples(prompt, additional), learn(prompt, validations, wishes.confusion)
    if not additional and (not lessons.candidates or wishes.selection.accept == "none"):
        return _unchanged(prompt, lessons)
    rules = _rules(lessons, wishes)
    bounds = Bounds(wishes.max_examples, wishes.max_tokens - sum(rule.tokens for rule in rules))
    chosen = choose(own, lessons.candidates, lessons.ordered_pairs, bounds, wishes.to_classify)
    proposals = [*(rule for rule in rules if rule.text not in prompt.rules), *_new_examples(prompt, chosen)]
    told = [(each, wishes.selection.takes(each.proposal_id)) for each in proposals]
    refused = {each.proposal_id for each, taken in told if not taken} | set(wishes.selection.strike)
    kept = [choice for choice in chosen if _id_of(choice.candidate) not in refused]
    accepted = [each.text for each, taken in told if taken and each.kind == RULE]
    gone = outdated(prompt, accepted)
    left = [rule for rule in prompt.rules if rule not in gone and proposal_id(RULE, rule) not in refused]
    refined = prompt.with_examples([*own, *_in_former_order(prompt, kept)], [*left, *accepted])
    return _describe(prompt, refined, kept, lessons, told)


def learn(prompt: Prompt, validations: pd.DataFrame, confusion: Mapping[Pair, int] | None = None) -> Lessons:
    """Read from verdicts what may become an example, and which categories are confused; raises VerdictError."""
    lessons = _read_verdicts(prompt, validations)
    lessons.pairs = _confused(lessons.candidates, confusion)
    return lessons


def _rules(lessons: Lessons, wishes: Wishes) -> list[Proposal]:
    """Give one rule for each of the most confused pairs that has one, as far as the budget goes."""
    found = {
        (rule.instead_of, rule.category): rule for rule in propose_rules(lessons.candidates, lessons.ordered_pairs)
    }
    found |= {(rule.instead_of, rule.category): rule for rule in wishes.written_rules}
    rules: list[Proposal] = []
    for pair in lessons.ordered_pairs:
        rule = found.get(pair)
        if rule and len(rules) < MOST_RULES and sum(each.tokens for each in [*rules, rule]) <= wishes.max_tokens:
            rules.append(rule)
    return rules


def _new_examples(prompt: Prompt, chosen: Iterable[Choice]) -> list[Proposal]:
    known = {_id_of(example) for example in prompt.examples}
    return [
        Proposal(EXAMPLE, each.text, each.category, each.mistake, (each.item_id,), why, each.tokens)
        for each, why in chosen
        if _id_of(each) not in known
    ]


def _id_of(example: Candidate | Example) -> str:
    return proposal_id(EXAMPLE, example.text, example.category)


def _unchanged(prompt: Prompt, lessons: Lessons) -> Refinement:
    why = "refine.accept is none" if lessons.candidates else "no verdict can become an example"
    told = f": {lessons.why_unused()}" if lessons.unused and not lessons.candidates else ""
    summary = f"The prompt stays as it is, because {why}{told}."
    return Refinement(prompt, 0, [], [], lessons.pairs, [], 0, "", summary)


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


def _read_verdicts(prompt: Prompt, validations: pd.DataFrame) -> Lessons:
    """Give the candidates: what stands of the verdicts on each item of the prompt pool, and examples without any."""
    standing = _settled(validations)
    verdicts = Lessons([])
    for row in standing:
        candidate = _candidate(prompt, row)
        if isinstance(candidate, str):
            verdicts.unused[candidate] += 1
        else:
            verdicts.candidates.append(candidate)
    if verdicts.candidates:
        judged = {str(row["item_id"]) for row in standing}
        verdicts.candidates += [
            Candidate(example.item_id, example.text, example.category, example.category, example.note)
            for example in prompt.examples
            if example.item_id is not None and example.item_id not in judged
        ]
    verdicts.candidates = _one_per_text(verdicts.candidates)
    return verdicts


def _settled(validations: pd.DataFrame) -> list[dict[str, Any]]:
    """Give one verdict per item: what most reviewers stand for."""
    if missing := [column for column in _NEEDED if column not in validations.columns]:
        raise VerdictError(
            f"the verdicts have no column {', '.join(map(repr, missing))}.",
            hint=f"they need {', '.join(_NEEDED)}.",
        )
    unnamed = {column: "" for column in ("reviewer", "validated_at") if column not in validations.columns}
    judged = validations[validations["is_correct"].notna()].assign(**unnamed)
    return [{str(column): value for column, value in row.items()} for row in settled(judged).to_dict("records")]


def _candidate(prompt: Prompt, row: dict[str, Any]) -> Candidate | str:
    """Give the candidate, or why the verdict cannot be used."""
    if row["pool"] != Pool.PROMPT:
        return "outside the prompt pool"
    if row["disputed"]:
        return "disputed between reviewers"
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


def _in_former_order(prompt: Prompt, chosen: Sequence[Choice]) -> list[Example]:
    """Give the chosen examples, those that the prompt had already in their former order first."""
    former = {example.item_id: place for place, example in enumerate(prompt.examples) if example.item_id is not None}
    last = len(former) + len(prompt.examples)
    ranked = sorted((choice.candidate for choice in chosen), key=lambda each: former.get(each.item_id, last))
    return [candidate.example() for candidate in ranked]


def _describe(
    former: Prompt,
    refined: Prompt,
    chosen: Sequence[Choice],
    lessons: Lessons,
    proposals: list[tuple[Proposal, bool]],
) -> Refinement:
    known, now = ({_id_of(example) for example in prompt.examples} for prompt in (former, refined))
    added = [example for example in refined.examples if _id_of(example) not in known]
    served = {example.category for example in added}
    categories = [name for name in refined.category_names if name in served]
    rules = [rule for rule in refined.rules if rule not in former.rules]
    tokens = sum(choice.candidate.tokens for choice in chosen) + sum(map(estimate_tokens, rules))
    dropped, corrected = len(known - now), sum(choice.candidate.was_wrong for choice in chosen)
    refused = sum(not taken for _, taken in proposals)
    sentences = [
        f"{_counted(len(added), 'example')} added" + (f", {dropped} dropped" if dropped else ""),
        f"{_counted(len(rules), 'rule')} added" if rules else "",
        f"{_counted(refused, 'proposal')} not taken" if refused else "",
        f"{_counted(len(chosen), 'example')} from verdicts in all: {corrected} corrected, "
        f"{len(chosen) - corrected} confirmed, about {tokens:,} tokens per call",
        _about_pairs(lessons.pairs),
        f"not used: {lessons.why_unused()}" if lessons.unused else "",
    ]
    summary = ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences if sentence) + "."
    diff = _diff(former, refined)
    return Refinement(refined, len(added), added, categories, lessons.pairs, proposals, tokens, diff, summary)


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
