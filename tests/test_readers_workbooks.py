"""Workbooks of other kinds, under guard and streamed; merged headers, old dates, and cells as Excel shows them."""

import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
import xlsxwriter
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from python_calamine import CalamineWorkbook

from workbench.errors import ReadError
from workbench.readers import SUFFIXES, find_sources, inspect_files, inspect_sources, read
from workbench.readers.faults import border
from workbench.readers.formats import Options
from workbench.readers.guarded import scan_guarded
from workbench.readers.sheet_parts import looks_safe, sheet_facts
from workbench.readers.sheet_stream import StreamedSheet
from workbench.readers.values import cell_text

DATA = Path(__file__).parents[2] / "shared" / "data" / "nasty_files"


def write(folder: Path, rows, *merges: str, epoch=None) -> Path:
    book = openpyxl.Workbook()
    if epoch:
        book.epoch = epoch
    for row in rows:
        book.active.append(row)
    for merge in merges:
        book.active.merge_cells(merge)
    book.save(folder / "ventas.xlsx")
    return folder / "ventas.xlsx"


ODS = """<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">
<office:body><office:spreadsheet><table:table table:name="Ene">{}</table:table></office:spreadsheet></office:body>
</office:document-content>"""


def ods(folder: Path, *rows: str) -> Path:
    path = folder / "ventas.ods"
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", ODS.format(body))
    return path


def text(value: str, repeated: int = 1) -> str:
    return (
        f'<table:table-cell office:value-type="string" table:number-columns-repeated="{repeated}">'
        f"<text:p>{value}</text:p></table:table-cell>"
    )


def number(value: float) -> str:
    cell = f'<table:table-cell office:value-type="float" office:value="{value}">'
    return f"{cell}<text:p>{value}</text:p></table:table-cell>"


def test_a_libreoffice_table_is_read_like_an_excel_one(tmp_path):
    path = ods(tmp_path, text("Concepto") + text("Importe"), text("007") + number(80.5), text("Café") + number(3))
    assert read(path).to_dict("list") == {"Concepto": ["007", "Café"], "Importe": [80.5, 3.0]}
    (schema,) = inspect_sources(find_sources([str(path)])).files
    assert (schema.format, schema.rows, schema.options["sheet"]) == ("ods", 2, "Ene")


@pytest.mark.parametrize("suffix", [".xls", ".xlsb", ".ods"])
def test_something_else_that_is_called_a_workbook_is_refused(tmp_path, suffix):
    assert suffix in SUFFIXES
    path = tmp_path / f"ventas{suffix}"
    path.write_text("Concepto,Importe\n")
    with pytest.raises(ReadError, match="not an Excel workbook"):
        read(path)


@pytest.mark.parametrize("wrong", [".xls", ".xlsb", ".ods", ".xml"])
def test_a_workbook_under_a_wrong_suffix_is_told_its_right_one(tmp_path, wrong):
    path = write(tmp_path, [["Concepto"], ["Taxi"]]).rename(tmp_path / f"ventas{wrong}")
    with pytest.raises(ReadError) as caught:
        read(path)
    assert ".xlsx" in caught.value.message + caught.value.hint and "damaged" not in caught.value.message
    ods(tmp_path, text("Concepto"), text("Taxi")).replace(tmp_path / "otro.xlsx")
    with pytest.raises(ReadError, match=r"is a workbook of the kind \.ods, not \.xlsx\. Hint: name it otro\.ods"):
        read(tmp_path / "otro.xlsx")


def test_a_web_page_or_xml_that_is_called_xls_is_to_be_saved_by_excel(tmp_path):
    for start in (b"<html><table></table></html>", b'<?xml version="1.0"?><Workbook/>'):
        (tmp_path / "banco.xls").write_bytes(start)
        with pytest.raises(ReadError, match=r"not an Excel workbook\. Hint: open it in Excel or LibreOffice"):
            read(tmp_path / "banco.xls")


def test_error_cells_of_libreoffice_become_null_and_are_counted(tmp_path):
    wrong = 'office:value-type="string" office:string-value="" calcext:value-type="error"'
    cell = f"<table:table-cell {wrong}><text:p>#DIV/0!</text:p></table:table-cell>"
    path = ods(tmp_path, text("Concepto") + text("n"), text("Taxi") + cell)
    assert read(path)["n"].isna().all()
    (schema,) = inspect_sources(find_sources([str(path)])).files
    assert (schema.error_cells, schema.notes) == (1, ["cells with an Excel error, read as null: 1"])


def test_a_table_that_would_fill_the_memory_ends_its_own_process_only(tmp_path):
    path = ods(tmp_path, text("Concepto") + text("Importe"), *([text("x" * 2_000, 100)] * 900))
    with pytest.raises(ReadError, match="memory") as caught:
        scan_guarded(path, Options(), memory=24 << 20)
    assert caught.value.hint


def test_a_table_that_never_ends_is_given_up(tmp_path):
    path = ods(tmp_path, *[text("a", 16_384)] * 600)
    with pytest.raises(ReadError, match="takes more than 1 s to open"):
        scan_guarded(path, Options(), seconds=1)


def test_a_table_that_says_to_be_far_too_wide_is_read_as_far_as_a_sheet_goes(tmp_path):
    table = read(ods(tmp_path, text("a", 2_000_000_000), text("b", 2_000_000_000)))
    assert table.shape == (1, 16_384)


def test_a_workbook_whose_texts_unpack_to_too_much_is_opened_under_guard(tmp_path):
    path = write(tmp_path, [["Concepto", "n"], ["Taxi", 1]])
    assert looks_safe(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/more.xml", "w") as part:
        for _ in range(257):
            part.write(bytes(1 << 20))
    assert not looks_safe(path)
    assert read(path)["Concepto"].tolist() == ["Taxi"]


def test_a_streamed_sheet_gives_the_rows_that_a_held_one_gives(tmp_path):
    rows = [["Título"], [], ["Clave", "Fecha", "n", "Nota"]]
    rows += [[f"00{n}", datetime(2024, 1, 5, n), n / 2, "#N/A" if n % 2 else None] for n in range(20)]
    path = write(tmp_path, rows)
    streamed = StreamedSheet(path, "Sheet", sheet_facts(path)["Sheet"])
    with CalamineWorkbook.from_path(path) as book:
        held = list(book.get_sheet_by_index(0).iter_rows())
    assert [list(map(cell_text, row[:4])) for row in streamed.iter_rows()] == [list(map(cell_text, r)) for r in held]
    assert streamed.height == len(held)


def test_the_first_rows_of_a_large_sheet_are_streamed(tmp_path):
    path = tmp_path / "ventas.xlsx"
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for row in range(700):
            sheet.write_row(row, 0, [f"{row}" if row else "clave", "x" * 32_000])
    assert sheet_facts(path)["Sheet1"].bytes > 20 << 20
    (schema,) = inspect_sources(find_sources([str(path)]), rows=100).files
    assert (schema.rows, schema.rows_estimated, schema.columns[0].distinct) == (None, 699, 100)


def test_a_header_merged_over_several_rows_becomes_one_name_per_column(tmp_path):
    rows = [["Ventas 2024"], ["Región", "Importe", None], [None, "neto", "bruto"], ["Norte", 1, 2], ["Sur", 3, 4]]
    table = read(write(tmp_path, rows, "A2:A3", "B2:C2"))
    assert table.to_dict("list") == {"Región": ["Norte", "Sur"], "Importe neto": [1, 3], "Importe bruto": [2, 4]}


def test_a_title_merged_over_the_table_is_no_header(tmp_path):
    rows = [["Ventas 2024", None, None], ["Región", "neto", "bruto"], ["Norte", 1, 2], ["Sur", 3, 4]]
    assert list(read(write(tmp_path, rows, "A1:C1"))) == ["Región", "neto", "bruto"]


GASTOS = [["Concepto", "Importe", "Proveedor"], *([f"gasto {n}", n, f"prov {n}"] for n in range(20))]


def test_a_box_merged_beside_the_table_beyond_its_width_is_passed_over(tmp_path):
    rows = [[*GASTOS[0], None, "Notas"], *GASTOS[1:]]
    table = read(write(tmp_path, rows, "E1:F6"))
    assert table["Concepto"].tolist() == [f"gasto {n}" for n in range(20)]
    assert table["Importe"].dtype == "int64"


@pytest.mark.parametrize("depth", [6, 8, 21])
def test_a_tall_merged_cell_takes_no_rows_of_the_table_into_the_header(tmp_path, depth):
    rows = [[*GASTOS[0], "Notas"], *GASTOS[1:]]
    table = read(write(tmp_path, rows, f"D1:D{depth}"))
    assert table.shape == (20, 4)
    assert list(table) == [*GASTOS[0], "Notas"]
    words = [[f"texto {cell}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    assert list(read(write(tmp_path, words, f"D1:D{depth}"))) == [*GASTOS[0], "Notas"]


@pytest.mark.parametrize("merges", [("D1:D8",), ("D1:D8", "A1:C1"), ("D1:D3",), ("D1:E3",), ("D1:D3", "A1:C1")])
def test_a_logo_merged_beside_title_and_header_takes_no_rows_into_the_header(tmp_path, merges):
    table = read(write(tmp_path, [["Empresa SA", None, None, "LOGO"], [], *GASTOS], *merges))
    assert (list(table), len(table)) == (GASTOS[0], 20)


def test_a_logo_that_ends_above_the_header_is_passed_over_with_the_title_beside_it(tmp_path):
    title = [["LOGO", None, "Empresa"], [None, None, "Reporte de gastos"], [None, None, "Enero"], [], []]
    path = write(tmp_path, [*title, [*GASTOS[0], "Nota"], *([*row, "x"] for row in GASTOS[1:])], "A1:B4")
    table = read(path)
    assert (list(table), len(table)) == ([*GASTOS[0], "Nota"], 20)
    assert inspect_files(path).files[0].notes == []


def test_a_doubtful_header_is_noted_with_the_rows_of_the_sheet(tmp_path):
    path = write(
        tmp_path, [[], [], ["Cliente", "ACME"], ["Periodo", "enero"], [], ["Concepto", "Importe"], *[["a", 2]] * 3]
    )
    assert inspect_files(path).files[0].notes == ["row 2 was taken for the header, but row 5 may be it"]


def test_merged_data_of_a_sheet_without_header_do_not_become_one(tmp_path):
    rows = [["Enero" if n < 5 else "Febrero", f"gasto {n}", n] for n in range(10)]
    assert len(read(write(tmp_path, rows, "A1:A5", "A6:A10"))) == 9
    assert len(read(write(tmp_path, [row[:2] for row in rows], "A1:A5", "A6:A10"))) == 9


def test_a_header_of_three_rows_with_groups_within_groups_is_one_name_per_column(tmp_path):
    rows = [
        ["Región", "Venta", None, None, None],
        [None, "2023", None, "2024", None],
        [None, "neto", "bruto", "neto", "bruto"],
        ["Norte", 1, 2, 3, 4],
    ]
    table = read(write(tmp_path, rows, "A1:A3", "B1:E1", "B2:C2", "D2:E2"))
    assert list(table) == ["Región", "Venta 2023 neto", "Venta 2023 bruto", "Venta 2024 neto", "Venta 2024 bruto"]
    assert len(table) == 1


def test_the_few_cells_that_are_not_merged_down_name_their_columns_with_the_words_below(tmp_path):
    rows = [["Clave", "Concepto", "Lugar", "Importe"], [None, None, None, "neto"], ["a", "Taxi", "CDMX", 80]]
    table = read(write(tmp_path, rows, "A1:A2", "B1:B2", "C1:C2"))
    assert table.to_dict("list") == {"Clave": ["a"], "Concepto": ["Taxi"], "Lugar": ["CDMX"], "Importe neto": [80]}


def test_an_unforeseen_fault_of_the_program_is_one_of_the_file_and_says_where_it_is(tmp_path):
    with pytest.raises(ReadError) as caught, border(tmp_path / "ventas.xlsx"):
        [][1]
    assert caught.value.message.startswith("ventas.xlsx cannot be read: IndexError: list index out of range (test_")
    assert "report it" in (caught.value.hint or "")


def test_dates_of_the_1904_system_are_the_days_that_excel_shows(tmp_path):
    rows = [["Concepto", "Fecha"], ["Taxi", date(2024, 1, 5)], ["Hotel", datetime(2024, 2, 29, 14, 30)]]
    table = read(write(tmp_path, rows, epoch=CALENDAR_MAC_1904))
    assert table["Fecha"].tolist() == [pd.Timestamp("2024-01-05"), pd.Timestamp("2024-02-29 14:30")]


def test_leading_zeros_and_durations_stay_what_they_are(tmp_path):
    table = read(write(tmp_path, [["Clave", "Horas"], ["007", timedelta(hours=26)], ["010", timedelta(minutes=5)]]))
    assert table.to_dict("list") == {"Clave": ["007", "010"], "Horas": ["26:00:00", "00:05:00"]}
