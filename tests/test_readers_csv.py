"""CSV: values survive, layout is found, and faults of the file are counted rather than hidden."""

import csv
import io
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.errors import ReadError
from workbench.readers import batches, inspect_files, read
from workbench.readers.columns import distinct_names


def write(folder: Path, content: str | bytes, name: str = "ventas.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def found(path: Path, **options: object) -> dict[str, object]:
    return inspect_files(path, **options).files[0].options  # type: ignore[arg-type]


def as_text(frame: pd.DataFrame) -> list[list[str]]:
    return [["" if pd.isna(value) else str(value) for value in row] for row in frame.itertuples(index=False)]


def test_a_table_written_by_pandas_is_read_back_equal(tmp_path):
    table = pd.DataFrame({"Concepto": ["Taxi", "Café, té", None], "Piezas": [1, 2, 3], "Importe": [80.5, None, 12.0]})
    table.to_csv(tmp_path / "ventas.csv", index=False)
    pd.testing.assert_frame_equal(read(tmp_path / "ventas.csv"), table)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1a"), max_size=8)
NASTY = st.sampled_from(
    ["", " ", '"', '""', ",", ";", "\t", "|", "\n", "\r\n", "\r", "a,b", '"x"', " x", "01", "1e5", "ñ"]
)
WORDS = st.one_of(NASTY, CELLS).map(lambda text: text if not text.isdecimal() else f"x{text}")
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(WORDS, min_size=width, max_size=width), min_size=1, max_size=8)
)


@settings(deadline=None, max_examples=150)
@given(TABLES, st.sampled_from([",", ";", "\t"]))
@example([["a\rb", "\n"], ['"', ""]], ",")
@example([[" x", ' "']], ";")
def test_any_table_of_texts_is_read_back_identical(tmp_path_factory, rows, delimiter):
    names = [f"Columna {letter}" for letter in "ABCD"[: len(rows[0])]]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([names, *rows])
    path = write(tmp_path_factory.mktemp("csv"), text.getvalue())
    kept = [row for row in rows if "".join(row).strip(" \t\n\v\f\r")]
    if not kept:
        with pytest.raises(ReadError, match="no rows"):
            read(path, delimiter=delimiter)
        return
    table = read(path, delimiter=delimiter)
    assert table.columns.tolist() == names
    for position, name in enumerate(names):
        column = [row[position] for row in kept]
        if table[name].dtype == "str":
            assert ["" if pd.isna(value) else value for value in table[name]] == column
        else:
            assert [None if pd.isna(value) else float(value) for value in table[name]] == [
                float(text) if text else None for text in column
            ]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.sampled_from(["Taxi, hotel", "12.5", "a;b", "x|y", "ñ", ""]), min_size=3, max_size=3), min_size=2
    )
)
def test_the_delimiter_of_a_regular_table_is_found(tmp_path_factory, rows):
    for delimiter in ",;\t|":
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter).writerows([["Fecha", "Concepto", "Nota"], *rows, ["1", "2", "3"]])
        path = write(tmp_path_factory.mktemp("csv"), text.getvalue())
        assert found(path)["delimiter"] == delimiter


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 1000])
def test_batches_together_are_the_whole_table(tmp_path, rows):
    lines = [f"{n},{'' if n % 5 else n / 4},{'' if n == 3 else n},texto {n % 3}" for n in range(11)]
    path = write(tmp_path, "\n".join(["id,importe,cuenta,nota", *lines]))
    whole, parts = read(path), list(batches(path, rows=rows))
    assert [len(part) for part in parts[:-1]] == [rows] * (len(parts) - 1)
    assert {str(part.dtypes.tolist()) for part in parts} == {str(whole.dtypes.tolist())}
    pd.testing.assert_frame_equal(pd.concat(parts), whole)
    assert isinstance(whole.index, pd.RangeIndex)


def test_types_are_decided_by_the_whole_file_and_not_by_its_beginning(tmp_path):
    path = write(tmp_path, "a,b\n" + "1,2\n" * 300_000 + "x,2.5\n")
    first = next(batches(path, rows=10))
    assert first.dtypes.astype(str).tolist() == ["str", "float64"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["1", "-2", "0"], "int64"),
        (["1", "", "3"], "Int64"),
        (["123456789012345"], "int64"),
        (["1.50", "-0.25", ".50", "3"], "float64"),
        (["12.0", "7.25", "0.125"], "float64"),
        (["5.1", "5.10", "7"], "str"),
        (["1.250", ".5"], "str"),
        (["1.5", ""], "float64"),
        (["0.00000123456789012345"], "float64"),
        (["007", "12"], "str"),
        (["+5"], "str"),
        (["1,000"], "str"),
        (["1e5"], "str"),
        (["-0"], "str"),
        (["1234567890123456"], "str"),
        (["032180000118359719"], "str"),
        (["1.234567890123456789"], "str"),
        (["NA", "5"], "str"),
        (["2024-01-05"], "str"),
        (["TRUE", "FALSE"], "str"),
        (["١٢"], "str"),
        (["5."], "str"),
        ([" 5"], "str"),
    ],
)
def test_only_plain_numbers_become_numbers(tmp_path, values, dtype):
    path = write(tmp_path, "n;t\n" + "".join(f"{value};x\n" for value in values))
    table = read(path)
    assert str(table["n"].dtype) == dtype
    if dtype == "str":
        assert table["n"].tolist() == values


@pytest.mark.parametrize("word", ["NA", "N/A", "NULL", "null", "None", "nan", "-", "."])
def test_only_the_empty_field_is_null(tmp_path, word):
    table = read(write(tmp_path, f"a,b\n{word},1\n,2\n"))
    assert table["a"].tolist()[0] == word
    assert table["a"].isna().tolist() == [False, True]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_spanish_text_is_read_in_every_usual_encoding(tmp_path, encoding):
    text = "Descripción;Año\nInstalación eléctrica – peña «Ñandú»;2024\n".replace(
        "–", "-" if encoding == "latin-1" else "–"
    )
    table = read(write(tmp_path, text, encoding=encoding))
    assert table.columns.tolist() == ["Descripción", "Año"]
    assert table.iloc[0, 0].startswith("Instalación eléctrica")
    assert table.iloc[0, 0].endswith("peña «Ñandú»")


@pytest.mark.parametrize(
    ("encoding", "text"), [("cp850", "Instalación de cañería"), ("mac-roman", "Instalación de cañería")]
)
def test_spanish_text_from_dos_and_from_old_macs_is_recognised(tmp_path, encoding, text):
    path = write(tmp_path, f"Concepto;n\n{text};1\n", encoding=encoding)
    assert (read(path).iloc[0, 0], found(path)["encoding"]) == (text, encoding)


def test_russian_text_in_cp1251_is_recognised(tmp_path):
    text = "Наименование;Количество\nСтоловые приборы для кухни;4\nБумага офисная белая;7\n"
    path = write(tmp_path, text, encoding="cp1251")
    assert read(path).columns.tolist() == ["Наименование", "Количество"]


@pytest.mark.parametrize(
    "text",
    [
        "SERVICIO – MENSUAL",
        "Café y niño – anual – 2024 – fin – de – mes",
        "Instalación “llave en mano”",
        "Men’s shoes – 5 €",
        "Office™ 365®, 1 año…",
        "• 3 m² de piso, nº 4 ¿sí? – ¡no!",
    ],
)
def test_typographic_signs_in_cp1252_are_no_letters_of_another_encoding(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(f'Concepto,n\n"{text}",1\n'.encode("cp1252"))
    assert read(tmp_path / "a.csv")["Concepto"].tolist() == [text]


def test_a_single_accent_in_cp1252_is_enough(tmp_path):
    path = write(tmp_path, "Concepto,n\n" + "Taxi,1\n" * 200_000 + "Café,2\n", encoding="cp1252")
    assert read(path).iloc[-1, 0] == "Café"


def test_stray_bytes_in_utf8_do_not_spoil_the_rest(tmp_path):
    good = "Concepto,n\n" + "Instalación eléctrica,1\n" * 20
    path = write(tmp_path, good.encode() + "Caña,2\n".encode("cp1252"))
    assert read(path)["Concepto"].tolist()[-2:] == ["Instalación eléctrica", "Caña"]
    assert inspect_files(path).files[0].notes == ["bytes that are not UTF-8, read as cp1252: 1"]


@pytest.mark.parametrize(("last", "kept"), [("ñ", 1), ("€", 1), ("€", 2), ("🌮", 1), ("🌮", 3)])
def test_a_utf8_file_that_is_cut_off_within_a_character_stays_utf8_and_is_noted(tmp_path, last, kept):
    path = write(tmp_path, "Concepto,n\nniño,1\nse".encode() + last.encode()[:kept])
    assert read(path)["Concepto"].tolist() == ["niño", "se"]
    assert "it is cut off within its last character, which is left out" in inspect_files(path).files[0].notes


def test_a_last_letter_in_cp1252_is_no_beginning_of_another_character(tmp_path):
    assert read(write(tmp_path, "Concepto\nTaxi\nCafé", encoding="cp1252"))["Concepto"].tolist() == ["Taxi", "Café"]
    assert read(write(tmp_path, "Concepto\nniño\nCafé", encoding="cp1252"))["Concepto"].tolist() == ["niño", "Café"]


def test_an_encoding_that_is_asked_for_is_used(tmp_path):
    path = write(tmp_path, "Concepto,n\nCafé,1\n", encoding="utf-8")
    assert read(path, encoding="latin-1").iloc[0, 0] == "CafÃ©"


def test_a_title_block_above_the_header_is_passed_over(tmp_path):
    path = write(tmp_path, "Reporte de ventas\nEnero 2024, sucursal\n\nFecha,Concepto,Importe\n2024-01-05,Taxi,80\n")
    assert read(path).columns.tolist() == ["Fecha", "Concepto", "Importe"]
    assert found(path)["header_row"] == 3


def test_the_header_row_can_be_named(tmp_path):
    path = write(tmp_path, "a,b\nFecha,Concepto\n2024,Taxi\n")
    assert read(path, header_row=1).columns.tolist() == ["Fecha", "Concepto"]


def test_a_header_row_behind_the_end_is_refused(tmp_path):
    with pytest.raises(ReadError, match=r"no header in row 9.*it has 2 rows"):
        read(write(tmp_path, "a,b\n1,2\n"), header_row=9)


def test_a_header_that_looks_like_data_is_noted(tmp_path):
    assert "looks like data" in inspect_files(write(tmp_path, "1.5,2.5\n3.5,4.5\n")).files[0].notes[0]


def test_headers_become_distinct_names(tmp_path):
    path = write(tmp_path, 'Total, Total ,"Precio\nunitario",,Total_2\n1,2,3,4,5\n')
    assert read(path).columns.tolist() == ["Total", "Total_3", "Precio unitario", "column_4", "Total_2"]


@pytest.mark.parametrize("columns", [10_000, 16_384])
def test_a_table_of_very_many_columns_is_read_whole_though_its_header_is_long(tmp_path, columns):
    names = [f"una columna con un nombre muy largo {n}" for n in range(columns)]
    path = write(tmp_path, "\n".join([",".join(names), *[",".join(["x", *["1"] * (columns - 1)])] * 3]))
    table = read(path)
    assert table.columns.tolist() == names
    assert len(table) == 3


@pytest.mark.parametrize(
    "content",
    ["a," * 200_000, "a," * 5_000_000, "a;" * 20_000 + "\n" + "1;" * 20_000, "a,b\n" + "1,2\n" * 50 + "1," * 99_999],
)
def test_more_columns_than_a_sheet_has_are_refused_at_once(tmp_path, content):
    path = write(tmp_path, content + "\n")
    started = time.process_time()
    with pytest.raises(ReadError, match=r"ventas.csv has a row of more than 16,384 cells"):
        read(path)
    assert time.process_time() - started < 5


def test_very_many_names_are_made_distinct_quickly():
    started = time.process_time()
    names = distinct_names(["a"] * 100_000 + [""] * 100_000)
    assert (len(set(names)), names[1], names[-1]) == (200_000, "a_2", "column_200000")
    assert time.process_time() - started < 5


def test_json_that_is_called_csv_is_to_be_called_json(tmp_path):
    with pytest.raises(ReadError, match=r"Hint: if it holds JSON, name it \.json"):
        read(write(tmp_path, '[{"Concepto": "Taxi", "n": 1}]'))


def test_trailing_empty_columns_without_a_name_are_dropped(tmp_path):
    assert read(write(tmp_path, "a,b,,\n1,2,,\n3,4,,\n")).columns.tolist() == ["a", "b"]
    assert read(write(tmp_path, "a,b\n1,2,\n3,4,\n")).columns.tolist() == ["a", "b"]


def test_blank_rows_are_dropped(tmp_path):
    assert as_text(read(write(tmp_path, 'a,b\n\n1,x\n,\n"",""\n   \n2,y\n\n'))) == [["1", "x"], ["2", "y"]]


@pytest.mark.parametrize("end", ["", "\n", "1,x,y\n"])
def test_rows_of_blanks_are_dropped_and_do_not_make_text_of_numbers(tmp_path, end):
    table = read(write(tmp_path, 'n,t\n1,x\n , \n\t,\n" \n",\n2,\n ,y\n' + end))
    assert table["t"].tolist()[2] == "y"
    assert len(table) == 3 + (len(end) > 1)
    table = read(write(tmp_path, "n\n1\n \n2\n"))
    assert table["n"].tolist() == [1, 2]


@pytest.mark.parametrize("end", ["\n\x1a", "\x1a", "\r\n\x1a\x1a"])
@pytest.mark.parametrize("header", ["n,t", "n"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_the_mark_that_ends_a_file_of_dos_is_no_row(tmp_path, end, header, encoding):
    rows = [header, *["1,ñ", "2,ñ"]] if "," in header else [header, "1", "2"]
    path = write(tmp_path, "\n".join(rows) + end, encoding=encoding)
    assert read(path)["n"].tolist() == [1, 2]
    assert inspect_files(path).files[0].notes == []


def test_rows_of_unequal_length_are_kept_and_counted(tmp_path):
    path = write(tmp_path, "a,b,c\n1,2,3\n4,5\n6,7,8,9\n10,11,12,\n")
    table = read(path)
    assert table.columns.tolist() == ["a", "b", "c", "column_4"]
    assert as_text(table) == [["1", "2", "3", ""], ["4", "5", "", ""], ["6", "7", "8", "9"], ["10", "11", "12", ""]]
    assert inspect_files(path).files[0].ragged_rows == 2


@pytest.mark.parametrize("delimiter", [",", ";", "~"])
def test_a_delimiter_within_a_text_that_moves_the_row_into_an_empty_last_column_is_told_with_its_line(
    tmp_path, delimiter
):
    rows = [["1", "Tubo", " azul", "5.00", ""], *([str(n), "Cople", "6.00", ""] for n in range(2, 12))]
    lines = [delimiter.join(row) for row in [["id", "desc", "amt", "nota"], [], *rows]]
    path = write(tmp_path, "\n".join(lines))
    table = read(path)
    assert (table.columns.tolist(), table.iloc[0, 3]) == (["id", "desc", "amt", "nota"], 5.0)
    described = inspect_files(path).files[0]
    assert (described.ragged_rows, described.notes) == (1, ["rows shorter or longer than the header: 1 (line 3)"])


def test_delimiters_at_the_end_are_no_fault_where_most_rows_have_them(tmp_path):
    rows = ["1,x,", "2,y", '"3",z,', "4,w,", "5,v,,,"]
    described = inspect_files(write(tmp_path, "\n".join(["a,b", *rows]))).files[0]
    assert described.notes == ["rows shorter or longer than the header: 1 (line 6)"]
    described = inspect_files(write(tmp_path, "\n".join(["a,b", *rows[:4]]))).files[0]
    assert (described.ragged_rows, described.notes) == (0, [])


def test_the_lines_of_rows_of_unequal_length_are_those_where_they_begin(tmp_path):
    rows = ['"uno\r\n\r\ndos",1', "1", "", *["x,2"] * 70_000, "1,2,3", '"a\nb",2,3', "4"]
    described = inspect_files(write(tmp_path, "\r\n".join(["a,b", *rows]))).files[0]
    assert described.notes == [
        "rows shorter or longer than the header: 4 (line 5, 70007, 70008 and 1 more)",
    ]


def test_ragged_rows_late_in_a_long_file_change_nothing_before_them(tmp_path):
    path = write(tmp_path, "a,b\n" + "1,x\n" * 30_000 + "2,y,z\n" + "3\n")
    table = read(path)
    assert len(table) == 30_002
    assert as_text(table.tail(2)) == [["2", "y", "z"], ["3", "", ""]]
    pd.testing.assert_frame_equal(pd.concat(batches(path, rows=7_000)), table)


def test_line_breaks_inside_quotes_stay_in_their_cell(tmp_path):
    table = read(write(tmp_path, 'a,b\r\n"uno\r\ndos",1\r\n"tres\ncuatro",2\r\n'))
    assert table["a"].tolist() == ["uno\r\ndos", "tres\ncuatro"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_understood(tmp_path, end):
    assert as_text(read(write(tmp_path, end.join(["a,b", "1,x", "2,y"])))) == [["1", "x"], ["2", "y"]]


def test_nul_bytes_are_removed_and_noted(tmp_path):
    path = write(tmp_path, b"a,b\nT\0axi,1\nHotel,2\n")
    assert read(path)["a"].tolist() == ["Taxi", "Hotel"]
    assert inspect_files(path).files[0].nul_bytes == 1


def test_a_file_with_one_column_keeps_its_commas(tmp_path):
    path = write(
        tmp_path, "Descripción\nTaxi, aeropuerto\nComida\nHotel, dos noches, centro\nRenta\nLuz\n", "textos.txt"
    )
    assert read(path)["Descripción"].tolist()[0] == "Taxi, aeropuerto"


@pytest.mark.parametrize("comma", [", ", ","])
@pytest.mark.parametrize("every", [2, 3, 5, 10, 300])
def test_one_column_of_descriptions_is_not_cut_where_most_have_one_comma(tmp_path, comma, every):
    lines = ["Taxi" if n % every == 0 else f"Papel bond{comma}carta" for n in range(300)]
    table = read(write(tmp_path, "\n".join(["Concepto", *lines])))
    if comma == ", " or every < 10:
        assert table["Concepto"].tolist() == lines


@pytest.mark.parametrize("title", ["Reporte, enero", "Reporte", "Reporte\n", "Reporte, enero\n", "Reporte\nEnero 2024"])
@pytest.mark.parametrize(
    "rows",
    [
        ["Taxi,1", "Hotel,2"],
        ["ENERO", "Taxi,1", "Hotel,2", "FEBRERO", "Taxi,3", "Hotel,4"],
        ["Taxi, 1", "Hotel, 2"],
        ["Taxi,1", "Hotel,2", "Nota: sin IVA"],
    ],
)
def test_a_table_of_two_columns_below_a_title_is_cut(tmp_path, title, rows):
    table = read(write(tmp_path, "\n".join([title, "Concepto,Tipo", *rows])))
    assert table.columns.tolist() == ["Concepto", "Tipo"]
    assert len(table) == len(rows)


def test_a_table_of_words_below_a_title_is_cut(tmp_path):
    for title in ("Reporte, enero\n", "Reporte"):
        table = read(write(tmp_path, f"{title}\nConcepto,Tipo\nTaxi,Viaje\nHotel,Viaje\nLuz,Oficina"))
        assert (table.columns.tolist(), len(table)) == (["Concepto", "Tipo"], 3)


@pytest.mark.parametrize("row", ["2024-01-05,Taxi,80", "2024-01-05,Taxi,N/A", "hoy,Taxi,80"])
def test_a_header_with_blanks_behind_its_commas_is_no_title(tmp_path, row):
    path = write(tmp_path, f"Fecha, Concepto, Importe\n{row}\nayer,Hotel,90\n2024-01-05,Luz,x\n")
    assert read(path).columns.tolist() == ["Fecha", "Concepto", "Importe"]


def test_decimal_commas_do_not_pass_for_the_delimiter(tmp_path):
    path = write(tmp_path, "Concepto;Importe\nTaxi;150,00\nHotel;1200,50\n")
    assert read(path)["Importe"].tolist() == ["150,00", "1200,50"]


def test_excels_own_delimiter_line_is_obeyed(tmp_path):
    assert as_text(read(write(tmp_path, "sep=;\na;b\n1;x\n"))) == [["1", "x"]]


def test_blanks_before_quotes_are_passed_over_where_the_whole_file_has_them(tmp_path):
    assert as_text(read(write(tmp_path, 'ID, Texto\n1, "uno, dos"\n2, "tres"\n'))) == [["1", "uno, dos"], ["2", "tres"]]


def test_a_cell_larger_than_a_block_is_read(tmp_path):
    big = "x" * 5_000_000
    assert len(read(write(tmp_path, f"a,b\n1,{big}\n2,y\n")).iloc[0, 1]) == 5_000_000


def test_a_quote_that_never_closes_is_a_character_where_the_rows_then_fit(tmp_path):
    path = write(tmp_path, 'a,b,c\n1,"5 pulgadas,x\n' + "2,tubo,y\n" * 5)
    table = read(path)
    assert len(table) == 6
    assert table.iloc[0, 1] == '"5 pulgadas'
    assert "line 2" in inspect_files(path).files[0].notes[0]


def test_a_quote_that_never_closes_is_located_where_other_quotes_have_a_meaning(tmp_path):
    path = write(tmp_path, 'a,b\n"uno, dos",x\n2,"y\n3,z\n')
    with pytest.raises(ReadError, match=r"line 3: a quote opens and never closes"):
        read(path)


def test_an_open_batch_can_be_abandoned(tmp_path):
    path = write(tmp_path, "a,b\n" + "1,x\n" * 500_000)
    stream = batches(path, rows=10)
    assert len(next(stream)) == 10
    stream.close()  # type: ignore[attr-defined]


def test_every_table_can_be_written_to_parquet(tmp_path):
    table = read(write(tmp_path, "a,b,c,d\n1,,x,\n2,,,\n"))
    assert pa.Table.from_pandas(table).num_rows == 2
    table.to_parquet(tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), table)


def test_a_tab_wins_over_a_comma_that_cuts_as_well(tmp_path):
    path = write(tmp_path, "id\tdesc, nota\n1\ta, b\n2\tc, d\n")
    assert as_text(read(path)) == [["1", "a, b"], ["2", "c, d"]]


TABLE = ["id,desc,amt,x", *(f"{n},c{n},{n}.5,z" for n in range(9))]
SPARSE = [
    ["Cliente:,,ACME,", "Periodo:,,enero,", ",,,"],
    ["Cliente:,,ACME,", "Periodo:,,2024-01-05,"],
    ["Cliente:,ACME,Periodo:,enero"],
    ["Cliente:,ACME,,", "Periodo:,enero,,"],
    ["LOGO,,Empresa,", ",,Reporte de gastos,", ",,Enero,", ",,,", ",,,"],
    ["Empresa S.A. de C.V.", "Reporte, enero, 2024, norte", ""],
    ["Empresa,S.A.,de C.V.,", ",,,"],
    [",,Enero,Febrero"],
]


@pytest.mark.parametrize("title", SPARSE)
def test_titles_with_gaps_or_keys_are_passed_over(tmp_path, title):
    path = write(tmp_path, "\n".join([*title, *TABLE]))
    table = read(path)
    assert (table.columns.tolist(), len(table)) == (["id", "desc", "amt", "x"], 9)
    assert inspect_files(path).files[0].notes == []


def test_a_title_of_keys_above_few_rows_is_passed_over(tmp_path):
    path = write(tmp_path, "Cliente:,ACME,\nPeriodo:,enero,\nid,desc,amt\n1,a,2\n2,b,3\n")
    assert read(path).columns.tolist() == ["id", "desc", "amt"]


@pytest.mark.parametrize(
    "lines",
    [
        [",Nombre,Edad", "A,Ana,N/A", "B,Luis,30", "C,Eva,31"],
        [",Nombre,Edad", "A,Ana,", "B,Eva,N/A", "B,Luis,30", "C,Eva,31"],
        ["Nombre,,Edad,", "Ana,x,30,1", "Luis,y,31,2"],
        ["Nombre,,Edad,", "Ana,x,y,z", "Luis,y,z,x", "Eva,z,x,y"],
        ["Nombre,,Edad,", "1,,2,", "Ana,x,y,z", "1,x,2,3", "1,x,2,3"],
        ["Nombre:,Edad:,Ciudad:", "Ana,30,CDMX", "Eva,31,CDMX"],
        ["Nombre,Edad,Ciudad", "", "Ana,30,CDMX", "Eva,31,CDMX"],
    ],
)
def test_a_header_with_gaps_above_its_rows_stays_the_header(tmp_path, lines):
    path = write(tmp_path, "\n".join(lines))
    assert found(path)["header_row"] == 0
    assert inspect_files(path).files[0].notes == []


@pytest.mark.parametrize(
    ("lines", "other"),
    [
        (["Cliente,ACME", "Periodo,enero", "", "concepto,importe", "renta,2.0", "luz,3.0"], 3),
        (["Cliente:,,ACME,", "", "a,b,c,d", "uno,dos,tres,x", "uno,dos,tres,x"], 2),
    ],
)
def test_a_header_that_may_be_a_title_is_noted(tmp_path, lines, other):
    described = inspect_files(write(tmp_path, "\n".join(lines))).files[0]
    assert described.notes == [f"row 0 was taken for the header, but row {other} may be it"]
