import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import ColumnNotFound, NotRegistered, UsageError
from workbench.refinery import STEPS, Pipeline, get_pipeline
from workbench.refinery.steps import CharacterStep

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("v1", "v2", "v3")

any_character = st.characters(exclude_categories=())
trade_words = st.sampled_from(
    [
        "INST.",
        "de",
        "la",
        "PZA",
        "no.",
        "No",
        "5",
        "n°",
        "i.v.a.",
        "S.A.",
        "???",
        "ñ",
        "½",
        "ß",
        "µ",
        "Æ",
        "™",
        "\0",
        "\xad",
    ]
)
texts = st.one_of(
    st.text(any_character, max_size=20),
    st.lists(st.one_of(trade_words, any_character), max_size=8).map("".join),
    st.lists(st.one_of(trade_words, st.text(max_size=4)), max_size=8).map(" ".join),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_pipeline_never_changes(name: str) -> None:
    lines = (GOLDEN / "pipeline_texts.jsonl").read_text(encoding="ascii").splitlines()
    golden = [json.loads(line) for line in lines]
    pipeline = get_pipeline(name)
    assert [pipeline.clean(it["text"]) for it in golden] == [it[name] for it in golden]
    column = pd.Series([it["text"] for it in golden], dtype=object)
    assert pipeline.clean(column).tolist() == [it[name] for it in golden]
    assert pipeline.version_fingerprint == json.loads((GOLDEN / "pipeline_fingerprints.json").read_text())[name]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("INSTALACIÓN VINIL   COCA-COLA", "instalacion vinil coca cola"),
        ("LIBRO HABIL MENTAL", "libro habilidad mental"),
        ("INST. 2 PZA, SERV. Y MTTO.", "instalacion 2 pieza servicio mantenimiento"),
        ("FACTURA No. 123 (S.A. DE C.V.)", "factura numero 123 sa cv"),
        ("NO INCLUYE I.V.A.", "no incluye iva"),
        ("Coca™", "cocatm"),
        ("AÑO NUEVO", "ano nuevo"),
        ('TUBO 1½"', "tubo 1 1 2"),
        ("DE LA", "de la"),
    ],
)
def test_v3_cleans_what_the_trade_writes(text: str, clean: str) -> None:
    assert get_pipeline("v3").clean(text) == clean


def test_v2_glues_words_and_loses_negations() -> None:
    assert get_pipeline("v2").clean("COCA-COLA SIN AZÚCAR 1.5 INST.") == "cocacola azucar 15 inst"


def test_v1_only_writes_small_and_tidies_spaces() -> None:
    assert get_pipeline("v1").clean("  Office   RENT, Nº 5\n") == "office rent, nº 5"


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=150)
@given(text=texts)
def test_cleaning_takes_any_text_and_cleaning_again_changes_nothing(name: str, text: str) -> None:
    pipeline = get_pipeline(name)
    clean = pipeline.clean(text)
    assert pipeline.clean(clean) == clean
    clean.encode()
    assert clean == " ".join(clean.split())
    if name != "v1":
        assert clean == clean.casefold()


@pytest.mark.parametrize("name", NAMES)
def test_every_character_that_changes_is_cleaned_for_good(name: str) -> None:
    text = "x".join(map(chr, [*range(0x20000), *range(0xE0000, 0xE0200)]))
    once = get_pipeline(name).clean(text)
    assert get_pipeline(name).clean(once) == once


@settings(deadline=None, max_examples=60)
@given(text=texts, own=st.dictionaries(st.sampled_from("abc"), st.text("abcd e", min_size=1, max_size=5), max_size=3))
def test_cleaning_again_changes_nothing_with_abbreviations_of_ones_own(text: str, own: dict[str, str]) -> None:
    try:
        pipeline = get_pipeline("v3", abbreviations=own)
    except UsageError:
        return
    clean = pipeline.clean(f"{text} a.b c")
    assert pipeline.clean(clean) == clean


@pytest.mark.parametrize("name", NAMES)
def test_a_null_stays_null_and_an_empty_text_stays_empty(name: str) -> None:
    pipeline = get_pipeline(name)
    assert pipeline.clean(None) is None
    assert pipeline.clean("") == ""
    cleaned = pipeline.clean(pd.Series(["", None, np.nan, pd.NA, pd.NaT, "nan"], dtype=object))
    assert cleaned.isna().tolist() == [False, True, True, True, True, False]
    assert cleaned[0] == "" and cleaned[5] == "nan"


def test_a_column_keeps_its_index_and_name_and_becomes_text() -> None:
    column = pd.Series([5.0, np.nan, 2.5], index=[7, 7, "z"], name="Importe")
    cleaned = get_pipeline("v1").clean(column)
    assert cleaned.dtype == "str" and cleaned.name == "Importe"
    assert cleaned.index.tolist() == [7, 7, "z"]
    assert cleaned.tolist()[::2] == ["5", "2.5"]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["PZA", "PZA", None], dtype="category"),
        pd.Series(["PZA", "PZA", None], dtype="string"),
        pd.Series([], dtype="str"),
        pd.Series([None, None], dtype=object),
        pd.Series([None, None], dtype="str"),
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series(pd.to_datetime(["2024-01-31", None])),
        pd.Series([True, False]),
        pd.Series([["a"], {"b": 1}], dtype=object),
        pd.Series(["", "   ", "???"]),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_columns_of_every_type_are_cleaned_by_value(name: str, column: pd.Series) -> None:
    cleaned = get_pipeline(name).clean(column)
    assert cleaned.dtype == "str" and len(cleaned) == len(column)
    assert cleaned.isna().tolist() == column.isna().tolist()


def test_clean_frame_adds_the_clean_columns_after_the_originals_and_leaves_the_table_alone() -> None:
    df = pd.DataFrame({"A": ["PZA"], "B": [5.0], "C": ["x"]})
    cleaned = get_pipeline("v3").clean_frame(df, ["B", "A"])
    assert cleaned.columns.tolist() == ["A", "B", "C", "cleanB", "cleanA"]
    assert cleaned.loc[0].tolist() == ["PZA", 5.0, "x", "5", "pieza"]
    assert df.columns.tolist() == ["A", "B", "C"]


def test_an_unknown_column_is_answered_with_the_nearest_name() -> None:
    df = pd.DataFrame({"LineDescription": ["a"]})
    with pytest.raises(ColumnNotFound, match="did you mean 'LineDescription'"):
        get_pipeline("v3").clean_frame(df, "LineDescripcion")


def test_a_column_name_that_stands_twice_is_an_error() -> None:
    with pytest.raises(UsageError, match="more than once"):
        get_pipeline("v3").clean_frame(pd.DataFrame([["a", "b"]], columns=["A", "A"]), ["A"])


def test_an_unknown_pipeline_is_answered_with_the_names() -> None:
    with pytest.raises(NotRegistered, match="v1, v2, v3"):
        get_pipeline("v4")


def test_only_texts_and_columns_can_be_cleaned() -> None:
    with pytest.raises(UsageError, match="DataFrame"):
        get_pipeline("v3").clean(pd.DataFrame())  # type: ignore[call-overload]


def test_explain_names_the_steps_that_changed_something_and_ends_with_the_result() -> None:
    traces = get_pipeline("v3").explain("INSTALACIÓN de PZA.")
    assert [trace.step for trace in traces] == [
        *("plain_letters", "fold_case", "punctuation_to_space", "abbreviations", "stop_words", "final")
    ]
    assert all(trace.before != trace.after for trace in traces)
    assert traces[-1].before == "INSTALACIÓN de PZA." and traces[-1].after == "instalacion pieza"
    assert "pza → pieza" in traces[3].why and "de" in traces[4].why


def test_explain_says_when_nothing_changed_and_when_nothing_is_left() -> None:
    pipeline = get_pipeline("v3")
    assert [trace.why for trace in pipeline.explain("renta")] == ["nothing changed it"]
    assert "nothing is left" in pipeline.explain("???")[-1].why


@settings(deadline=None, max_examples=60)
@given(text=texts)
def test_explain_ends_where_cleaning_ends(text: str) -> None:
    for name in NAMES:
        assert get_pipeline(name).explain(text)[-1].after == get_pipeline(name).clean(text)


def test_preview_shows_random_rows_before_and_after_and_why() -> None:
    df = pd.DataFrame({"A": [f"PZA {number}" for number in range(50)], "B": [None] * 50}, index=range(100, 150))
    shown = get_pipeline("v3").preview(df, "A")
    assert shown.columns.tolist() == ["A", "cleanA", "changes"]
    assert len(shown) == 10 and shown.index.is_monotonic_increasing
    assert shown["changes"].str.contains("pza → pieza").all()
    pd.testing.assert_frame_equal(shown, get_pipeline("v3").preview(df, "A"))
    assert shown.index.tolist() != get_pipeline("v3").preview(df, "A", seed=8).index.tolist()
    both = get_pipeline("v3").preview(df, ["A", "B"], rows=99)
    assert len(both) == 50 and both["changes"].str.startswith("A: ").all()
    assert get_pipeline("v3").preview(df.head(0), "A").empty


def test_a_pipeline_travels_to_another_process() -> None:
    pipeline = get_pipeline("v3")
    pipeline.clean(pd.Series(["warm"]))
    again = pickle.loads(pickle.dumps(pipeline))
    assert again.clean(pd.Series(["INST. ½"])).tolist() == ["instalacion 1 2"]
    assert again.version_fingerprint == pipeline.version_fingerprint


def test_a_pipeline_of_ones_own_may_have_its_steps_in_any_order() -> None:
    own = CharacterStep("no_digits", "digits dropped", _no_digit)
    pipeline = Pipeline("own", (STEPS.get("single_spaces"), own, STEPS.get("lower_case")))
    assert pipeline.clean("A  1B") == "a b"
    assert pipeline.clean(pd.Series(["A  1B", None])).tolist()[0] == "a b"


def _no_digit(character: str) -> str:
    return "" if character.isdigit() else character


def test_the_examples_of_the_documentation_hold() -> None:
    page = (Path(__file__).parents[1] / "docs" / "cleaning.md").read_text(encoding="utf-8")
    table = page.partition("| text | v1 | v2 | v3 |\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert len(table) >= 8
    for line in table:
        text, *clean = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        assert [get_pipeline(name).clean(text) for name in NAMES] == [
            "" if cell == "(nothing)" else cell for cell in clean
        ]
