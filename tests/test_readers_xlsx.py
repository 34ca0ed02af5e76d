"""XLSX: cells keep their types, and a workbook's table is found among sheets, titles and blanks."""

import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
import xlsxwriter

from workbench.errors import ReadError
from workbench.readers import batches, inspect_files, read

HEADER = ["Concepto", "Importe"]


def write(folder: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(folder / "ventas.xlsx")
    return folder / "ventas.xlsx"


def test_a_table_written_by_pandas_is_read_back_equal(tmp_path):
    table = pd.DataFrame(
        {
            "Concepto": ["Taxi", "Café", None],
            "Clave": ["007", "012", "100"],
            "Piezas": [1, 2, 3],
            "Importe": [80.5, None, 12.0],
            "Pagado": [True, False, True],
            "Fecha": pd.Series([datetime(2024, 1, 5), datetime(2024, 1, 6, 14, 30), None], dtype="datetime64[us]"),
        }
    )
    table.to_excel(tmp_path / "ventas.xlsx", index=False)
    pd.testing.assert_frame_equal(read(tmp_path / "ventas.xlsx"), table)


@pytest.mark.parametrize("rows", [1, 3, 10_000, 10_001])
def test_batches_together_are_the_whole_table(tmp_path, rows):
    path = write(tmp_path, Ene=[HEADER, *([f"texto {n}", n if n % 3 else None] for n in range(7))])
    whole = read(path)
    pd.testing.assert_frame_equal(pd.concat(batches(path, rows=rows)), whole)
    assert whole.dtypes.astype(str).tolist() == ["str", "Int64"]


def test_a_column_that_mixes_types_becomes_faithful_text(tmp_path):
    values = [
        "00123",
        123,
        12.5,
        True,
        date(2024, 1, 5),
        datetime(2024, 1, 5, 14, 30),
        time(9, 15),
        timedelta(hours=26),
    ]
    table = read(write(tmp_path, Ene=[["id", "x"], *([n, value] for n, value in enumerate(values))]))
    expected = ["00123", "123", "12.5", "TRUE", "2024-01-05", "2024-01-05 14:30:00", "09:15:00", "26:00:00"]
    assert table["x"].tolist() == expected


def test_whole_numbers_are_integers_and_others_floats(tmp_path):
    table = read(write(tmp_path, Ene=[["a", "b", "c"], [1.0, 1.5, 1e20], [2, 2, 3]]))
    assert table.dtypes.astype(str).tolist() == ["int64", "float64", "float64"]


def test_nulls_among_integers_and_booleans_stay_nulls(tmp_path):
    table = read(write(tmp_path, Ene=[["a", "b", "c"], [1, True, "x"], [None, None, "y"]]))
    assert table.dtypes.astype(str).tolist() == ["Int64", "boolean", "str"]
    assert pa.Table.from_pandas(table).column("b").null_count == 1


def test_error_cells_become_null_and_are_counted(tmp_path):
    book = xlsxwriter.Workbook(tmp_path / "ventas.xlsx")
    sheet = book.add_worksheet("Ene")
    sheet.write_row(0, 0, HEADER)
    sheet.write_row(1, 0, ["Taxi", 80])
    sheet.write(2, 0, "Hotel")
    sheet.write_formula(2, 1, "=1/0", None, "#DIV/0!")
    book.close()
    path = tmp_path / "ventas.xlsx"
    assert read(path)["Importe"].isna().tolist() == [False, True]
    assert inspect_files(path).files[0].error_cells == 1


def test_the_first_sheet_with_data_is_read(tmp_path):
    path = write(tmp_path, Portada=[["Ventas 2024"]], Vacia=[], Ene=[HEADER, ["Taxi", 80]], Feb=[HEADER, ["Hotel", 1]])
    assert read(path)["Concepto"].tolist() == ["Taxi"]
    schema = inspect_files(path).files[0]
    assert (schema.options["sheet"], schema.sheets) == ("Ene", ["Portada", "Vacia", "Ene", "Feb"])


COVER = [["Reporte de gastos"], [], ["Elaboró: Ana"], [], ["2024"]]


def test_a_cover_of_a_few_lines_gives_way_to_the_table_behind_it(tmp_path):
    path = write(tmp_path, Portada=COVER, Ene=[HEADER, ["Taxi", 80]], Feb=[HEADER, ["Hotel", 1]])
    assert read(path)["Concepto"].tolist() == ["Taxi"]
    assert len(read(write(tmp_path, Portada=COVER, Vacia=[]))) == 2  # where there is nothing else, it is read
    alone = [["Concepto"], *([f"gasto {n}"] for n in range(30))]
    assert len(read(write(tmp_path, Ene=alone, Feb=[HEADER, ["Hotel", 1]]))) == 30


def test_the_first_sheet_with_the_columns_that_are_looked_for_is_read(tmp_path):
    cover = [["Empresa", "ACME"], ["Periodo", "Enero"]]
    path = write(tmp_path, Datos=cover, Nada=[], Ene=[["Reporte"], HEADER, ["Taxi", 80]], Feb=[HEADER, ["Hotel", 1]])
    assert read(path).columns.tolist() == cover[0]
    assert read(path, columns=["Importe", "Concepto"])["Concepto"].tolist() == ["Taxi"]
    assert read(path, columns=["Concepto"], sheet="Feb")["Concepto"].tolist() == ["Hotel"]
    assert read(path, columns=["Monto"]).columns.tolist() == cover[0]


def test_other_sheets_that_hold_rows_are_noted_where_no_sheet_was_named(tmp_path):
    path = write(tmp_path, Ene=[HEADER, ["Taxi", 80]], Feb=[HEADER, ["Hotel", 1]], Mar=[HEADER, ["Luz", 2]], Nada=[])
    note = "only sheet 'Ene' of 4 is read; 'Feb', 'Mar' hold rows too: ingest.sheet names another"
    assert inspect_files(path).files[0].notes == [note]
    assert inspect_files(path, sheet="Feb").files[0].notes == []
    assert inspect_files(write(tmp_path, Ene=[HEADER, ["Taxi", 80]], Nada=[], Uno=[["x"]])).files[0].notes == []


def test_a_hidden_sheet_gives_way_to_a_visible_one(tmp_path):
    path = write(tmp_path, Listas=[["opciones", "n"], ["a", 1], ["b", 2]], Ene=[HEADER, ["Taxi", 80]])
    book = openpyxl.load_workbook(path)
    book["Listas"].sheet_state = "hidden"
    book.active = 1
    book.save(path)
    assert read(path).columns.tolist() == HEADER


@pytest.mark.parametrize("sheet", ["Feb", 1])
def test_a_sheet_is_chosen_by_name_or_number(tmp_path, sheet):
    path = write(tmp_path, Ene=[HEADER, ["Taxi", 80]], Feb=[HEADER, ["Hotel", 900]])
    assert read(path, sheet=sheet)["Concepto"].tolist() == ["Hotel"]


def test_a_sheet_whose_name_is_a_number_is_found_by_it(tmp_path):
    assert (
        len(read(write(tmp_path, **{"2023": [HEADER, ["a", 1]], "2024": [HEADER, ["a", 1], ["b", 2]]}), sheet=2024))
        == 2
    )


@pytest.mark.parametrize("sheet", ["Enero", 7, -1])
def test_an_unknown_sheet_is_answered_with_the_names(tmp_path, sheet):
    path = write(tmp_path, Ene=[HEADER, ["Taxi", 80]], Feb=[HEADER])
    with pytest.raises(ReadError) as caught:
        read(path, sheet=sheet)
    assert str(caught.value) == f"sheet {sheet!r} is not in ventas.xlsx. Hint: it has 'Ene', 'Feb'."


def test_titles_and_blank_rows_above_the_header_are_passed_over(tmp_path):
    rows = [
        [],
        ["Reporte de ventas"],
        ["Sucursal", "Centro"],
        [],
        ["Fecha", "Concepto", "Importe"],
        [1, "Taxi", 80],
        [2, "x", 3],
    ]
    path = write(tmp_path, Ene=rows)
    assert read(path).columns.tolist() == ["Fecha", "Concepto", "Importe"]
    assert inspect_files(path).files[0].options["header_row"] == 4


def test_the_header_row_counts_from_the_top_of_the_sheet(tmp_path):
    path = write(tmp_path, Ene=[[], [], ["Título"], HEADER, ["Taxi", 80]])
    assert read(path, header_row=3).columns.tolist() == HEADER


def test_blank_rows_and_unnamed_empty_columns_are_dropped(tmp_path):
    rows = [["Total", None, "Total", None], [1, "x", 2, None], [None] * 4, [3, None, 4, None]]
    table = read(write(tmp_path, Ene=rows))
    assert table.columns.tolist() == ["Total", "column_2", "Total_2"]
    assert table["Total"].tolist() == [1, 3]


def test_a_row_that_only_names_groups_of_columns_is_not_the_header(tmp_path):
    groups = ["Proveedor", None, None, "Compra", None, None, "Pago", "Notas"]
    names = ["RFC", "Nombre", "Estado", "Fecha", "Concepto", "Importe", "Forma", "Notas"]
    table = read(write(tmp_path, Ene=[groups, names, ["AAA", "Ana", "CDMX", 45000, "Taxi", 80, "Efectivo", "x"]]))
    assert table.columns.tolist() == names


def test_a_header_of_numbers_and_dates_becomes_text(tmp_path):
    table = read(write(tmp_path, Ene=[["Cuenta", 2023, date(2024, 1, 1)], ["a", 1, 2]]))
    assert table.columns.tolist() == ["Cuenta", "2023", "2024-01-01"]


def test_a_stray_cell_far_away_is_refused_before_it_fills_the_memory(tmp_path):
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "x", "y"
    book.save(tmp_path / "ventas.xlsx")
    with pytest.raises(ReadError, match="row 1048576 and column 16384"):
        read(tmp_path / "ventas.xlsx")


def test_a_sheet_that_is_full_is_read_to_its_last_row(tmp_path):
    table = write(tmp_path, Enero=[["Folio", "Importe"]])
    rows = "".join(
        f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}"><v>0.5</v></c></row>' for n in range(2, 1_048_577)
    )
    with zipfile.ZipFile(table) as empty, zipfile.ZipFile(tmp_path / "full.xlsx", "w", zipfile.ZIP_DEFLATED) as full:
        for name in empty.namelist():
            text = empty.read(name)
            full.writestr(name, text.replace(b"</sheetData>", rows.encode() + b"</sheetData>"))
    parts = [(len(part), part["Folio"].sum()) for part in batches(tmp_path / "full.xlsx", rows=100_000)]
    assert [size for size, _ in parts] == [100_000] * 10 + [48_575]
    assert sum(folios for _, folios in parts) == sum(range(2, 1_048_577))


def test_a_workbook_without_data_or_rows_is_refused(tmp_path):
    with pytest.raises(ReadError, match="no sheet with data"):
        read(write(tmp_path, Ene=[]))
    with pytest.raises(ReadError, match="has a header but no rows"):
        read(write(tmp_path, Ene=[HEADER]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "damaged|encrypted"),
        (b"PK\x03\x04 but then nothing", "damaged"),
        (b"<html><body><table></table></body></html>", "HTML page, not an Excel workbook"),
        (b"a,b\n1,2\n", "not an Excel workbook"),
    ],
)
def test_something_else_that_is_called_xlsx_is_refused(tmp_path, content, reason):
    path = tmp_path / "ventas.xlsx"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=reason) as caught:
        read(path)
    assert caught.value.hint


def test_a_truncated_workbook_is_refused(tmp_path):
    path = write(tmp_path, Ene=[HEADER, *(["Taxi", n] for n in range(500))])
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(ReadError, match="damaged"):
        read(path)


def test_formulas_whose_value_was_not_stored_are_counted(tmp_path):
    book = openpyxl.Workbook()
    for row in (["texto", "suma"], ["a", "=1+1"], ["b", "=2+2"], ["c", 3]):
        book.active.append(row)
    book.save(tmp_path / "f.xlsx")
    (file,) = inspect_files([tmp_path / "f.xlsx"]).files
    assert any(note.startswith("formulas without a stored value, read as null: 2") for note in file.notes)
