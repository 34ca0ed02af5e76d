"""How confused categories become rules, and how proposals are accepted or struck."""

from typing import Any

import pandas as pd
import pytest

from workbench.errors import ProviderError
from workbench.llm import Prompt, Proposal, Selection, learn, read_rules, refine_prompt, request_rules
from workbench.llm.prompt import Category
from workbench.llm.prompt_refinement import Refinement

NAMES = ["Papelería", "Cómputo", "Viajes", "Otros", "Indeterminado"]
PROMPT = Prompt(name="small", categories=[Category(name=name) for name in NAMES])
TONER = [f"toner {color} para impresora" for color in ("negro", "magenta", "cian amarillo")]
RULE = "Items that mention 'toner' belong to 'Papelería', not to 'Cómputo'."


def verdict(text: str, predicted: str, true: str | None = None, pool: str = "prompt") -> dict[str, Any]:
    return {
        "item_id": text,
        "text": text,
        "category": predicted,
        "is_correct": true is None,
        "corrected_category": true,
        "pool": pool,
        "iteration": 1,
    }


def confused() -> list[dict[str, Any]]:
    taken = [verdict(text, "Cómputo", "Papelería") for text in TONER]
    right = [
        verdict("impresora laser", "Cómputo"),
        verdict("laptop", "Cómputo"),
        verdict("impresora matriz", "Cómputo"),
    ]
    return [*taken, *right, verdict("taxi", "Viajes")]


def refine(*verdicts: dict[str, Any], prompt: Prompt = PROMPT, **wishes: Any) -> Refinement:
    return refine_prompt(prompt, pd.DataFrame(list(verdicts), columns=list(verdict("", ""))), **wishes)


def by_kind(refined: Refinement, kind: str) -> list[Proposal]:
    return [proposal for proposal, _ in refined.proposals if proposal.kind == kind]


def test_a_confused_pair_gets_a_rule_of_the_word_that_tells_it_with_its_evidence() -> None:
    refined = refine(*confused())
    [rule] = by_kind(refined, "rule")
    assert rule.text == RULE
    assert rule.evidence == tuple(sorted(TONER))
    assert "3 of the 3 reviewed items" in rule.why
    assert refined.prompt.rules == [RULE]
    assert RULE in refined.prompt.render()
    assert f"+  - {RULE}" in refined.diff
    assert "1 rule added" in refined.summary


def test_a_word_of_both_categories_or_of_one_item_makes_no_rule() -> None:
    both = [verdict(f"impresora {word}", "Cómputo", "Papelería") for word in ("uno", "dos")]
    assert by_kind(refine(*both, *confused()[3:]), "rule") == []
    assert by_kind(refine(verdict("toner negro", "Cómputo", "Papelería")), "rule") == []
    twins = [verdict(f"toner negro {number}", "Cómputo", "Papelería") for number in (1, 2)]
    assert by_kind(refine(*twins), "rule") == []


def test_verdicts_of_other_pools_are_no_evidence() -> None:
    held = [
        verdict(text, "Cómputo", "Papelería", pool) for text, pool in zip(TONER, ("dev", "holdout", "dev"), strict=True)
    ]
    assert by_kind(refine(*held, *confused()[3:]), "rule") == []


def test_a_rule_of_the_same_pair_is_replaced_and_a_persons_rules_stay() -> None:
    old = "Items that mention 'tinta' belong to 'Papelería', not to 'Cómputo'."
    prompt = PROMPT.with_examples([], ["Lo mío primero.", old])
    once = refine(*confused(), prompt=prompt)
    assert once.prompt.rules == ["Lo mío primero.", RULE]
    twice = refine(*confused(), prompt=once.prompt)
    assert twice.prompt == once.prompt
    assert (twice.proposals, twice.diff) == ([], "")


def test_rules_share_the_token_budget_with_the_examples() -> None:
    for most in (0, 10, 30, 60):
        refined = refine(*confused(), max_tokens=most)
        assert refined.tokens <= most
    assert refine(*confused(), max_tokens=0).prompt == PROMPT


def test_proposals_can_be_struck_and_accepted_by_their_ids_which_stay_the_same() -> None:
    everything = refine(*confused())
    names = [proposal.proposal_id for proposal, taken in everything.proposals if taken]
    assert len(set(names)) == len(everything.proposals) > 3
    struck = refine(*confused(), selection=Selection(strike=names[:2]))
    assert [proposal.proposal_id for proposal, taken in struck.proposals if not taken] == names[:2]
    assert struck.prompt.rules == []
    assert len(struck.prompt.examples) == len(everything.prompt.examples) - 1
    assert "2 proposals not taken" in struck.summary
    only = refine(*confused(), selection=Selection(accept=[names[0]]))
    assert (only.prompt.rules, only.prompt.examples) == ([RULE], [])
    assert refine(*confused(), selection=Selection(accept="none")).prompt == PROMPT


def test_what_an_earlier_iteration_took_can_still_be_struck() -> None:
    everything = refine(*confused())
    names = [proposal.proposal_id for proposal, _ in everything.proposals]
    later = refine(*confused(), prompt=everything.prompt, selection=Selection(strike=names))
    assert (later.prompt.rules, later.prompt.examples) == ([], [])


def test_the_contrast_says_what_it_is_for() -> None:
    whys = [proposal.why for proposal in by_kind(refine(*confused()), "example")]
    assert "was taken for 'Cómputo'" in whys
    assert any("does belong to 'Cómputo'" in why for why in whys)


def test_a_free_text_prompt_gets_its_rules_too() -> None:
    prompt = PROMPT.model_copy(update={"text": "Clasifica."})
    rendered = refine(*confused(), prompt=prompt).prompt.render()
    assert rendered.index("Clasifica.") < rendered.index(RULE) < rendered.index("# Examples")


def test_a_written_rule_takes_the_place_of_the_one_from_words() -> None:
    lessons = learn(PROMPT, pd.DataFrame(confused()))
    request = request_rules(PROMPT, lessons.candidates, lessons.ordered_pairs)
    assert all(text in request.data for text in TONER)
    written = read_rules(
        'Sure: {"rules":[{"pair":1,"rule":"Toner es\\npapelería."}]}', lessons.candidates, lessons.ordered_pairs
    )
    refined = refine(*confused(), written_rules=written)
    assert refined.prompt.rules == ["Toner es papelería."]
    assert set(by_kind(refined, "rule")[0].evidence) == set(TONER)


@pytest.mark.parametrize(
    "answer", ["", "no", "[]", '{"rules": 3}', '{"rules": [3]}', '{"rules": [{"pair": []}]}', "{" * 5000]
)
def test_an_answer_without_rules_is_refused(answer: str) -> None:
    lessons = learn(PROMPT, pd.DataFrame(confused()))
    with pytest.raises(ProviderError, match="list of rules"):
        read_rules(answer, lessons.candidates, lessons.ordered_pairs)


@pytest.mark.parametrize("rule", ['""', "null", "7", '"' + "x" * 300 + '"'])
def test_a_rule_that_is_none_is_not_taken(rule: str) -> None:
    lessons = learn(PROMPT, pd.DataFrame(confused()))
    assert read_rules(f'{{"rules":[{{"pair":1,"rule":{rule}}}]}}', lessons.candidates, lessons.ordered_pairs) == []
    assert read_rules('{"rules":[{"pair":9,"rule":"a"}]}', lessons.candidates, lessons.ordered_pairs) == []
