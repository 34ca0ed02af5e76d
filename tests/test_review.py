import io
import json
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from workbench.errors import StorageError, VerdictError
from workbench.records import PREDICTION_COLUMNS, VALIDATION_COLUMNS, pool_of
from workbench.review import (
    read_verdicts,
    take_verdicts,
    to_validations,
    true_categories,
    verdicts_from_gold,
    write_review_sheet,
)

CATEGORIES = ["Pop", "Renta", "Cafetería", "Promoción Cerveza", "Fletes, envíos y mensajería", "Otros"]


def find_category(name):
    plain = str.maketrans("áéíóú", "aeiou")
    folded = {category.casefold().translate(plain): category for category in CATEGORIES}
    return folded.get(name.strip().casefold().translate(plain))


def a_sample(categories=("Pop", "Renta", "Cafetería", "Otros")):
    n = len(categories)
    values = {
        "item_id": [f"{position:x}a" for position in range(n)],
        "category": list(categories),
        "reason": ["por la palabra"] * n,
        "score": [0.9] * n,
        "status": ["ok"] * n,
        "attempts": [1] * n,
        "judge_category": [None] * n,
    }
    return pd.DataFrame(values)[list(PREDICTION_COLUMNS)]


def some_items(sample, **columns):
    n = len(sample)
    given_columns = {"cleanLineDescription": ["renta local"] * n, "n_rows": [3] * n, "amount": [1234.5] * n} | columns
    return pd.DataFrame({"item_id": sample["item_id"], **given_columns})


def raw(*rows):
    names = ["item_id", "is_correct", "corrected_category", "user_notes"]
    filled = [dict(zip(names, row, strict=False)) for row in rows]
    return pd.DataFrame(filled, columns=names, index=pd.RangeIndex(2, 2 + len(rows), name="row"), dtype="str")


def take(*rows):
    return take_verdicts(raw(*rows), a_sample(), CATEGORIES, find_category=find_category)


def filled_sheet(path, decisions, language="es"):
    """Fill a review sheet as a person would do it."""
    sample = a_sample()
    write_review_sheet(path, sample, some_items(sample), CATEGORIES, language=language)
    book = load_workbook(path)
    sheet = book.worksheets[0]
    names = [cell.value for cell in sheet[2]]
    for row, decision in enumerate(decisions, start=3):
        for name, value in decision.items():
            sheet.cell(row, names.index(name) + 1, value)
    book.save(path)
    return sample


@pytest.mark.parametrize(("language", "title"), [("es", "Revisión"), ("en", "Review")])
def test_a_review_sheet_shows_the_item_the_answer_and_the_input_columns(tmp_path, language, title):
    path = tmp_path / "sheet.xlsx"
    sample = a_sample()
    write_review_sheet(path, sample, some_items(sample), CATEGORIES, language=language)
    book = load_workbook(path)
    sheet = book[title]
    expected = (
        "item_id cleanLineDescription n_rows amount category reason score is_correct corrected_category user_notes"
    )
    assert [cell.value for cell in sheet[2]] == expected.split()
    assert sheet["A1"].value.startswith("Llene" if language == "es" else "Fill in")
    assert sheet.freeze_panes == "A3"
    assert sheet.column_dimensions["B"].width > 40 and sheet.column_dimensions["I"].width > 20
    assert [cell.value for cell in sheet[3]][:7] == ["0a", "renta local", 3, 1234.5, "Pop", "por la palabra", 0.9]
    assert [cell.value for cell in book.worksheets[1]["A"]] == CATEGORIES
    lists = {str(rule.sqref): rule.formula1 for rule in sheet.data_validations.dataValidation}
    assert lists["H3:H6"] == ('"sí,no"' if language == "es" else '"yes,no"')
    assert lists["I3:I6"].endswith("!$A$1:$A$6")
    assert sheet["H3"].fill.fgColor.rgb == "FFFFF8DC"
    assert not sheet.protection.sheet


def test_item_text_is_never_a_formula_or_a_link():
    sample = a_sample(["Pop"] * 5)
    nasty = ["=1+1", "{=A1}", "http://example.com/?q=1", "@cmd|' /C calc'!A0", "x\ud800" + "y" * 40_000]
    items = some_items(sample, cleanLineDescription=pd.Series(nasty, dtype="object"))
    buffer = io.BytesIO()
    write_review_sheet(buffer, sample, items, CATEGORIES)
    sheet = load_workbook(buffer).worksheets[0]
    cells = [sheet.cell(row, 2) for row in range(3, 8)]
    assert [cell.value for cell in cells[:4]] == nasty[:4]
    assert {cell.data_type for cell in cells} == {"s"}
    assert all(cell.hyperlink is None for cell in cells)
    assert len(cells[4].value) == 32_767


def test_a_review_sheet_keeps_the_order_of_the_sample_and_leaves_out_an_empty_amount():
    sample = a_sample()
    items = some_items(sample, amount=[None] * 4, cleanSupplier=["a", None, "c", "d"]).iloc[::-1]
    buffer = io.BytesIO()
    write_review_sheet(buffer, sample, items, CATEGORIES)
    sheet = load_workbook(buffer).worksheets[0]
    assert "amount" not in [cell.value for cell in sheet[2]]
    assert [sheet.cell(row, 1).value for row in range(3, 7)] == list(sample["item_id"])
    assert [sheet.cell(row, 3).value for row in range(3, 7)] == ["a", None, "c", "d"]


def test_a_review_sheet_of_no_items_can_be_written_and_read_back(tmp_path):
    sample = a_sample(())
    path = tmp_path / "empty.xlsx"
    write_review_sheet(path, sample, some_items(sample), CATEGORIES)
    assert read_verdicts(path).empty


def test_a_review_sheet_that_cannot_be_written_is_a_storage_error(tmp_path):
    sample = a_sample()
    with pytest.raises(StorageError, match="cannot write the review sheet"):
        write_review_sheet(tmp_path / "nowhere" / "x.xlsx", sample, some_items(sample), CATEGORIES)


def test_a_filled_sheet_comes_back_as_verdicts(tmp_path):
    path = tmp_path / "sheet.xlsx"
    sample = filled_sheet(
        path,
        [
            {"is_correct": "sí"},
            {"is_correct": False, "corrected_category": "promocion cerveza", "user_notes": "ver factura"},
            {"corrected_category": "Fletes, envíos y mensajería"},
        ],
    )
    taken = take_verdicts(read_verdicts(path), sample, CATEGORIES, find_category=find_category)
    assert taken.faults == []
    assert taken.undecided == 1
    assert taken.frame["is_correct"].tolist() == [True, False, False]
    corrected = taken.frame["corrected_category"]
    assert corrected.tolist()[1:] == ["Promoción Cerveza", "Fletes, envíos y mensajería"]
    assert corrected.isna().tolist() == [True, False, False]
    assert taken.frame["user_notes"].tolist() == ["", "ver factura", ""]


def test_the_faults_of_a_sheet_name_the_row_as_excel_shows_it(tmp_path):
    path = tmp_path / "sheet.xlsx"
    sample = filled_sheet(path, [{}, {"is_correct": "tal vez"}])
    taken = take_verdicts(read_verdicts(path), sample, CATEGORIES, find_category=find_category)
    assert taken.faults == [
        "row 4: is_correct is 'tal vez'; write sí or no, yes or no, TRUE or FALSE, 1 or 0, or leave it empty."
    ]


def test_a_yes_or_no_to_another_category_than_the_one_asked_about_is_not_taken(tmp_path):
    path = tmp_path / "sheet.xlsx"
    said = ({"is_correct": "sí"}, {"is_correct": "no"}, {"corrected_category": "Pop"}, {"is_correct": "sí"})
    seen = ("renta", "Pop", "Otros", "OTROS ")
    sample = filled_sheet(path, [{**each, "category": name} for each, name in zip(said, seen, strict=True)])
    taken = take_verdicts(read_verdicts(path), sample, CATEGORIES, find_category=find_category)
    assert [fault.split(";")[0] for fault in taken.faults] == [
        "row 3: its category is 'renta', but 'Pop' is asked about",
        "row 4: its category is 'Pop', but 'Renta' is asked about",
    ]
    assert taken.frame["item_id"].tolist() == ["2a", "3a"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_verdicts_are_read_in_the_encodings_and_delimiters_that_excel_writes(tmp_path, encoding, delimiter):
    lines = [["Item_ID", "is_correct", "corrected_category", "user_notes"], ["0a", "VERDADERO", "", ""]]
    lines += [["1a", "FALSO", "Cafetería", '"dos\nlíneas"'], ["", "", "", ""], ["2a", "1", "", ""]]
    path = tmp_path / "verdicts.csv"
    path.write_bytes("\r\n".join(delimiter.join(line) for line in lines).encode(encoding))
    read = read_verdicts(path)
    assert list(read.columns) == ["item_id", "is_correct", "corrected_category", "user_notes", "reviewer", "category"]
    assert read["item_id"].tolist() == ["0a", "1a", "2a"]
    assert read.index.tolist() == [2, 3, 5]
    assert read["corrected_category"].tolist()[1] == "Cafetería"
    assert read["user_notes"].tolist()[1] == "dos\nlíneas"


@pytest.mark.parametrize("wrapped", [False, True])
def test_json_verdicts_are_read_from_a_list_or_from_a_field(tmp_path, wrapped):
    verdicts = [
        {"item_id": "0a", "is_correct": True},
        {"item_id": "1a", "is_correct": False, "corrected_category": "Pop", "reviewer": "Ana"},
        {"item_id": "2a", "is_correct": None, "corrected_category": None, "user_notes": "¿?"},
    ]
    path = tmp_path / "verdicts.json"
    path.write_bytes(orjson.dumps({"validations": verdicts} if wrapped else verdicts))
    taken = take_verdicts(read_verdicts(path), a_sample(), CATEGORIES, find_category=find_category)
    assert taken.frame["item_id"].tolist() == ["0a", "1a"]
    assert taken.frame["reviewer"].tolist()[1] == "Ana"
    assert taken.undecided == 1


def test_a_json_fault_names_the_position_in_the_list(tmp_path):
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps([{"item_id": "0a", "is_correct": "sí"}, {"item_id": "zz", "is_correct": "sí"}]))
    taken = take_verdicts(read_verdicts(path), a_sample(), CATEGORIES, find_category=find_category)
    assert taken.faults[0].startswith("row 2: item 'zz' is not in the sample")


def test_an_empty_list_of_json_verdicts_decides_nothing(tmp_path):
    path = tmp_path / "verdicts.json"
    path.write_text("[]")
    assert read_verdicts(path).empty


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", b"{", "not valid JSON"),
        ("x.json", b'{"other": 1}', "no list of verdicts"),
        ("x.json", b'["a"]', "no list of verdicts"),
        ("x.json", b'[{"is_correct": true}]', "no column 'item_id'"),
        ("x.csv", b"item_id,notes\n1,a", "no column 'is_correct'"),
        ("x.csv", b"", "no column 'item_id'"),
        ("x.xlsx", b"PK no zip", "not a readable XLSX"),
        ("x.pdf", b"", "no verdict file"),
    ],
)
def test_a_file_that_holds_no_verdicts_is_a_verdict_error(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VerdictError, match=message):
        read_verdicts(path)


def test_a_missing_verdict_file_is_a_verdict_error(tmp_path):
    with pytest.raises(VerdictError, match=r"verdicts\.csv: No such file"):
        read_verdicts(tmp_path / "verdicts.csv")


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200), st.sampled_from(["csv", "json", "xlsx"]))
def test_no_file_makes_reading_fail_in_a_foreign_way(tmp_path_factory, content, kind):
    path = tmp_path_factory.mktemp("any") / f"x.{kind}"
    path.write_bytes(b"item_id,is_correct\n" + content if kind == "csv" else content)
    try:
        read = read_verdicts(path)
    except VerdictError:
        return
    take_verdicts(read, a_sample(), CATEGORIES, find_category=find_category)


@pytest.mark.parametrize("word", ["true", "TRUE", "Verdadero", "1", "1.0", "si", "SÍ", " sí ", "yes", "Correcto"])
def test_words_that_mean_yes(word):
    value = 1.0 if word == "1.0" else word
    table = pd.DataFrame({"item_id": ["0a"], "is_correct": [value]})
    taken = take_verdicts(table, a_sample(), CATEGORIES, find_category=find_category)
    assert taken.frame["is_correct"].tolist() == [True]


@pytest.mark.parametrize("word", ["false", "FALSO", "0", "no", "No", "incorrect", "INCORRECTO"])
def test_words_that_mean_no(word):
    assert take(("0a", word)).frame["is_correct"].tolist() == [False]


def test_booleans_and_a_missing_notes_column_are_taken_too():
    table = pd.DataFrame({"item_id": ["0a", "1a"], "is_correct": [True, False]})
    taken = take_verdicts(table, a_sample(), CATEGORIES, find_category=find_category)
    assert taken.frame["is_correct"].tolist() == [True, False]


def test_a_category_alone_confirms_or_corrects():
    taken = take(("0a", None, "pop"), ("1a", None, "CAFETERIA"))
    assert taken.frame["is_correct"].tolist() == [True, False]
    assert taken.frame["corrected_category"].tolist()[1] == "Cafetería"
    assert taken.frame["corrected_category"].isna().tolist() == [True, False]


def test_wrong_without_a_correction_is_a_verdict():
    taken = take(("0a", "no"))
    assert taken.faults == []
    assert taken.frame["corrected_category"].isna().tolist() == [True]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (("ff", "sí"), "item 'ff' is not in the sample"),
        ((None, "sí"), "it names no item_id"),
        (("0a", "no", "Rennta"), "category 'Rennta' is not in the list; did you mean 'Renta'?"),
        (("0a", "no", "zzzz"), "there are Pop, Renta"),
        (("0a", "no", "Pop"), "corrected_category 'Pop' is the predicted one"),
        (("0a", "sí", "Renta"), "is_correct says yes to 'Pop', but corrected_category is 'Renta'"),
        (("0a", "quizá"), "is_correct is 'quizá'; write sí or no"),
    ],
)
def test_a_wrong_row_becomes_a_fault_and_the_others_are_taken(row, fault):
    taken = take(("1a", "sí"), row, ("2a", "no", "Pop"))
    assert len(taken.faults) == 1
    assert taken.faults[0].startswith("row 3: ")
    assert fault in taken.faults[0]
    assert taken.frame["item_id"].tolist() == ["1a", "2a"]


def test_all_faults_of_a_row_are_said_at_once():
    (fault,) = take(("ff", "quizá", "zzzz")).faults
    assert "not in the sample" in fault
    assert "is_correct is 'quizá'" in fault
    assert "'zzzz' is not in the list" in fault


def test_an_item_decided_twice_in_contradiction_is_not_taken():
    taken = take(("0a", "sí"), ("1a", "sí"), ("0a", "no", "Renta"))
    assert taken.faults == ["row 2 and row 4: item '0a' is decided differently; keep one of these rows."]
    assert taken.frame["item_id"].tolist() == ["1a"]


def test_an_item_decided_twice_alike_is_taken_once():
    taken = take(("0a", "no", "Renta"), ("0a", None, "renta", "otra vez"))
    assert taken.faults == []
    assert taken.frame["user_notes"].tolist() == ["otra vez"]


def test_gold_answers_like_a_reviewer():
    gold = pd.Series({"0a": "pop", "1a": "Cafeteria", "2a": None, "zz": "Pop"}, dtype="str")
    taken = verdicts_from_gold(a_sample(), gold, find_category)
    assert taken.faults == []
    assert taken.undecided == 2
    assert taken.frame["is_correct"].tolist() == [True, False]
    assert taken.frame["corrected_category"].tolist()[1] == "Cafetería"
    assert set(taken.frame["reviewer"]) == {"gold"}


def test_an_unknown_gold_category_is_one_fault_however_often_it_occurs():
    gold = pd.Series({"0a": "Viajes", "1a": "Viajes", "2a": "Cafetería"})
    taken = verdicts_from_gold(a_sample(), gold, find_category)
    expected = "gold category 'Viajes' (2 items of the sample) is not among the categories of the prompt."
    assert taken.faults == [expected]
    assert taken.frame["item_id"].tolist() == ["2a"]


def test_no_gold_is_no_verdict():
    taken = verdicts_from_gold(a_sample(), pd.Series([], dtype="str"), find_category)
    assert taken.frame.empty
    assert taken.undecided == 4


def validations(*rows, iteration=1, now=datetime(2025, 1, 15, 10, tzinfo=UTC), sample=None):
    sample = a_sample() if sample is None else sample
    taken = take_verdicts(raw(*rows), sample, CATEGORIES, find_category=find_category)
    texts = pd.Series({item: f"texto {item}" for item in sample["item_id"]})
    return to_validations(taken.frame, sample, iteration=iteration, reviewer="Ana", texts=texts, now=now)


def test_validations_carry_the_judged_category_the_pool_and_the_time_in_utc():
    mexico = timezone(timedelta(hours=-6))
    frame = validations(("1a", "no", "Pop", "nota"), ("0a", "sí"), now=datetime(2025, 1, 15, 10, tzinfo=mexico))
    assert tuple(frame.columns) == VALIDATION_COLUMNS
    first = frame.iloc[0].to_dict()
    assert first == {
        "item_id": "1a",
        "iteration": 1,
        "reviewer": "Ana",
        "category": "Renta",
        "is_correct": False,
        "corrected_category": "Pop",
        "user_notes": "nota",
        "validated_at": "2025-01-15T16:00:00.000000+00:00",
        "pool": pool_of("texto 1a").value,
    }
    assert frame["is_correct"].dtype == bool


def test_a_reviewer_named_in_the_file_comes_first():
    sample = a_sample()
    table = pd.DataFrame({"item_id": ["0a", "1a"], "is_correct": ["sí", "sí"], "reviewer": ["Luz", None]})
    taken = take_verdicts(table, sample, CATEGORIES, find_category=find_category)
    texts = pd.Series({item: item for item in sample["item_id"]})
    frame = to_validations(taken.frame, sample, iteration=2, reviewer="Ana", texts=texts, now=datetime(2025, 1, 1))
    assert frame["reviewer"].tolist() == ["Luz", "Ana"]
    assert frame["validated_at"].iloc[0] == "2025-01-01T00:00:00.000000+00:00"


def test_validations_of_nothing_have_the_right_columns():
    frame = validations()
    assert tuple(frame.columns) == VALIDATION_COLUMNS
    assert frame.empty


def test_an_item_without_a_text_is_said():
    sample = a_sample()
    taken = take(("0a", "sí"))
    with pytest.raises(VerdictError, match="'0a' has no clean text"):
        empty = pd.Series([], dtype="str")
        to_validations(taken.frame, sample, iteration=1, reviewer="", texts=empty, now=datetime.now(UTC))


def test_the_latest_verdict_on_an_item_wins():
    earlier = validations(("0a", "sí"), ("1a", "no", "Otros"), ("2a", "no", "Pop"))
    later = validations(("0a", "no", "Renta"), ("2a", "no"), iteration=2, now=datetime(2025, 2, 1, tzinfo=UTC))
    both = pd.concat([later, earlier], ignore_index=True)
    assert true_categories(both).to_dict() == {"0a": "Renta", "1a": "Otros"}


def test_nobody_stands_for_anything_without_validations():
    assert true_categories(validations()).empty
