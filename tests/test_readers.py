"""What all formats share: faults with hints, the schema report, fingerprints, and the real nasty files."""

import hashlib
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from workbench.errors import ReadError, UsageError
from workbench.readers import SUFFIXES, amounts, batches, check, fingerprint, inspect_files, read

DATA = Path(__file__).parents[2] / "shared" / "data"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path, **options: object) -> ReadError:
    with pytest.raises(ReadError) as caught:
        read(path, **options)  # type: ignore[arg-type]
    assert caught.value.hint
    return caught.value


def test_a_missing_file_is_answered_with_the_nearest_name(tmp_path):
    write(tmp_path, "ventas_enero.csv", "a,b\n1,2\n")
    fault = refusal(tmp_path / "venta_enero.csv")
    assert "there is no file" in fault.message
    assert "did you mean 'ventas_enero.csv'?" in str(fault.hint)


def test_a_missing_folder_is_named(tmp_path):
    assert "there is no folder" in str(refusal(tmp_path / "enero" / "ventas.csv").hint)


def test_a_folder_is_refused_with_what_is_in_it(tmp_path):
    write(tmp_path, "ventas.csv", "a,b\n1,2\n")
    fault = refusal(tmp_path)
    assert "is a folder" in fault.message
    assert "ventas.csv" in str(fault.hint)


@pytest.mark.parametrize("name", ["ventas.docx", "ventas"])
def test_an_unknown_format_is_answered_with_those_that_are_known(tmp_path, name):
    fault = refusal(write(tmp_path, name, "x"))
    assert "is not supported" in fault.message
    assert all(suffix in str(fault.hint) for suffix in SUFFIXES)


@pytest.mark.parametrize("suffix", list(SUFFIXES))
def test_an_empty_file_is_refused_in_every_format(tmp_path, suffix):
    assert "is empty" in refusal(write(tmp_path, f"ventas{suffix}", "")).message


@pytest.mark.parametrize("suffix", list(SUFFIXES))
def test_blanks_alone_are_refused_in_every_format(tmp_path, suffix):
    assert refusal(write(tmp_path, f"ventas{suffix}", " \n\n  \n"))


@pytest.mark.parametrize("content", ["Fecha,Concepto\n", "Fecha,Concepto", "Reporte\n\nFecha,Concepto\n,\n"])
def test_a_header_without_rows_is_refused(tmp_path, content):
    assert "has a header but no rows" in refusal(write(tmp_path, "ventas.csv", content)).message


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04" + b"\0" * 50, "ZIP archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 50, "old or an encrypted Excel workbook"),
        (b"\x1f\x8b\x08\x00" + b"\0" * 50, "gzip"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><html>", "HTML"),
        (b"<?xml version='1.0'?><a/>", "XML"),
        (bytes(range(256)) * 40, "not text"),
        (b"a,b\n" + b"\0" * 500, "not text"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl"])
def test_what_is_no_text_is_refused(tmp_path, suffix, content, what):
    assert what in refusal(write(tmp_path, f"ventas{suffix}", content)).message


def test_an_encoding_that_does_not_fit_is_refused_with_the_byte(tmp_path):
    path = write(tmp_path, "ventas.csv", "Concepto,n\nCafé,1\n".encode("cp1252"))
    assert refusal(path, encoding="utf-8").message == "ventas.csv is not utf-8: byte 0xe9 is not."
    assert "there is no encoding 'utf8000'" in refusal(path, encoding="utf8000").message
    assert "not an encoding of text" in refusal(path, encoding="base64").message


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n"])
def test_a_delimiter_that_is_none_is_refused(tmp_path, delimiter):
    assert "cannot be a delimiter" in refusal(write(tmp_path, "a.csv", "a,b\n1,2\n"), delimiter=delimiter).message


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = write(tmp_path, "ventas.csv", "a,b\n1,2\n")
    path.chmod(0)
    assert "may not be read" in refusal(path).message


def test_a_file_that_goes_away_while_it_is_read_is_named(tmp_path):
    path = write(tmp_path, "ventas.csv", "a,b\n1,2\n")
    stream = batches(path)
    path.unlink()
    with pytest.raises(ReadError, match="is gone"):
        next(stream)


def test_the_faults_of_a_file_show_at_the_call_and_not_at_the_first_batch(tmp_path):
    with pytest.raises(ReadError):
        batches(tmp_path / "x.csv")
    with pytest.raises(UsageError):
        batches(write(tmp_path, "a.csv", "a,b\n1,2\n"), rows=0)


def test_check_looks_at_a_file_without_reading_it(tmp_path):
    check(write(tmp_path, "ventas.csv", "a,b\n1,2\n"))
    for path in (tmp_path / "no.csv", write(tmp_path, "a.xlt", "x"), write(tmp_path, "b.csv", "")):
        with pytest.raises(ReadError):
            check(path)


def test_a_fingerprint_is_the_sha256_of_the_bytes(tmp_path):
    content = b"a,b\n1,2\n" * 100_000
    assert fingerprint(write(tmp_path, "ventas.csv", content)) == hashlib.sha256(content).hexdigest()


def test_a_schema_tells_how_a_file_was_read_and_what_its_columns_hold(tmp_path):
    text = "Concepto;Fecha;Importe;Piezas;Nota\n" + "Taxi;05/01/2024;80.5;1;\nHotel;31/12/2024;;2;\nTaxi;1/2/24;3;2;\n"
    path = write(tmp_path, "ventas.csv", text.encode("cp1252"))
    schema = inspect_files(path).files[0]
    assert (schema.path, schema.format, schema.bytes, schema.rows) == (str(path), "csv", len(text), 3)
    assert schema.options == {"encoding": "utf-8", "delimiter": ";", "sheet": None, "header_row": 0}
    assert [(column.name, column.type, column.nulls, column.distinct) for column in schema.columns] == [
        ("Concepto", "text", 0, 2),
        ("Fecha", "date", 0, 3),
        ("Importe", "number", 1, 2),
        ("Piezas", "integer", 0, 2),
        ("Nota", "empty", 3, 0),
    ]
    assert schema.columns[0].samples == ["Taxi", "Hotel"]


@pytest.mark.parametrize(
    "value",
    [
        "2024-01-05",
        "2024-01-05T10:30:00Z",
        "2024/1/5",
        "05-01-2024",
        "5.1.2024",
        "3/14/2025 1:20",
        "2012-11-06 00:00:00 GMT",
        "5/1/24 3:05 p.m.",
    ],
)
def test_dates_are_recognised_but_stay_text(tmp_path, value):
    path = write(tmp_path, "a.csv", f"Fecha;n\n{value};1\n")
    assert inspect_files(path).files[0].columns[0].type == "date"
    assert read(path)["Fecha"].tolist() == [value]


@pytest.mark.parametrize(
    "value", ["2024-13-05", "10.20.30", "99/99/2024", "192.168.1.1", "01-800-123", "2024-01-05 nota"]
)
def test_what_only_resembles_a_date_is_text(tmp_path, value):
    assert inspect_files(write(tmp_path, "a.csv", f"Fecha;n\n{value};1\n")).files[0].columns[0].type == "text"


def test_distinct_values_are_counted_across_batches(tmp_path):
    path = write(tmp_path, "a.csv", "n,t\n" + "".join(f"{n},x{n % 1000}\n" for n in range(120_000)))
    assert [column.distinct for column in inspect_files(path).files[0].columns] == [120_000, 1_000]


def test_files_are_compared_column_by_column(tmp_path):
    first = write(tmp_path, "a.csv", "id,Importe,Nota,Clave\n1,2,x,5\n")
    second = write(tmp_path, "b.csv", "id,Importe,Extra,Clave\n1,2.5,y,x5\n")
    report = inspect_files([first, second])
    assert [column.column_name for column in report.common_columns] == ["id", "Importe", "Clave"]
    assert [column.column_name for column in report.optional_columns] == ["Nota", "Extra"]
    assert [column.column_name for column in report.type_conflicts] == ["Clave"]
    assert not report.has_compatible_schema
    note = report.optional_columns[0]
    assert (note.present_in_files, note.missing_in_files, note.presence_percentage) == (
        [str(first)],
        [str(second)],
        50.0,
    )


def test_a_file_among_several_that_cannot_be_read_is_recorded(tmp_path):
    good = write(tmp_path, "a.csv", "id,Importe\n1,2\n")
    report = inspect_files([good, tmp_path / "no.csv", write(tmp_path, "b.jsonl", "x\n")])
    assert [file.fault is None for file in report.files] == [True, False, False]
    assert "line 1" in report.faults[str(tmp_path / "b.jsonl")]
    assert len(report.common_columns) == 2
    with pytest.raises(ReadError):
        inspect_files([tmp_path / "no.csv"])
    with pytest.raises(UsageError):
        inspect_files([])


def test_a_report_is_a_frame_and_plain_data(tmp_path):
    table = pd.DataFrame(
        {"Fecha": pd.to_datetime(["2024-01-05"]), "n": [1], "ok": [True], "x": [0.5], "t": ["á" * 500]}
    )
    table.to_excel(tmp_path / "a.xlsx", index=False)
    report = inspect_files(tmp_path / "a.xlsx")
    assert report.to_frame()["type"].tolist() == ["date", "integer", "boolean", "number", "text"]
    plain = json.loads(json.dumps(report.to_dict()))["files"][0]
    assert [column["samples"][0] for column in plain["columns"][:4]] == ["2024-01-05T00:00:00", 1, True, 0.5]
    assert len(plain["columns"][4]["samples"][0]) == 200
    assert inspect_files([tmp_path / "a.xlsx", tmp_path / "no.csv"]).to_frame()["path"].nunique() == 1


def test_options_that_were_found_read_the_same_table_when_given(tmp_path):
    path = write(tmp_path, "a.csv", "Título\n\nDescripción|n\nCafé|1\n".encode("cp1252"))
    pd.testing.assert_frame_equal(read(path, **inspect_files(path).files[0].options), read(path))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1234.5", 1234.5),
        ("$ 1,234.50 MXN", 1234.5),
        ("1.234,50 €", 1234.5),
        ("1,234", 1234.0),
        ("1,5", 1.5),
        ("1.234.567", 1234567.0),
        ("(80)", -80.0),
        ("80-", -80.0),
        ("-$80", -80.0),
    ],
)
def test_amounts_are_understood_as_people_write_them(written, value):
    assert amounts(pd.Series([written])).tolist() == [value]


@pytest.mark.parametrize("written", ["", "s/n", "12/05/2024", "1,23,4", "1-2", None])
def test_what_is_no_amount_is_null(written):
    assert amounts(pd.Series([written, "1"])).isna().tolist() == [True, False]


def test_amounts_of_numbers_are_the_numbers():
    assert amounts(pd.Series([1, None, 3], dtype="Int64")).fillna(-1).tolist() == [1.0, -1.0, 3.0]


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
@pytest.mark.parametrize("folder", ["compranet_contracts", "sat_claveprodserv", "tabular"])
def test_real_tables_are_read_whole(folder):
    for path in sorted((DATA / folder).glob("*.csv")):
        if path.stat().st_size < 2_000_000:
            plain = pd.read_csv(
                path, dtype=str, keep_default_na=False, encoding_errors="replace", skip_blank_lines=True
            )
            assert read(path).shape == plain.shape, path.name
