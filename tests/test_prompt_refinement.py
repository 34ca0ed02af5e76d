"""How verdicts become the examples of the next prompt."""

import random
from collections import Counter
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import ParameterError, VerdictError
from workbench.llm.prompt import Category, Example, Prompt
from workbench.llm.prompt_refinement import Refinement, estimate_tokens, refine_prompt

NAMES = ["Pop", "Viajes", "Comida", "Otros", "Indeterminado"]
PROMPT = Prompt(name="small", categories=[Category(name=name) for name in NAMES])
WORDS = ["vinil", "lona", "taxi", "vuelo", "tacos", "refresco", "mampara", "hotel", "torta", "display", "caseta", "pan"]


def verdict(text: str, predicted: str, true: str | None = None, **more: Any) -> dict[str, Any]:
    """A verdict: confirmed without `true`, else corrected to it."""
    return {
        "item_id": more.pop("item_id", text),
        "text": text,
        "category": predicted,
        "is_correct": true is None,
        "corrected_category": true,
        "pool": "prompt",
        "iteration": 1,
        "user_notes": "",
    } | more


def refine(*verdicts: dict[str, Any], prompt: Prompt = PROMPT, **bounds: Any) -> Refinement:
    named = [{"reviewer": "ana"} | each for each in verdicts]
    return refine_prompt(prompt, pd.DataFrame(named, columns=[*verdict("", "Pop"), "reviewer", "n_rows"]), **bounds)


def texts_of(refinement: Refinement) -> list[str]:
    return [example.text for example in refinement.prompt.examples]


def many(count: int, seed: int = 1) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    verdicts = []
    for number in range(count):
        predicted, true = draw.choice(NAMES[:3]), draw.choice(NAMES[:3])
        text = f"{' '.join(draw.sample(WORDS, 4))} {number}"
        verdicts.append(verdict(text, predicted, None if predicted == true else true, n_rows=draw.randint(1, 9)))
    return verdicts


def test_corrected_and_confirmed_items_become_examples() -> None:
    refined = refine(verdict("vinil tienda", "Viajes", "Pop"), verdict("vuelo mty", "Viajes"))
    assert {(example.text, example.category, example.item_id) for example in refined.prompt.examples} == {
        ("vinil tienda", "Pop", "vinil tienda"),
        ("vuelo mty", "Viajes", "vuelo mty"),
    }
    assert refined.examples_added == len(refined.examples) == 2
    assert refined.categories_served == ["Pop", "Viajes"]
    assert refined.improvement_metrics() == {"examples_added": 2, "categories_improved": ["Pop", "Viajes"]}


@pytest.mark.parametrize("pool", ["dev", "holdout", None, ""])
def test_only_the_prompt_pool_enters(pool: str | None) -> None:
    refined = refine(verdict("vinil tienda", "Pop"), verdict("vuelo mty", "Viajes", pool=pool))
    assert texts_of(refined) == ["vinil tienda"]


def test_an_example_leaves_when_its_item_turns_up_in_another_pool() -> None:
    prompt = PROMPT.with_examples([Example(text="taxi", category="Viajes", item_id="t")])
    refined = refine(verdict("taxi", "Viajes", item_id="t", pool="holdout"), verdict("pan", "Comida"), prompt=prompt)
    assert texts_of(refined) == ["pan"]


def test_a_later_verdict_on_the_same_item_wins() -> None:
    later = verdict("torta de lona", "Pop", "Comida", item_id="a", iteration=2)
    earlier = verdict("torta de lona", "Pop", item_id="a", iteration=1)
    assert refine(later, earlier).prompt.examples[0].category == "Comida"


def test_the_majority_teaches_and_a_disputed_item_teaches_nothing() -> None:
    said = [
        verdict("torta", "Pop", "Comida", item_id="a", reviewer="ana"),
        verdict("torta", "Pop", item_id="a", reviewer="ben"),
    ]
    pan = verdict("pan", "Comida", reviewer="ana")
    prompt = PROMPT.with_examples([Example(text="torta", category="Pop", item_id="a")])
    tied = refine(*said, pan, prompt=prompt)
    assert texts_of(tied) == ["pan"]
    assert "not used: 1 disputed between reviewers" in tied.summary.lower()
    third = verdict("torta", "Pop", "Comida", item_id="a", reviewer="cleo")
    for order in ([*said, third], [third, *said], [said[1], third, said[0]]):
        assert Example(text="torta", category="Comida", item_id="a") in refine(*order, pan).prompt.examples


def test_a_later_verdict_can_take_an_example_away() -> None:
    prompt = PROMPT.with_examples([Example(text="torta", category="Pop", item_id="a")])
    wrong = verdict("torta", "Pop", item_id="a", iteration=2) | {"is_correct": False}
    assert texts_of(refine(wrong, verdict("pan", "Comida"), prompt=prompt)) == ["pan"]


@pytest.mark.parametrize("corrected", [None, "", "Pop", "No existe", float("nan")])
def test_a_wrong_one_without_a_usable_category_is_no_example(corrected: Any) -> None:
    useless = verdict("torta", "Pop") | {"is_correct": False, "corrected_category": corrected}
    assert texts_of(refine(useless, verdict("pan", "Comida"))) == ["pan"]


def test_items_without_a_verdict_or_without_text_are_left_out() -> None:
    unjudged = verdict("taxi", "Viajes") | {"is_correct": None}
    assert texts_of(refine(unjudged, verdict("  ", "Pop"), verdict("pan", "Comida"))) == ["pan"]


def test_the_most_confused_pair_is_served_first_and_from_both_sides() -> None:
    refined = refine(
        verdict("hotel centro", "Comida", "Viajes"),
        verdict("lona para taxi", "Viajes", "Pop"),
        verdict("vinil para taxi", "Viajes", "Pop"),
        verdict("vinil para taxi de sitio", "Viajes"),
        verdict("boleto a cancun", "Viajes"),
        *(verdict(f"menu numero {number} del dia", "Comida") for number in range(5)),
        max_examples=2,
    )
    assert refined.confused_pairs == [("Viajes", "Pop", 2), ("Comida", "Viajes", 1)]
    assert [example.category for example in refined.prompt.examples] == ["Pop", "Viajes"]
    assert "taxi" in refined.prompt.examples[1].text


def test_the_callers_confusion_decides_which_pair_comes_first() -> None:
    verdicts = [verdict("lona", "Viajes", "Pop"), verdict("torta", "Pop", "Comida")]
    refined = refine(
        *verdicts, confusion={("Pop", "Comida"): 9, ("Viajes", "Pop"): 1, ("Pop", "Pop"): 99}, max_examples=1
    )
    assert texts_of(refined) == ["torta"]
    assert refined.confused_pairs == [("Pop", "Comida", 9), ("Viajes", "Pop", 1)]


def test_a_rare_category_gets_its_example() -> None:
    common = [verdict(f"{first} {second}", "Pop") for first in WORDS for second in WORDS[:3] if first != second]
    assert "Comida" in refine(*common, verdict("agua", "Comida"), max_examples=2).categories_served


def test_nearly_the_same_texts_do_not_enter_twice() -> None:
    refined = refine(
        verdict("instalacion de vinil en tienda norte", "Pop"),
        verdict("instalacion de vinil en tienda norte 2", "Pop"),
        verdict("exhibidor de piso", "Pop"),
    )
    assert len(refined.prompt.examples) == 2


def test_similar_texts_of_different_categories_both_enter() -> None:
    refined = refine(verdict("renta de lona a", "Pop"), verdict("renta de lona ab", "Pop", "Viajes"))
    assert len(refined.prompt.examples) == 2


def test_what_the_prompt_gets_right_anyway_is_left_out_but_for_rare_categories_and_contrasts() -> None:
    right = [verdict(word, "Pop") for word in ("vinil", "mampara", "display", "exhibidor", "cenefa", "lona de taxi")]
    rare, wrong = verdict("vuelo", "Viajes"), verdict("taxi de lona", "Pop", "Otros")
    assert len(refine(*right).prompt.examples) == 3
    refined = refine(*right, rare, wrong)
    assert {"lona de taxi", "taxi de lona", "vuelo"} <= set(texts_of(refined))
    assert Counter(each.category for each in refined.prompt.examples) == {"Pop": 3, "Viajes": 1, "Otros": 1}


def test_the_examples_are_typical_of_what_is_still_to_be_classified() -> None:
    judged = [verdict(text, "Otros", "Pop") for text in ("mampara de cristal", "vinil impreso", "caballete de madera")]
    for theirs, expected in (("vinil para vitrina {}", "vinil impreso"), ("caballete {}", "caballete de madera")):
        waiting = [theirs.format(number) for number in range(30)]
        assert texts_of(refine(*judged, max_examples=1, to_classify=waiting)) == [expected]


def test_confused_items_take_at_most_half_so_that_what_is_typical_has_room() -> None:
    wrong = [verdict(f"{first} {second}", "Otros", "Pop") for first in WORDS for second in WORDS[:4] if first != second]
    right = [verdict("vuelo a cancun", "Viajes"), verdict("torta de jamon", "Comida")]
    refined = refine(*wrong, *right, max_tokens=150)
    assert {"Viajes", "Comida"} <= {example.category for example in refined.prompt.examples}
    assert refined.tokens <= 150


def test_a_note_comes_along_shortened() -> None:
    refined = refine(verdict("vinil", "Viajes", "Pop", user_notes="  es material\nde tienda " + "y mas " * 60))
    [example] = refined.prompt.examples
    assert example.note.startswith("es material de tienda y mas")
    assert example.note.endswith("…")
    assert len(example.note) <= 120


def test_handwritten_examples_stay_and_those_from_verdicts_are_chosen_anew() -> None:
    prompt = PROMPT.with_examples(
        [
            Example(text="mampara", category="Pop"),
            Example(text="taxi", category="Viajes", item_id="t"),
            Example(text="vuelo a monterrey", category="Viajes", item_id="v"),
        ]
    )
    refined = refine(verdict("pan", "Viajes", "Comida"), prompt=prompt, max_examples=2)
    assert texts_of(refined)[0] == "mampara"
    assert "pan" in texts_of(refined)
    assert len(refined.prompt.examples) == 3


def test_additional_examples_come_without_item_and_are_not_added_twice() -> None:
    additional = [{"text": "hielo", "category": "comida"}]
    once = refine(verdict("lona", "Pop"), additional_examples=iter(additional))
    twice = refine(verdict("lona", "Pop"), prompt=once.prompt, additional_examples=additional)
    assert once.prompt.examples[0] == Example(text="hielo", category="Comida")
    assert once.examples_added == 2
    assert twice.prompt == once.prompt
    assert (twice.examples_added, twice.diff) == (0, "")


def test_additional_examples_are_enough() -> None:
    assert texts_of(refine(additional_examples=[{"text": "hielo", "category": "Comida"}])) == ["hielo"]


def test_an_additional_example_of_an_unknown_category_is_refused_with_the_names() -> None:
    with pytest.raises(ParameterError, match=r"additional example 1.*'Bebidas'.*there are Pop, Viajes"):
        refine(additional_examples=[{"text": "hielo", "category": "Bebidas"}])
    with pytest.raises(ParameterError, match="no text or no category"):
        refine(additional_examples=[{"text": "hielo"}])


def test_with_nothing_to_learn_from_the_prompt_stays_and_says_why() -> None:
    prompt = PROMPT.with_examples([Example(text="taxi", category="Viajes", item_id="t")], ["Taxi es Viajes."])
    useless = [verdict("lona", "Pop", pool="dev"), verdict("pan", "Comida") | {"is_correct": False}]
    for verdicts, why in ((useless, "1 outside the prompt pool, 1 wrong"), ([], "no verdict can become an example")):
        refined = refine(*verdicts, prompt=prompt)
        assert refined.prompt == prompt
        assert why in refined.summary
        assert (refined.proposals, refined.diff) == ([], "")


def test_missing_columns_are_named() -> None:
    with pytest.raises(VerdictError, match="no column 'is_correct', 'pool'"):
        refine_prompt(PROMPT, pd.DataFrame([verdict("lona", "Pop")]).drop(columns=["is_correct", "pool"]))


def test_the_diff_shows_additions_and_the_summary_speaks_plainly() -> None:
    refined = refine(verdict("vinil tienda", "Viajes", "Pop"))
    assert "+  - text: vinil tienda" in refined.diff
    assert not [line for line in refined.diff.splitlines()[2:] if line.startswith("-")]
    assert refined.summary.startswith("1 example added.")
    assert "'Pop' taken for 'Viajes' (1)" in refined.summary


def test_the_frames_of_pandas_are_understood_whatever_their_dtypes() -> None:
    frame = pd.DataFrame([verdict("lona", "Pop"), verdict("pan", "Viajes", "Comida"), verdict("te", "Pop")])
    frame["is_correct"] = frame["is_correct"].astype("boolean")
    frame.loc[2, "is_correct"] = pd.NA
    for column in ("text", "category", "corrected_category", "pool", "user_notes"):
        frame[column] = frame[column].astype("str")
    assert sorted(texts_of(refine_prompt(PROMPT, frame))) == ["lona", "pan"]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.builds(
            verdict,
            st.text(alphabet="abcde fgñ-\n\"'", max_size=25),
            st.sampled_from(NAMES),
            st.none() | st.sampled_from(NAMES),
            item_id=st.sampled_from("abcdefghijklmnop"),
            pool=st.sampled_from(["prompt", "dev", "holdout"]),
            iteration=st.integers(1, 3),
        ),
        max_size=25,
    ),
    st.integers(0, 8),
    st.integers(0, 150),
    st.randoms(use_true_random=False),
)
def test_never_more_than_asked_never_another_pool_and_always_the_same(
    verdicts: list[dict[str, Any]], most: int, tokens: int, order: random.Random
) -> None:
    verdicts = [entry | {"validated_at": f"2026-01-01T00:{place:02}"} for place, entry in enumerate(verdicts)]
    frame = pd.DataFrame(verdicts, columns=[*verdict("", "Pop"), "validated_at"])
    additional = [{"text": "mi ejemplo", "category": "Pop"}]
    bounds: dict[str, Any] = {"max_examples": most, "max_tokens": tokens, "additional_examples": additional}
    refined = refine_prompt(PROMPT, frame, **bounds)
    chosen = [example for example in refined.prompt.examples if example.item_id]
    latest = {entry["item_id"]: entry for entry in verdicts}
    assert len(chosen) <= most
    assert refined.tokens <= tokens
    assert all(latest[example.item_id]["pool"] == "prompt" for example in chosen if example.item_id)
    assert len({example.text for example in refined.prompt.examples}) == len(refined.prompt.examples)
    shuffled = frame.loc[order.sample(range(len(frame)), len(frame))]
    assert refine_prompt(PROMPT, shuffled, **bounds).prompt == refined.prompt


def test_the_bounds_hold_on_many_verdicts_and_every_pair_is_covered() -> None:
    verdicts = many(400)
    refined = refine(*verdicts, max_examples=30, max_tokens=10_000)
    assert len(refined.prompt.examples) == 30
    predicted = {entry["item_id"]: entry["category"] for entry in verdicts}
    shown = Counter((predicted[example.item_id or ""], example.category) for example in refined.prompt.examples)
    assert all(shown[pair[:2]] for pair in map(tuple, refined.confused_pairs))
    assert {example.category for example in refined.prompt.examples} == set(NAMES[:3])


def test_a_text_dearer_than_the_budget_does_not_keep_shorter_ones_out() -> None:
    refined = refine(verdict("vinil " * 400, "Viajes", "Pop"), verdict("pan", "Comida"), max_tokens=60)
    assert texts_of(refined) == ["pan"]
    assert refined.tokens <= 60


def test_no_examples_from_verdicts_if_none_are_wanted() -> None:
    prompt = PROMPT.with_examples([Example(text="taxi", category="Viajes", item_id="t")])
    assert refine(verdict("pan", "Comida"), prompt=prompt, max_examples=0).prompt.examples == []


def test_tokens_are_estimated_on_the_dear_side() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("instalacion de vinil") == 6
    assert estimate_tokens("日本酒") == 3
