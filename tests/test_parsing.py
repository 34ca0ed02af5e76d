import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.llm import Prompt, parse_answer

PROMPT = Prompt(name="p", categories=["Pop", "Promoción Cerveza", "Viajes", "Otros", "Indeterminado"])


def parse(answer, count=3, **options):
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return parse_answer(text, PROMPT, range(1, count + 1), **options)


def entry(number, category="Pop", score=0.9, **more):
    return {"id": number, "reason": f"because {number}", "category": category, "score": score} | more


def results(*entries):
    return {"results": list(entries)}


def test_answers_belong_to_the_items_that_they_name_whatever_their_order():
    parsed = parse(results(entry(3, "Viajes"), entry(1), entry(2, "Otros", 0.2)))
    assert parsed.good == {
        1: ("Pop", "because 1", 0.9),
        2: ("Otros", "because 2", 0.2),
        3: ("Viajes", "because 3", 0.9),
    }
    assert (parsed.faults, parsed.unknown) == ({}, 0)


def test_an_item_that_is_left_out_is_missing_and_the_others_count():
    parsed = parse(results(entry(1), entry(3)))
    assert sorted(parsed.good) == [1, 3]
    assert parsed.faults == {2: "the answer left it out"}


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"results":'])
def test_a_model_that_repeats_itself_without_end_is_given_up_in_no_time_and_what_it_said_before_is_kept(opening):
    started = time.process_time()
    parsed = parse(json.dumps(results(entry(1)))[:-2] + "," + opening * 200_000)
    assert (list(parsed.good), sorted(parsed.faults)) == ([1], [2, 3])
    assert time.process_time() - started < 5


def test_an_id_that_was_not_asked_for_is_counted_and_ignored():
    parsed = parse(results(entry(1), entry(2), entry(3), entry(4), entry(0), entry("x")))
    assert sorted(parsed.good) == [1, 2, 3]
    assert parsed.unknown == 3


def test_an_item_that_is_answered_twice_counts_only_if_both_agree():
    parsed = parse(results(entry(1), entry(1, score=0.5), entry(2), entry(2, "Viajes"), entry(3), entry(3, "Nope")))
    assert parsed.good == {1: ("Pop", "because 1", 0.9)}
    assert set(parsed.faults.values()) == {"it was answered twice, differently"}


def test_a_third_answer_does_not_bring_a_contradicted_item_back():
    parsed = parse(results(entry(1), entry(1, "Viajes"), entry(1), entry(2, "Nope"), entry(2)))
    assert parsed.good == {}


@pytest.mark.parametrize("given_id", [1, "1", 1.0, " 1 ", "1.0"])
def test_an_id_may_be_a_number_or_its_text(given_id):
    assert list(parse(results(entry(given_id)), 1).good) == [1]


@pytest.mark.parametrize("given_id", [True, None, 1.5, "one", [1], {"n": 1}, -1, 1e400, "1e999", "nan"])
def test_anything_else_is_no_id(given_id):
    parsed = parse(results(entry(given_id)), 1)
    assert parsed.good == {}
    assert list(parsed.faults) == [1]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("pop", "Pop"), ("PROMOCION CERVEZA", "Promoción Cerveza"), (" promoción  cerveza ", "Promoción Cerveza")],
)
def test_a_category_may_differ_in_case_accents_and_spaces(written, meant):
    assert parse(results(entry(1, written)), 1).good[1].category == meant


@pytest.mark.parametrize("category", ["Cerveza", "Pop.", "Pop/Viajes", "", 5, ["Pop"]])
def test_a_category_that_is_not_in_the_prompt_is_a_fault(category):
    parsed = parse(results(entry(1, category)), 1)
    assert parsed.good == {}
    assert "is not in the prompt" in parsed.faults[1]


@pytest.mark.parametrize("score", [0, 0.0, 1, 0.55, "0.55"])
def test_a_score_from_0_to_1_counts(score):
    assert parse(results(entry(1, score=score)), 1).good[1].score == float(score)


@pytest.mark.parametrize("score", [1.01, -0.5, 95, -2, "alta", None, True, float("nan"), float("inf"), [0.9], -1, "-1"])
def test_any_other_score_is_a_fault(score):
    parsed = parse(results(entry(1, score=score)), 1)
    assert parsed.good == {}
    assert "its score" in parsed.faults[1]


@pytest.mark.parametrize("score", [-1, 0.9, None, "x", 7])
def test_the_unclassifiable_category_is_always_scored_minus_one(score):
    assert parse(results(entry(1, "indeterminado", score)), 1).good[1].score == -1


@pytest.mark.parametrize(
    "given_entry",
    [
        {"ID": 1, "clase": "Pop", "razón": "r", "puntaje": 0.9},
        {"id": 1, "categoría": "Pop", "motivo": "r", "confidence": 0.9},
        {"item_id": "1", "Classification": "Pop", "reasoning": "r", "confidence_score": 0.9},
        {"índice": 1, "CATEGORY": "Pop", "Explicación": "r", "Puntuación": 0.9},
        {"id": 1, "category": "Pop", "clase": "pop", "reason": "r", "score": 0.9, "cleanText": "vinil"},
    ],
)
def test_field_names_are_understood_as_models_write_them(given_entry):
    assert parse(results(given_entry), 1).good == {1: ("Pop", "r", 0.9)}


def test_two_categories_in_one_entry_are_a_fault():
    parsed = parse(results(entry(1, clase="Viajes")), 1)
    assert parsed.faults == {1: "it names more than one category: 'Pop', 'Viajes'"}
    twice = '{"results":[{"id":1,"category":"Pop","score":0.9,"category":"Viajes"}]}'
    assert list(parse(twice, 1).faults) == [1]


def test_a_reason_is_not_required_and_is_kept_on_one_plain_line():
    assert parse(results({"id": 1, "category": "Pop", "score": 1}), 1).good[1].reason == ""
    assert parse(results(entry(1, reason="  vinil\n\tde\x00 tienda\x1b ")), 1).good[1].reason == "vinil de tienda"
    lone = parse('{"id":1,"category":"Pop","score":1,"reason":"a\\ud800b"}', 1).good[1].reason
    assert lone.encode("utf-8") == b"a?b"


@pytest.mark.parametrize(
    "shape",
    [
        "{answer}",
        "```json\n{answer}\n```",
        "Sure! Here it is {as asked}:\n\n```\n{answer}\n```\nAnything else?",
        '{{"data": {{"output": {answer}}}}}',
        '{{"id": "chatcmpl-1", "answer": {answer}}}',
        "[{answer}]",
        '{{"items":[{{"id":1,"cleanText":"vinil"}},{{"id":2,"cleanText":"taxi"}}]}}\n{answer}',
    ],
)
def test_prose_fences_wrappers_and_an_echo_of_the_items_do_not_hide_the_answer(shape):
    answer = json.dumps(results(entry(1), entry(2, "Viajes")))
    text = shape.replace("{as asked}", "{{as asked}}").format(answer=answer)
    parsed = parse(text, 2)
    assert parsed.good == {1: ("Pop", "because 1", 0.9), 2: ("Viajes", "because 2", 0.9)}
    assert parsed.unknown == 0


def test_a_bare_list_or_one_entry_a_line_will_do():
    assert sorted(parse([entry(1), entry(2)], 2).good) == [1, 2]
    assert sorted(parse("\n".join(json.dumps(entry(number)) for number in (1, 2)), 2).good) == [1, 2]


def test_of_an_answer_that_is_cut_off_the_whole_entries_are_kept():
    text = json.dumps(results(*(entry(number) for number in range(1, 6))))
    cut = text[: text.index('"id": 4') + 30]
    parsed = parse(cut, 5, truncated=True)
    assert sorted(parsed.good) == [1, 2, 3]
    assert set(parsed.faults.values()) == {"the answer was cut off before it"}


def test_one_broken_entry_does_not_take_the_others_with_it():
    text = json.dumps(results(entry(1), entry(2), entry(3))).replace('"because 2"', '"because "2""')
    assert sorted(parse(text).good) == [1, 3]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the answer is empty"),
        ("  \n", "the answer is empty"),
        ("I cannot help with that.", "the answer holds no results that can be read"),
        ("{'results': [{'id': 1}]}", "the answer holds no results that can be read"),
        ("[1, 2, 3]", "the answer holds no results that can be read"),
        ("null", "the answer holds no results that can be read"),
        ('{"results": []}', "the answer holds no results that can be read"),
        ('{"a":' * 5000, "the answer holds no results that can be read"),
        ('{"results":[{"id":' + "9" * 5000 + ',"category":"Pop"}]}', "the answer holds no results that can be read"),
    ],
)
def test_what_cannot_be_read_leaves_everything_missing_with_the_reason(text, reason):
    parsed = parse(text, 2)
    assert (parsed.good, parsed.faults) == ({}, {1: reason, 2: reason})


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(PROMPT.category_names),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "category", "clase", "score", "reason", "results"]), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=150)
@given(said=anything, cut=st.integers(0, 400), count=st.integers(1, 5))
def test_whatever_a_model_says_every_item_is_either_good_or_has_a_fault(said, cut, count):
    parsed = parse(json.dumps(said)[: cut or None], count)
    assert sorted([*parsed.good, *parsed.faults]) == list(range(1, count + 1))
    for category, _, score in parsed.good.values():
        assert category in PROMPT.category_names
        assert (score == -1) == (category == PROMPT.unclassifiable)
        assert score == -1 or 0 <= score <= 1
    assert all(parsed.faults.values())


# --- rows


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ([1, ["why"], "Pop", 0.9], ("Pop", "why", 0.9)),
        ([1, "Pop", 0.5, ["why"]], ("Pop", "why", 0.5)),
        ([1, "Pop", ["why", "so"], 0.5], ("Pop", "why so", 0.5)),
        ([1, [], "Pop", 0.9], ("Pop", "", 0.9)),
        ([1, ["Viajes"], "Pop", 0.9], ("Pop", "Viajes", 0.9)),
        ([1, ["why"], "Indeterminado"], ("Indeterminado", "why", -1.0)),
        ([1, "why", "Pop", 0.9], ("Pop", "why", 0.9)),
        ([1, "Pop", 0.9], ("Pop", "", 0.9)),
        ([1, "Pop", 0.5, "why"], ("Pop", "why", 0.5)),
        ([1, None, "Pop", 0.9], ("Pop", "", 0.9)),
        (["1", "why", " POP ", "0.9"], ("Pop", "why", 0.9)),
        ([1, "why", "Indeterminado", -1], ("Indeterminado", "why", -1.0)),
        ([1, "Pop", "Pop", 1], ("Pop", "Pop", 1.0)),
    ],
)
def test_a_row_is_read_by_what_stands_right_before_its_score(row, answer):
    assert parse(results(row), 1).good == {1: answer}


@pytest.mark.parametrize(
    "row",
    [
        [1, "Pop", "why", 0.9],
        [1, "why", "Pop"],
        [1, "Pop", 7],
        [1, 0.9, "Pop"],
        [1, True, "Pop"],
        [1, ["Pop"], 0.9],
        [1, ["why"], "Pop", "Viajes", 0.9],
        [1, ["why"], "Viajes", 0.9, "Pop"],
        [1, ["why"], "why", "Pop", 0.9],
        [1, "viajes", "Pop", 0.9],
        [1, ["why"], ["Pop"], 0.9],
        [["why"], "Pop", 0.9],
    ],
)
def test_a_row_that_is_not_as_asked_is_never_guessed(row):
    parsed = parse(results(row), 1)
    assert (parsed.good, list(parsed.faults)) == ({}, [1])


def test_of_rows_that_were_cut_off_the_whole_ones_count():
    text = json.dumps(results([1, "why", "Pop", 0.9], [2, "why", "Viajes", 0.8], [3, "why", "Otros", 0.75]))
    for end in range(len(text)):
        parsed = parse(text[:end], truncated=True)
        right = {1: ("Pop", "why", 0.9), 2: ("Viajes", "why", 0.8), 3: ("Otros", "why", 0.75)}
        assert parsed.good.items() <= right.items()
    assert sorted(parse(text[:-4], truncated=True).good) == [1, 2]


def test_rows_among_prose_and_fences_are_found():
    text = 'Here [as asked] are the 2:\n```json\n{"results":[[2,"b","Viajes",0.5],[1,"a","Pop",0.9]]}\n```\n[1, 2]'
    assert parse(text, 2).good == {1: ("Pop", "a", 0.9), 2: ("Viajes", "b", 0.5)}
