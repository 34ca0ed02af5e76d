"""Propose a one-line rule for each pair of categories that is confused, from the words that tell the two apart.

A word tells them apart if at least two of the confused items have it, and it is surely a word of the right category:
by Laplace's rule of succession, (right + 1) / (all + 2) ≥ 0.75 over all reviewed items that have it. Up to three words
make a rule, always the one that covers most items that the others do not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from workbench.llm.example_choice import Candidate, Pair, estimate_tokens
from workbench.llm.prompt import Prompt
from workbench.llm.proposals import RULE, Proposal
from workbench.llm.providers.lexical_text import stem, words_of
from workbench.records import skeleton

MOST_RULES = 5
"""The most confused pairs get one each: a long list of rules is read worse than a short one."""
_FEWEST_ITEMS = 2
_SURE = 0.75
_MOST_WORDS = 3
_SHORTEST_WORD = 3
_OWN = re.compile(r"^Items that mention .+ belong to (.+), not to (.+)\.$")


def propose_rules(candidates: Sequence[Candidate], pairs: Sequence[Pair]) -> list[Proposal]:
    """Give at most one rule for each confused pair, the most important pair first; none where no word decides."""
    words = {candidate.item_id: _words(candidate.text) for candidate in candidates}
    rules = (_rule(candidates, words, pair) for pair in pairs)
    return [rule for rule in rules if rule][:MOST_RULES]


def outdated(prompt: Prompt, rules: Iterable[str]) -> set[str]:
    """Find the rules of this kind that the prompt has for a pair which gets another one now."""
    pairs = {match.groups() for rule in rules if (match := _OWN.match(rule))}
    return {rule for rule in prompt.rules if (match := _OWN.match(rule)) and match.groups() in pairs}


def _words(text: str) -> dict[str, str]:
    """Give the words of a text by their stems; words of one or two letters and codes say nothing."""
    return {stem(word): word for word in words_of(text) if len(word) >= _SHORTEST_WORD and word.isalpha()}


def _rule(candidates: Sequence[Candidate], words: dict[str, dict[str, str]], pair: Pair) -> Proposal | None:
    predicted, true = pair
    confused = [candidate for candidate in candidates if (candidate.predicted, candidate.category) == pair]
    telling = _telling(candidates, words, confused)
    chosen: list[str] = []
    covered: set[str] = set()
    while telling and len(chosen) < _MOST_WORDS:
        best = max(telling, key=lambda root: (len(telling[root] - covered), len(telling[root]), root))
        if not telling[best] - covered:
            break
        chosen.append(best)
        covered |= telling.pop(best)
    if not chosen:
        return None
    having = [each for each in candidates if words[each.item_id].keys() & set(chosen)]
    right = sum(each.category == true for each in having)
    named = " or ".join(f"'{_usual(root, having, words)}'" for root in chosen)
    text = f"Items that mention {named} belong to '{true}', not to '{predicted}'."
    why = (
        f"{len(covered)} of the {len(confused)} reviewed items that were taken for '{predicted}' mention it; "
        f"{right} of all {len(having)} reviewed items that do are '{true}'"
    )
    evidence = tuple(sorted(each.item_id for each in confused if each.item_id in covered))
    return Proposal(RULE, text, true, predicted, evidence, why, estimate_tokens(text))


def _telling(
    candidates: Sequence[Candidate], words: dict[str, dict[str, str]], confused: Sequence[Candidate]
) -> dict[str, set[str]]:
    """Give the words that tell the right category of confused items, with the items that have them."""
    true = confused[0].category if confused else ""
    kinds: dict[str, set[str]] = {}
    for each in confused:
        for root in words[each.item_id]:
            kinds.setdefault(root, set()).add(skeleton(each.text))
    telling = {}
    for root in (root for root, texts in kinds.items() if len(texts) >= _FEWEST_ITEMS):
        having = [each.category == true for each in candidates if root in words[each.item_id]]
        if (sum(having) + 1) / (len(having) + 2) >= _SURE:
            telling[root] = {each.item_id for each in confused if root in words[each.item_id]}
    return telling


def _usual(root: str, having: Sequence[Candidate], words: dict[str, dict[str, str]]) -> str:
    """Give the commonest form of a word."""
    forms = Counter(words[each.item_id][root] for each in having if root in words[each.item_id])
    return min(forms, key=lambda form: (-forms[form], form))
