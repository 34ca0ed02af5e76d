"""Stray quotes of a CSV file swallow no rows, and legal cells of several lines stay what they are."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import ReadError
from workbench.readers import inspect_files, read
from workbench.readers.encodings import BLOCK, open_text
from workbench.readers.quotes import are_legal

LINES = [f"linea {n},{n}" for n in range(1000)]


def write(folder: Path, changed: dict[int, str], header: str = "Concepto,Importe", end: str = "\n") -> Path:
    lines = list(LINES)
    for place, line in changed.items():
        lines[place] = line
    path = folder / "ventas.csv"
    path.write_bytes(end.join([header, *lines, ""]).encode())
    return path


def notes(path: Path, **options: str) -> list[str]:
    return inspect_files(path, **options).files[0].notes


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("changed", "texts", "lines"),
    [
        ({100: '"Tubo 1/2,5', 600: '"Codo pvc,6'}, {100: '"Tubo 1/2', 600: '"Codo pvc'}, "102, 602"),
        ({100: '"Tubo 1/2,5', 600: '"Codo pvc",6'}, {100: '"Tubo 1/2', 600: "Codo pvc"}, "102"),
        ({100: '"Rin 15,5', 101: 'Rin 16",6'}, {100: '"Rin 15', 101: 'Rin 16"'}, "102, 103"),
        ({1: '"a,1', 2: '"b,2', 3: '"c,3', 4: '"d,4'}, {1: '"a', 4: '"d'}, "3, 4, 5 and 1 more"),
        ({100: '"Tubo,5', 600: '"Codo, pvc",6'}, {100: '"Tubo', 600: "Codo, pvc"}, "102"),
    ],
)
def test_stray_quotes_swallow_no_rows_and_are_noted(tmp_path, changed, texts, lines, end):
    path = write(tmp_path, changed, end=end)
    table = read(path)
    assert len(table) == 1000
    assert str(table["Importe"].dtype) == "int64"
    assert {place: table["Concepto"][place] for place in texts} == texts
    assert notes(path) == [f"stray quotes were read as plain characters: line {lines}"]


def test_a_legal_cell_of_several_lines_behind_a_stray_quote_stays_whole(tmp_path):
    table = read(write(tmp_path, {100: '"Tubo 1/2,5', 600: '"Calle 5, Centro\nCDMX",6'}))
    assert len(table) == 1000
    assert table["Concepto"][600] == "Calle 5, Centro\nCDMX"


LEGAL = [
    "Tornillo,5\nde acero x5",
    "\nTaxi,80\nRin 16",
    ",80\nRin 16",
    "Taxi,80\nHotel,90",
    "Calle 5, Col. Centro\nCDMX, México",
    "Calle 5, Col. Centro\nMéxico",
    "Concepto,Importe\nTaxi,80\nHotel,90",
    "Taxi,80\nHotel,90\nfin",
    "Taxi,80\nHotel,90\n",
    "\nTaxi,80\nHotel,90",
    'dijo ""no, 5"",\ny se fue',
    "Cable calibre 2,5\nRollo de cien",
]


@pytest.mark.parametrize("cell", LEGAL)
@pytest.mark.parametrize(
    ("header", "row"), [("Concepto,Importe", '"{}",5'), ("Importe,Concepto", '5,"{}"'), ("a,b,c", 'x,"{}",5')]
)
def test_a_legal_cell_of_several_lines_stays_as_it_is(tmp_path, cell, header, row):
    width = header.count(",")
    others = {1: "7,7", 2: "a,7", 0: "x,y,7"}[0 if width == 2 else 1 if row.startswith("5") else 2]
    path = tmp_path / "ventas.csv"
    path.write_text("\n".join([header, *[others] * 20, row.format(cell), *[others] * 20, ""]))
    table = read(path)
    assert len(table) == 41
    text = [value for value in table.iloc[20].tolist() if str(value) not in ("5", "x")]
    assert text == [cell.replace('""', '"')]
    assert not any("stray" in note for note in notes(path))


def test_a_legal_cell_that_holds_rows_of_its_own_table_is_noted(tmp_path):
    path = write(tmp_path, {100: '"Taxi,80\nHotel,90\nfin",5'})
    assert read(path)["Concepto"][100] == "Taxi,80\nHotel,90\nfin"
    assert notes(path) == ["quoted cells may hold rows of the table (is a quote missing or too many?): line 102"]


def test_a_legal_cell_of_very_many_lines_is_noted(tmp_path):
    path = write(tmp_path, {100: '"' + "una palabra\n" * 150 + '",5'})
    assert len(read(path)) == 1000
    assert len(notes(path)) == 1


LOSSY = "quotes inside a quoted cell are not doubled: some may be lost or moved: line {}"


def test_text_about_quotes_in_a_cell_of_two_lines_is_no_row(tmp_path):
    path = write(tmp_path, {100: '"Calle 5, Centro\nCol "Roma" CDMX",5'})
    assert len(read(path)) == 1000
    assert notes(path) == [LOSSY.format(102)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"LA ESPERANZA" SA DE CV', '"LA ESPERANZA" SA DE CV'),
        ('"Tubo "PVC" 1/2"', 'Tubo "PVC" 1/2'),
        ('"Tubo "PVC""', 'Tubo "PVC"'),
        ('"Codo, "PVC" 1/2"', 'Codo, "PVC" 1/2'),
        ('"Tubo 3" y ""PVC"""', 'Tubo 3" y "PVC"'),
        (r'"Tubo \"PVC\" azul"', 'Tubo "PVC" azul'),
        (r'"Codo \"3/4\", y C:\\x"', 'Codo "3/4", y C:\\x'),
        ('"EL PATO", S.A.', '"EL PATO", S.A.'),
    ],
)
def test_quotes_that_are_not_doubled_stay_and_are_noted(tmp_path, cell, text, encoding, end):
    path = tmp_path / "ventas.csv"
    delimiter = ";" if cell.startswith('"EL') else ","
    rows = [["id", "desc", "amt"], ["1", "Peña", "5.00"], ["2", cell, "6.00"], ["3", '"Tee, 3"', "7.00"]]
    path.write_bytes(end.join(map(delimiter.join, rows)).encode(encoding))
    table = read(path)
    assert table["desc"].tolist() == ["Peña", text, "Tee, 3"]
    assert table["amt"].tolist() == [5.0, 6.0, 7.0]
    assert notes(path) == ["stray quotes were read as plain characters: line 3"]


def test_quotes_that_are_not_doubled_are_noted_where_the_row_does_not_fit(tmp_path):
    path = write(tmp_path, {100: '"Codo, "x", y",5', 200: '"Tubo" roto,6', 300: '"5" pulgadas'})
    assert len(read(path)) == 1000
    assert notes(path) == [
        "stray quotes were read as plain characters: line 202",
        LOSSY.format("102, 302"),
        "rows shorter or longer than the header: 2 (line 102, 302)",
    ]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"Tubo" ', "Tubo "),
        ('Tubo "PVC" azul', 'Tubo "PVC" azul'),
        ('"a""b"', 'a"b'),
        ('"""a"""', '"a"'),
        ('"a; ""b""; c"', 'a; "b"; c'),
        (r'"C:\temp\"', "C:\\temp\\"),
    ],
)
def test_quotes_that_a_reader_of_csv_understands_are_not_noted(tmp_path, cell, text):
    path = write(tmp_path, {100: f"{cell},5"})
    assert read(path)["Concepto"][100] == text
    assert notes(path) == []


@pytest.mark.parametrize("place", range(-3, 4))
@pytest.mark.parametrize(("cell", "legal"), [('a" b', True), ('"a" b', False), ('a,"b" c', False), ('a" b"', True)])
def test_quotes_amid_words_are_legal_where_none_begins_a_cell(tmp_path, place, cell, legal):
    path = tmp_path / "ventas.csv"
    path.write_text(f'Tubo 1/2" PVC\n{"y" * (BLOCK + place - 15)}\n{cell}\nRin 16"')
    assert are_legal(open_text(path, None).legal_quotes, ",") == legal


def test_quotes_behind_blanks_that_are_passed_over_are_looked_at(tmp_path):
    path = tmp_path / "ventas.csv"
    path.write_text('id, desc, amt\n1, "uno, dos", 5\n2, "EL PATO" SA, 6\n3, "tres", 7\n')
    assert read(path)["desc"].tolist() == ["uno, dos", '"EL PATO" SA', "tres"]
    assert notes(path) == ["stray quotes were read as plain characters: line 3"]


@pytest.mark.parametrize("place", range(-3, 4))
@pytest.mark.parametrize(("cell", "legal"), [('"a" b', False), ('"ab"x', False), ('"a""b"', True), ('a,"b"', True)])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_every_quote_is_looked_at_also_between_blocks(tmp_path, place, cell, legal, encoding):
    path = tmp_path / "ventas.csv"
    before = "".join(['"x"\n', "y" * (BLOCK + place - 5), "\n"])
    path.write_text(f'{before}{cell}\n"z"')
    assert are_legal(open_text(path, encoding).legal_quotes, ",") == legal


AMOUNTS = [  # a row with a code, a text and a value that is no plain number; its delimiter
    ("F{n:03},{text},2024-02-{day:02}", ","),
    ("F{n:03},{text},${n}.00", ","),
    ("F{n:03};{text};1.{n:03},50 €", ";"),
    ("F{n:03};{text};{n},5", ";"),
    ("F{n:03}\t{text}\t1,{n:03}.00", "\t"),
    ("F{n:03}|{text}|{day:02}/ene/2024", "|"),
]


def numbered(row: str, texts: dict[int, str], rows: int = 40) -> list[str]:
    return [row.format(n=n, day=n % 28 + 1, text=texts.get(n, f"Cople {n}")) for n in range(rows)]


@pytest.mark.parametrize(("row", "delimiter"), AMOUNTS)
def test_amounts_and_dates_tell_swallowed_rows_as_numbers_do(tmp_path, row, delimiter):
    path = tmp_path / "ventas.csv"
    lines = numbered(row, {3: '"Tubo de 1/2', 6: 'Rin 16"'})
    path.write_text("\n".join([delimiter.join(["folio", "desc", "valor"]), *lines]))
    table = read(path)
    assert (len(table), table["desc"][3], table["desc"][6]) == (40, '"Tubo de 1/2', 'Rin 16"')
    assert notes(path) == ["stray quotes were read as plain characters: line 5, 8"]


@pytest.mark.parametrize("row", ["F{n:03},{text},pza", "{text},rojo", "rojo,{text}", "a,b,c,{text},d"])
def test_rows_between_a_pair_of_quotes_in_a_table_of_texts_are_noted(tmp_path, row):
    path = tmp_path / "ventas.csv"
    lines = numbered(row, {3: '"Tubo de media', 6: 'Codo grande"'})
    path.write_text("\n".join([",".join("abcdef"[: row.count(",") + 1]), *lines]))
    assert len(read(path)) == 37
    assert notes(path) == ["quoted cells may hold rows of the table (is a quote missing or too many?): line 5"]


PROSE = [
    "Calle 5, Col. Centro\nCDMX, México",
    "Tubo, codo, tee\nCinta, cople, rin",
    "Cable 2,5 y 3,5\nRollo de cien",
    "Primera línea\nsegunda\ntercera",
]


@pytest.mark.parametrize("cell", PROSE)
@pytest.mark.parametrize("row", ['x,"{}",y', '"{}",x', 'x,"{}"', '"{}",x,y', 'x,"{}",$5.00', 'x,"{}",5'])
def test_ordinary_descriptions_of_several_lines_are_not_noted(tmp_path, cell, row):
    path = tmp_path / "ventas.csv"
    lines = [row.format(text) for text in ("Taxi", cell, "Hotel", cell, "Luz")]
    path.write_text("\n".join([",".join("abcdef"[: row.count(",") + 1]), *lines]))
    assert len(read(path)) == 5
    assert notes(path) == []


PIECES = st.lists(
    st.sampled_from(["Tubo", " ", '"', '""', ",", ";", "\n", "\r\n", 'Rin 16"', "5.00", "$5.00", "\nF1,Taxi,$5.00\n"]),
    max_size=8,
)
VALUES = st.sampled_from(["$5.00", "1,234.50", "2024-01-05", "007", "5.25", "pza", ""])


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(PIECES.map("".join), VALUES), min_size=1, max_size=8),
    st.sampled_from(list(",;\t|")),
    st.booleans(),
)
def test_whatever_a_legal_file_holds_is_read_as_it_stands(tmp_path_factory, rows, delimiter, everywhere):
    path = tmp_path_factory.mktemp("csv") / "ventas.csv"
    written = [["folio", "desc", "valor"], ["F0", 'de 1/2"', "x"], *([f"F{n}", *row] for n, row in enumerate(rows, 1))]
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL if everywhere else 0).writerows(written)
    table = read(path, delimiter=delimiter)
    assert table.columns.tolist() == written[0]
    assert [["" if pd.isna(cell) else cell for cell in row] for row in table.itertuples(index=False)] == written[1:]
    assert not any("quotes" in note for note in notes(path, delimiter=delimiter))
    assert are_legal(open_text(path, None).legal_quotes, delimiter)


ROWS = [f'{n},"Tubo, {n}",{n}.50' for n in range(1, 30)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("title", [[], ["Reporte de gastos", ""]])
@pytest.mark.parametrize("header", ['id,"desc,amt', 'id,desc,"amt', '"id,desc,amt'])
@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        (["1,Tubo,5.00", "2,Codo,6.00", "3,Tee,7.00"], ["Tubo", "Codo", "Tee"]),
        (["1,Tubo,5.00", "2,Codo,6.00", '3,"Tee",7.00'], ["Tubo", "Codo", "Tee"]),
        (["1,Tubo,5.00", '2,Rin 16",6.00', "3,Tee,7.00"], ["Tubo", 'Rin 16"', "Tee"]),
        (["1,uno,x", '2,"dos, y",x', "3,tres,x"], ["uno", "dos, y", "tres"]),
        (ROWS, [f"Tubo, {n}" for n in range(1, 30)]),
    ],
)
def test_a_stray_quote_in_the_header_swallows_no_rows_and_is_noted(tmp_path, header, rows, texts, title, end):
    path = tmp_path / "ventas.csv"
    path.write_bytes(end.join([*title, header, *rows, ""]).encode())
    table = read(path)
    assert (table.columns.tolist(), table.iloc[:, 1].tolist()) == (header.split(","), texts)
    (note, *others) = notes(path)
    assert (f"line {len(title) + 1}" in note, "plain characters" in note, others) == (True, True, [])


def test_an_odd_quote_below_a_stray_one_in_the_header_is_found(tmp_path):
    path = tmp_path / "ventas.csv"
    path.write_text('id,"desc,amt\n1,Tubo,5.00\n2,Codo,6.00\n3,"Tee,7.00\n')
    assert read(path).iloc[:, 1].tolist() == ["Tubo", "Codo", '"Tee']
    assert notes(path) == ["the quote in line 4 never closes: quotes were read as plain characters"]


def test_a_header_with_a_quote_that_never_closes_is_refused_with_its_line(tmp_path):
    path = tmp_path / "ventas.csv"
    path.write_text('Reporte\n\nid,"desc,amt\n1,Tubo\n2,Codo\n3,Tee,7.00,x\n')
    with pytest.raises(ReadError, match="line 3: a quote opens and never closes"):
        read(path)


@pytest.mark.parametrize(
    "header", ['a,"Precio\nunitario",c', '"a, b\nc, d",x', 'Concepto,"Enero\n2024"', '"Clave\n","Monto, neto\nMXN"']
)
@pytest.mark.parametrize("rows", [["uno,dos,tres"] * 2, ["1,2,3", "4,5,6"]])
def test_a_legal_header_of_several_lines_stays_as_it_is(tmp_path, header, rows):
    path = tmp_path / "ventas.csv"
    names = next(csv.reader(header.splitlines(keepends=True)))
    path.write_text("\n".join([header, *(",".join(row.split(",")[: len(names)]) for row in rows)]))
    assert read(path).columns.tolist() == [" ".join(name.split()) for name in names]
    assert notes(path) == []
