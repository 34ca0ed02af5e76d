"""What many sources hold, by their first rows: columns across files, equal files, faults, and a cache."""

import json
import os
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from workbench.cli import main
from workbench.errors import UsageError
from workbench.readers import find_sources, inspect_sources
from workbench.readers.inspection import whole_lines
from workbench.runs import open_store

INVOICE = (
    '<cfdi:Comprobante xmlns:cfdi="http://www.sat.gob.mx/cfd/4" Version="4.0" Folio="{}" Total="10"><cfdi:Conceptos>'
    '<cfdi:Concepto Descripcion="Renta" Importe="10"/></cfdi:Conceptos></cfdi:Comprobante>'
)


class Kept(dict):
    """A cache in memory that counts what it was asked."""

    hits = 0

    def get(self, keys):
        found = {key: self[key] for key in keys if key in self}
        self.hits += len(found)
        return found

    def put(self, schemas):
        self.update(json.loads(json.dumps(schemas)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("Folio,Importe,Nota\n1,2,x\n2,3,y\n")
    (tmp_path / "copia de a.csv").write_text("Folio,Importe,Nota\n1,2,x\n2,3,y\n")
    (tmp_path / "b.csv").write_text("Folio,Importe\n1,s/n\n")
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "nota.pdf").write_text("%PDF")
    (tmp_path / "facturas").mkdir()
    for number in range(30):
        text = INVOICE.format(number) if number else "<roto"
        (tmp_path / "facturas" / f"{number}.xml").write_text(text)
    return tmp_path


def inspect(*paths: Path | str, **options):
    return inspect_sources(find_sources([str(path) for path in paths]), **options)


def test_a_folder_is_described_file_by_file_and_its_invoices_together(folder):
    report = inspect(folder)
    found = [(file.path, file.files, file.rows, len(file.columns)) for file in report.readable]
    assert found == [
        ("a.csv", 1, 2, 3),
        ("b.csv", 1, 1, 2),
        ("copia de a.csv", 1, 2, 3),
        ("facturas/*.xml", 29, 29, 60),
    ]
    assert list(report.faults) == ["c.json", "facturas/0.xml"]
    assert report.duplicates == [["a.csv", "copia de a.csv"]]
    assert report.passed_over == ["nota.pdf"]
    shares = {column.column_name: round(column.presence_percentage, 1) for column in report.compatibility}
    assert (shares["Folio"], shares["Importe"], shares["Nota"], shares["Total"]) == (100.0, 100.0, 6.2, 90.6)
    assert [column.column_name for column in report.type_conflicts] == ["Folio", "Importe"]
    assert report.readable[0].modified[:2] == "20"


def test_a_notebook_shows_files_columns_and_what_is_wrong_as_tables(folder):
    files, columns, of_each = (frame.set_index(frame.columns[0]) for frame in inspect(folder).frames())
    assert list(files["files"]) == [1, 1, 1, 29, 1, 1, 1]
    assert files.loc["copia de a.csv", ["rows", "columns", "bytes"]].tolist() == [2, 3, 31]
    assert files.loc["copia de a.csv", "remark"] == "the same bytes as a.csv"
    assert files.loc["a.csv", "remark"] == "the same bytes as copia de a.csv"
    assert files.loc["c.json", "remark"].startswith("c.json ") and "passed over" in files.loc["nota.pdf", "remark"]
    assert columns.loc["Folio", ["presence", "types", "conflict"]].tolist() == [100, ["integer", "text"], True]
    assert columns.loc["Nota", "missing_in"] == ["b.csv", "facturas/*.xml"]
    assert set(of_each.index) < set(files.index)
    assert [len(frame) for frame in inspect(folder / "a.csv").frames()] == [3]


def test_only_the_first_rows_of_a_long_file_are_looked_at(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("n,t\n" + "".join(f'{n},"x\ny"\n' for n in range(100_000)) + "mal,x\n")
    (schema,) = inspect(path, rows=500).files
    assert (schema.rows, schema.rows_looked_at, schema.columns[0].type) == (None, 500, "integer")
    assert schema.columns[0].distinct == 500
    assert 80_000 < schema.rows_estimated < 120_000
    (schema,) = inspect(path, rows=None).files
    assert (schema.rows, schema.rows_looked_at, schema.columns[0].type) == (100_001, None, "text")


def test_the_first_rows_of_a_sheet_tell_its_columns(tmp_path):
    pd.DataFrame({"n": range(3_000), "t": "x"}).to_excel(tmp_path / "a.xlsx", index=False)
    (schema,) = inspect(tmp_path / "a.xlsx").files
    assert (schema.rows_looked_at, schema.columns[0].distinct) == (1_000, 1_000)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_long_file_is_cut_between_two_rows_in_every_encoding(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_text("n,t\n" + "".join(f'{n},"ñ\ny"\n' for n in range(90_000)), encoding=encoding)
    (schema,) = inspect(path).files
    assert [column.type for column in schema.columns] == ["integer", "text"]
    assert schema.columns[1].samples == ["ñ\ny"]


def test_a_text_whose_quotes_never_close_is_cut_all_the_same():
    assert whole_lines(b'a,"b\n' * 3) == b'a,"b\n' * 2
    assert whole_lines(b'"' + b"x\n" * 2_000)


def test_what_was_seen_before_is_not_read_again_until_it_changes(folder):
    cache = Kept()
    first = inspect(folder, cache=cache)
    assert (cache.hits, len(cache)) == (0, 3)  # what had a fault is looked at again
    assert inspect(folder, cache=cache).to_dict() == first.to_dict()
    assert cache.hits == 3
    (folder / "b.csv").write_text("Folio,Importe\n1,2\n")
    os.utime(folder / "a.csv", (1, 1))
    changed = inspect(folder, cache=cache)
    assert cache.hits == 4
    assert changed.readable[1].columns[1].type == "integer"
    inspect(folder, cache=cache, rows=1)
    inspect(folder, cache=cache, encoding="cp1252")
    assert cache.hits == 4


def test_the_database_keeps_what_was_seen(folder):
    with open_store(folder / "runs") as store:
        first = inspect(folder / "*.csv", cache=store.schema_cache())
        (folder / "a.csv").write_bytes((folder / "a.csv").read_bytes().replace(b"x", b"z"))
        os.utime(folder / "a.csv", (1, 1))
    with open_store(folder / "runs") as store:
        again = inspect(folder / "*.csv", cache=store.schema_cache())
    assert again.readable[0].columns[2].samples == ["z", "y"]
    assert again.readable[1:] == first.readable[1:]


def test_files_without_a_common_column_are_said_to_have_none(tmp_path, capsys):
    for name in "abcd":
        (tmp_path / f"{name}.csv").write_text(f"{name}1,{name}2\n1,2\n")
    report = inspect(tmp_path)
    assert (report.common_columns, len(report.optional_columns), report.has_compatible_schema) == ([], 8, False)
    main(["inspect", str(tmp_path)])
    assert "no column in common" in capsys.readouterr().out
    for name, value in {"e": "1", "f": "dos", "g": "dos", "h": "dos", "i": "dos"}.items():
        (tmp_path / f"{name}.csv").write_text(f"e1\n{value}\n")
    main(["inspect", str(tmp_path)])
    told = capsys.readouterr().out
    assert "no column in common" in told and "e1: integer in e.csv; text in f.csv, g.csv, h.csv and 1 more" in told
    assert "f.csv = g.csv = h.csv and 1 more" in told


def test_a_file_that_goes_away_between_finding_and_looking_is_a_fault(folder):
    found = find_sources([str(folder)])
    (folder / "a.csv").unlink()
    report = inspect_sources(found)
    assert "a.csv" in report.faults
    assert report.duplicates == []


def test_nothing_is_seen_of_no_rows(folder):
    with pytest.raises(UsageError):
        inspect(folder, rows=0)


def test_the_command_groups_thousands_of_invoices_and_names_what_is_wrong(tmp_path, folder, capsys, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "none"))
    with zipfile.ZipFile(folder / "enero.zip", "w") as archive:
        for number in range(2_000):
            archive.writestr(f"{number}.xml", INVOICE.format(number))
            archive.writestr(f"{number}.pdf", "x")
    assert main(["inspect", str(folder), "--exclude", "facturas/*", "--exclude", "c.json"]) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) < 50
    for part in (
        "2,003 files can be read, 0 cannot",
        "enero.zip/*.xml  2,000  cfdi",
        "a.csv = copia de a.csv",
        "2,001 .pdf",
        "of the first 1,000 rows",
        "Importe: integer in a.csv, copia de a.csv; number in enero.zip/*.xml; text in b.csv",
    ):
        assert part in printed
    assert not (tmp_path / "none").exists()
    assert main(["inspect", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["total_files"], len(found["files"])) == (2_034, 7)


def test_all_invoices_of_a_folder_are_one_line_whatever_stands_between_them(tmp_path, capsys):
    for name in ("enero/1", "enero/a/2", "enero/a/3", "enero/b", "febrero/1", "febrero/4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.xml").write_text(INVOICE.format(name))
    found = {file.path: file.files for file in inspect(tmp_path / "enero").files}
    assert found == {"*.xml": 2, "a/*.xml": 2}
    found = {file.path: file.files for file in inspect(tmp_path / "enero", tmp_path / "febrero").files}
    assert found == {f"{tmp_path}/enero/*.xml": 2, "a/*.xml": 2, f"{tmp_path}/febrero/*.xml": 2}
    main(["inspect", str(tmp_path / "febrero")])
    assert capsys.readouterr().out.startswith("*.xml: 2 rows, 60 columns (2 files)\n")
    main(["inspect", str(tmp_path / "enero" / "b.xml")])
    assert capsys.readouterr().out.startswith("b.xml: 1 rows, 60 columns\n")


def test_how_many_rows_a_long_file_has_is_told_as_an_estimate_which_a_long_cell_does_not_blow_up(tmp_path, capsys):
    (tmp_path / "long.csv").write_text("a,b\n" + "1,x\n" * 300_000)
    main(["inspect", str(tmp_path / "long.csv")])
    assert capsys.readouterr().out.startswith("long.csv: about 299,999 rows, 2 columns (")
    (tmp_path / "wide.csv").write_text(f"a,b\n1,x\n2,{'y' * 5_000_000}\n3,z\n")
    (schema,) = inspect(tmp_path / "wide.csv").files
    assert (schema.rows, schema.rows_estimated) == (3, None)


def test_the_command_refuses_a_folder_without_a_table(tmp_path, capsys):
    assert main(["inspect", str(tmp_path)]) == 1
    assert "holds no file that can be read" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "no.csv"), str(tmp_path)]) == 1
