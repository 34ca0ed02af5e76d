"""Real files that break readers: each is read rightly or refused in one line, in bounded time."""

import resource
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from workbench.errors import ReadError
from workbench.readers import inspect_files, read

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "nasty_files"

REFUSED = {
    "calamine__empty_sheet.xlsx": "has no sheet with data",
    "calamine__issue_594_dos.ods": "Cell limit exceeded",
    "calamine__pass_protected.ods": "is encrypted",
    "calamine__pass_protected.xlsx": "is encrypted",
    "calamine__too_small.xls": "not an Excel workbook",
    "csvkit__dummy.csv.gz": "the format .gz is not supported",
    "csvkit__testfixed": "a file without a suffix is not supported",
    "frictionless__implicit-zip.csv": "is a ZIP archive",
    "frictionless__merged-cells.xlsx": "has a header but no rows",
    "messytables__encrypted_no_password.xls": "is encrypted",
    "messytables__html.html": "the format .html is not supported",
    "messytables__small.csv": "has a header but no rows",
    "sheetjs__defined_names_unicode.xlsx": "has a header but no rows",
    "sheetjs__sushi.xlsx": "has a header but no rows",
}
READ = {
    # file: rows, columns, {column: its first values}
    "calamine__date_1904.xlsx": (2, 2, {}),
    "calamine__header-row.xlsx": (1, 4, {"Columns": ["put data here"], "Column A": [1]}),
    "calamine__issue_530.xlsx": (1, 14, {"领域": ["集团IT平台"]}),
    "calamine__strict_iso_paths.xlsx": (75, 18, {"Thickness": [1.5]}),
    "csvkit__bad.csv": (3, 4, {"column_4": ["I'm too long!", None]}),
    "csvkit__blanks.csv": (1, 6, {"a": [None], "b": ["NA"], "c": ["N/A"], "d": ["NONE"], "e": ["NULL"], "f": ["."]}),
    "csvkit__ilgeo2010_excerpt.csv": (1000, 101, {"SUMLEV": ["040"], "STUSAB": ["IL"]}),
    "csvkit__null_byte.csv": (1, 3, {"a": [None], "b": [2]}),
    "csvkit__sheets.xlsx": (5, 8, {"text": ["Chicago Reader"], "date": [pd.Timestamp("1971-01-01")]}),
    "csvkit__test_date_format.csv": (2, 1, {"a": ["02/01/2014", "31/12/2012"]}),
    "csvkit__test_header_newline.csv": (1, 3, {"start end": ["d"]}),
    "csvkit__test_locale.csv": (1, 3, {"a": ["1,7"], "b": ["200.000.000"]}),
    "csvkit__test_numeric_date_format.csv": (2, 1, {"a": [20140102]}),
    "csvkit__test_utf16_big.csv": (2, 3, {"a": [1, 4]}),
    "frictionless__defective-rows.csv": (2, 4, {"id": [1101], "name": ["John"], "age": [None]}),
    "frictionless__doublequote.csv": (5, 17, {"NOMBREINCISO": ["Administración Nacional de Educación Pública"]}),
    "frictionless__duplicate-headers.csv": (2, 5, {"id": [1101], "id_2": [0]}),
    "frictionless__escaping.csv": (3, 2, {"Test": ["Test line 1"]}),
    "frictionless__issue-1066-largecellsizewithdeviation.csv": (19, 2, {}),
    "frictionless__issue-1138.csv": (7, 3, {"Zeit [MEZ]": ["09.07.2013 12:00:00"], "Wasserstand": [146]}),
    "frictionless__issue-1232.csv": (5, 7, {"codice_regione": ["03"], "codice_provincia": ["015"]}),
    "frictionless__issue-320.xlsx": (48, 54, {"Country": ["Afghanistan: Acute Food Insecurity April 2020"]}),
    "frictionless__issue-825.csv": (2, 3, {"2011": ["23.824"]}),
    "frictionless__issue-833.csv": (3, 2, {"value": ['["a"]']}),
    "frictionless__issue-870.xlsx": (9, 8, {"0": [1], "First Name": ["Dulce"]}),
    "frictionless__leading-zeros.csv": (3, 1, {"value": ["01", "002", "00003"]}),
    "frictionless__multiline-headers.xlsx": (1, 4, {"Caloric contribution (%)": ["B"]}),
    "frictionless__preserve-formatting.xlsx": (1, 11, {"0.00": [1000.5577]}),
    "messytables__complex.csv": (3, 4, {"another date": ["24 October 2011"]}),
    "messytables__sparse_with_column_errors.csv": (2200, 4, {"LP": ["A"]}),
    "sheetjs__ErrorTypes.xlsx": (13, 10, {"Error": [None]}),
    "sheetjs__number_format_russian.1.csv": (28, 7, {"Value": ["-12345,6789"]}),
    "sheetjs__text_and_numbers.xlsx": (2, 3, {"English": ["Hebrew"], "Hello": ["שלום"]}),
}

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared data is not here")


def test_every_nasty_file_has_an_expectation():
    assert {path.name for path in FOLDER.glob("*_*")} == REFUSED.keys() | READ.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_holds_no_table_is_refused_in_one_line(name):
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ReadError) as caught:
        read(FOLDER / name)
    assert REFUSED[name] in caught.value.message
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert time.process_time() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("name", READ)
def test_a_file_that_holds_a_table_is_read_rightly(name):
    rows, columns, first = READ[name]
    started = time.process_time()
    table = read(FOLDER / name)
    assert table.shape == (rows, columns)
    assert {column: _plain(table[column], len(values)) for column, values in first.items()} == first
    assert table.columns.is_unique
    assert pa.Table.from_pandas(table).num_rows == rows
    assert inspect_files(FOLDER / name).files[0].rows == rows
    assert time.process_time() - started < 10


def _plain(values: pd.Series, number: int) -> list[object]:
    return [None if pd.isna(value) else value for value in values.head(number).tolist()]
