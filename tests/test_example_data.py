"""The shipped example is what its README says, and its script writes it again."""

from __future__ import annotations

import csv
import datetime as dt
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
COLUMNS = ["UUID", "Fecha", "RfcEmisor", "Emisor", "ClaveProdServ", "Cantidad", "Unidad"]
COLUMNS += ["LineDescription", "Importe", "Status", "TrueCategory"]
CATEGORIES = {
    *("Pop", "Spots TV", "Medios Digitales", "Publicidad", "Spots Radio", "Eventos Especiales", "Promoción Cerveza"),
    *("Eventos/Festivales", "Promoción Botellas", "Evento capacitación", "Uniformes", "RADET", "Eventos en Tienda"),
    *("Evento comunicación", "Hospedaje", "Perifoneo", "Música", "Prensa", "Viajes", "Viáticos", "RAC", "Comida"),
    *("Otros", "Indeterminado"),
}


def clean(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return " ".join(re.sub(r"[^a-z0-9]+", " ", letters).split())


def read_csv(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return frame.astype({"Cantidad": float, "Importe": float})


def read_xlsx(path: Path) -> pd.DataFrame:
    book = openpyxl.load_workbook(path, read_only=True)
    header, *rows = book["Gastos"].iter_rows(values_only=True)
    book.close()
    frame = pd.DataFrame(rows, columns=[str(name) for name in header])
    assert all(isinstance(day, dt.datetime) for day in frame["Fecha"])
    assert all(isinstance(amount, int | float) for amount in frame["Importe"])
    return frame.assign(Fecha=[f"{day:%Y-%m-%d}" for day in frame["Fecha"]]).astype(
        {"Cantidad": float, "Importe": float}
    )


@pytest.fixture(scope="module")
def expenses() -> pd.DataFrame:
    return read_csv(EXAMPLES / "expenses.csv")


@pytest.fixture(scope="module")
def workbook() -> pd.DataFrame:
    return read_xlsx(EXAMPLES / "expenses.xlsx")


@pytest.fixture(scope="module")
def descriptions() -> list[tuple[str, str]]:
    with (EXAMPLES / "descriptions.csv").open(encoding="utf-8", newline="") as lines:
        return [(line["description"], line["category"]) for line in csv.DictReader(lines)]


def test_the_script_writes_the_shipped_files_again(
    tmp_path: Path, expenses: pd.DataFrame, workbook: pd.DataFrame
) -> None:
    script = EXAMPLES / "make_expenses.py"
    subprocess.run([sys.executable, "-B", str(script), str(tmp_path)], check=True, capture_output=True, cwd=tmp_path)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "expenses.csv"), expenses)
    pd.testing.assert_frame_equal(read_xlsx(tmp_path / "expenses.xlsx"), workbook)


def test_csv_and_workbook_hold_the_same_values(expenses: pd.DataFrame, workbook: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(expenses, workbook)


def test_there_are_3000_rows_in_the_columns_of_a_real_export(expenses: pd.DataFrame) -> None:
    assert len(expenses) == 3000
    assert list(expenses.columns) == COLUMNS


def test_every_row_has_a_day_of_2026_and_an_id_of_its_own(expenses: pd.DataFrame) -> None:
    assert {dt.date.fromisoformat(day).year for day in expenses["Fecha"]} == {2026}
    assert expenses["UUID"].is_unique
    assert expenses["UUID"].str.fullmatch(r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}").all()


def test_tax_numbers_are_well_formed_and_nobodys(expenses: pd.DataFrame) -> None:
    assert expenses["RfcEmisor"].str.fullmatch(r"[A-Z]{3,4}\d{6}[0-9A-Z]{2}[B-Z]").all()
    assert (expenses.groupby("Emisor")["RfcEmisor"].nunique() == 1).all()


def test_product_codes_keep_their_leading_zeros(expenses: pd.DataFrame, workbook: pd.DataFrame) -> None:
    assert expenses["ClaveProdServ"].str.fullmatch(r"\d{8}").all()
    assert workbook["ClaveProdServ"].str.startswith("0").any()


def test_all_24_categories_occur_in_rows_and_descriptions(
    expenses: pd.DataFrame, descriptions: list[tuple[str, str]]
) -> None:
    assert set(expenses["TrueCategory"]) == CATEGORIES
    counts = pd.Series([category for _, category in descriptions]).value_counts()
    assert set(counts.index) == CATEGORIES
    assert counts.min() >= 10


def test_every_hand_written_description_has_one_category(descriptions: list[tuple[str, str]]) -> None:
    assert len(descriptions) >= 600
    assert len({clean(text) for text, _ in descriptions}) == len(descriptions)


def test_texts_that_are_the_same_after_cleaning_have_one_category(expenses: pd.DataFrame) -> None:
    texts = expenses["LineDescription"].map(clean)
    assert (expenses.groupby(texts)["TrueCategory"].nunique() == 1).all()


def test_about_half_of_the_rows_say_something_that_another_row_says(expenses: pd.DataFrame) -> None:
    texts = expenses["LineDescription"].map(clean)
    assert 1200 <= texts.nunique() <= 1800
    assert 0.4 <= texts.duplicated().mean() <= 0.6
    assert expenses["LineDescription"].nunique() > texts.nunique()


def test_the_unintelligible_rows_are_few(expenses: pd.DataFrame) -> None:
    assert 0.02 <= (expenses["TrueCategory"] == "Indeterminado").mean() <= 0.04


def test_no_text_reads_as_a_missing_value(expenses: pd.DataFrame) -> None:
    usual = pd.read_csv(EXAMPLES / "expenses.csv")
    assert usual.notna().all().all()
    assert (expenses != "").all().all()


def test_amounts_have_two_decimals_a_long_tail_and_some_credit_notes(expenses: pd.DataFrame) -> None:
    amounts = expenses["Importe"]
    assert (amounts.round(2) == amounts).all()
    assert amounts.nlargest(300).sum() > 0.4 * amounts.sum()
    assert 0 < (amounts < 0).sum() < 90


def test_one_line_in_twenty_is_cancelled(expenses: pd.DataFrame) -> None:
    shares = expenses["Status"].value_counts(normalize=True)
    assert set(shares.index) == {"Active", "Cancelled"}
    assert 0.03 <= shares["Cancelled"] <= 0.07


def test_the_workbook_has_one_sheet_with_a_frozen_header() -> None:
    book = openpyxl.load_workbook(EXAMPLES / "expenses.xlsx")
    assert book.sheetnames == ["Gastos"]
    assert book["Gastos"].freeze_panes == "A2"
    assert book["Gastos"]["E2"].number_format == "@"
