"""What goes into a workbook comes out of it as it was."""

import zipfile
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.worksheet import Worksheet

from workbench.errors import StorageError
from workbench.runs import write_workbook
from workbench.runs.workbook import CUT_NOTE, TEXT_LENGTH


def sheets_of(path: Path) -> dict[str, Worksheet]:
    book = openpyxl.load_workbook(path)
    sheets = {name: book[name] for name in book.sheetnames}
    book.close()
    return sheets


def values_of(path: Path) -> list[tuple[object, ...]]:
    (sheet,) = sheets_of(path).values()
    return list(sheet.iter_rows(values_only=True))


def column_of(path: Path) -> list[object]:
    return [row[0] for row in values_of(path)[1:]]


def test_numbers_texts_flags_and_dates_stay_what_they_are(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "text": ["renta", None],
            "whole": [1, -2],
            "fraction": [1.5, np.nan],
            "flag": [True, False],
            "maybe": pd.array([3, None], dtype="Int64"),
            "day": pd.to_datetime(["2026-01-31", None]),
            "moment": pd.to_datetime(["2026-01-31 12:30:15", "2026-02-01 00:00:00"]),
            "kind": pd.Categorical(["x", None]),
        }
    )
    report = write_workbook(tmp_path / "a.xlsx", frame, sheet="classified")
    first = ("renta", 1, 1.5, True, 3, datetime(2026, 1, 31), datetime(2026, 1, 31, 12, 30, 15), "x")
    second = (None, -2, None, False, None, None, datetime(2026, 2, 1), None)
    assert values_of(tmp_path / "a.xlsx") == [tuple(frame.columns), first, second]
    assert (report.rows, report.sheets, report.cleaned_cells, report.cut_cells) == (2, ["classified"], 0, 0)
    sheet = sheets_of(tmp_path / "a.xlsx")["classified"]
    assert [sheet.cell(2, 6).number_format, sheet.cell(2, 7).number_format] == ["yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"]


def test_the_header_is_bold_and_stays_in_sight_and_filters(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["short", "x" * 30], "b": [1, 2], "c": ["y" * 500, ""]})
    write_workbook(tmp_path / "a.xlsx", frame, sheet="s")
    sheet = sheets_of(tmp_path / "a.xlsx")["s"]
    assert all(cell.font.bold for cell in sheet[1])
    assert not sheet["A2"].font.bold
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:C3"
    widths = [sheet.column_dimensions[name].width for name in "ABC"]
    assert widths[1] < widths[0] < widths[2] < 65


def test_text_that_looks_like_a_formula_an_address_or_markup_stays_text(tmp_path: Path) -> None:
    texts = [
        "=1+1",
        '=HYPERLINK("http://x")',
        "+52 55",
        "@a",
        "http://example.com",
        "mailto:a@b.c",
        "{=A1}",
        "007",
        "1e5",
        "TRUE",
        "<r>bold</r>",
        "<r> & </r>",
        "_x000D_",
        " spaces ",
        "two\nlines",
        "#N/A",
    ]
    write_workbook(tmp_path / "a.xlsx", pd.DataFrame({"<r>t</r>": texts}), sheet="s")
    sheet = sheets_of(tmp_path / "a.xlsx")["s"]
    assert "<f>" not in zipfile.ZipFile(tmp_path / "a.xlsx").read("xl/worksheets/sheet1.xml").decode()
    assert [cell.hyperlink for cell in sheet["A"]] == [None] * (len(texts) + 1)
    assert (
        pd.read_excel(tmp_path / "a.xlsx", engine="calamine", dtype=str, keep_default_na=False)["<r>t</r>"].tolist()
        == texts
    )


def test_more_rows_than_a_sheet_holds_go_on_in_further_sheets(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": range(12)})
    report = write_workbook(tmp_path / "a.xlsx", frame, sheet="classified", rows_per_sheet=5)
    sheets = sheets_of(tmp_path / "a.xlsx")
    assert list(sheets) == report.sheets == ["classified", "classified 2", "classified 3"]
    rows = [[row[0] for row in sheet.iter_rows(values_only=True)] for sheet in sheets.values()]
    assert rows == [["n", 0, 1, 2, 3, 4], ["n", 5, 6, 7, 8, 9], ["n", 10, 11]]
    assert [sheet.auto_filter.ref for sheet in sheets.values()] == ["A1:A6", "A1:A6", "A1:A3"]
    write_workbook(tmp_path / "b.xlsx", frame.iloc[:5], sheet="s", rows_per_sheet=5)
    assert list(sheets_of(tmp_path / "b.xlsx")) == ["s"]


def test_control_characters_are_removed_and_counted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.Series(["a\x00b\x0b", "tab\t", "\ufffe", "ok", "half \ud83d pair"], dtype=object)})
    report = write_workbook(tmp_path / "a.xlsx", frame, sheet="s")
    assert column_of(tmp_path / "a.xlsx") == ["ab", "tab\t", None, "ok", "half  pair"]
    assert report.cleaned_cells == 3


def test_texts_too_long_for_a_cell_are_cut_with_a_note_and_counted(tmp_path: Path) -> None:
    texts = ["x" * TEXT_LENGTH, "x" * (TEXT_LENGTH + 1), "😀" * 20_000]
    report = write_workbook(tmp_path / "a.xlsx", pd.DataFrame({"a": texts}), sheet="s")
    whole, cut, emoji = (str(text) for text in column_of(tmp_path / "a.xlsx"))
    assert whole == texts[0]
    assert len(cut) == TEXT_LENGTH
    assert cut.endswith(CUT_NOTE)
    assert emoji.endswith(CUT_NOTE)
    assert emoji.startswith("😀")
    assert len(emoji.encode("utf-16-le")) <= 2 * TEXT_LENGTH
    assert report.cut_cells == 2


def test_times_with_a_zone_become_utc_without_one(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 1, 20, tzinfo=timezone(timedelta(hours=-6)))
    frame = pd.DataFrame({"a": pd.Series([moment]), "b": pd.Series([moment], dtype=object)})
    write_workbook(tmp_path / "a.xlsx", frame, sheet="s")
    assert values_of(tmp_path / "a.xlsx")[1] == (datetime(2026, 1, 2, 2), datetime(2026, 1, 2, 2))


def test_a_column_of_all_kinds_keeps_each_value_readable(tmp_path: Path) -> None:
    values = [
        1,
        "dos",
        None,
        2.5,
        np.int64(4),
        np.nan,
        Decimal("1.25"),
        True,
        date(2026, 1, 1),
        pd.Timestamp("2026-01-01 08:00:00.000000123"),
        time(8, 30),
        time(8, 30, tzinfo=UTC),
        timedelta(hours=30),
        date(1810, 9, 16),
        10**18,
        np.inf,
        [1, 2],
        b"x",
        "",
        pd.NaT,
        "end",
    ]
    write_workbook(tmp_path / "a.xlsx", pd.DataFrame({"a": pd.Series(values, dtype=object)}), sheet="s")
    assert column_of(tmp_path / "a.xlsx") == [
        1,
        "dos",
        None,
        2.5,
        4,
        None,
        1.25,
        True,
        datetime(2026, 1, 1),
        datetime(2026, 1, 1, 8),
        time(8, 30),
        "08:30:00+00:00",
        timedelta(hours=30),
        "1810-09-16",
        "1000000000000000000",
        "inf",
        "[1, 2]",
        "b'x'",
        None,
        None,
        "end",
    ]


def test_a_workbook_takes_frames_one_after_the_other(tmp_path: Path) -> None:
    parts = (pd.DataFrame({"n": [number], "t": ["a"]}) for number in range(3))
    assert write_workbook(tmp_path / "a.xlsx", parts, sheet="s").rows == 3
    assert column_of(tmp_path / "a.xlsx") == [0, 1, 2]
    with pytest.raises(StorageError, match="different columns"):
        write_workbook(tmp_path / "b.xlsx", [pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})], sheet="s")
    assert [path.name for path in tmp_path.iterdir()] == ["a.xlsx"]


def test_an_empty_frame_makes_a_workbook_with_a_header(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", pd.DataFrame({"a": [], "b": []}), sheet="s")
    assert values_of(tmp_path / "a.xlsx") == [("a", "b")]
    write_workbook(tmp_path / "b.xlsx", pd.DataFrame(), sheet="history")
    assert len(sheets_of(tmp_path / "b.xlsx")) == 1


def test_columns_of_one_name_and_odd_sheet_names_are_kept_apart(tmp_path: Path) -> None:
    frame = pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"])
    report = write_workbook(tmp_path / "a.xlsx", frame, sheet="enero/febrero: " + "x" * 40, rows_per_sheet=1)
    assert len(report.sheets) == 2
    assert all(len(name) <= 31 for name in report.sheets)
    assert list(next(iter(sheets_of(tmp_path / "a.xlsx").values())).iter_rows(values_only=True)) == [("a", "a"), (1, 2)]


def test_more_columns_than_a_sheet_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="16385 columns"):
        write_workbook(tmp_path / "a.xlsx", pd.DataFrame(np.zeros((1, 16_385))), sheet="s")


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")), max_size=5))
def test_every_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("book") / "a.xlsx"
    write_workbook(path, pd.DataFrame({"a": pd.Series([*texts, "end"], dtype="str")}), sheet="s")
    back = pd.read_excel(path, engine="calamine", dtype=str, keep_default_na=False, na_values=[])
    assert back["a"].fillna("").tolist() == [*texts, "end"]
