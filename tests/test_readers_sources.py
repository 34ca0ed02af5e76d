"""Files, folders, patterns, archives and URLs as one list of sources, and their rows as one stream of batches."""

import hashlib
import os
import socket
import sys
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pandas as pd
import pytest

from workbench.cli import main
from workbench.errors import ReadError, UsageError
from workbench.readers import find_sources, read, read_sources

CSV = "Concepto,Importe\nTaxi,80\nHotel,900\n"


def fill(folder: Path, **files: str) -> Path:
    """Write files whose names are spelled a__b_csv for a/b.csv."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def names(found) -> list[str]:
    return [source.name for source in found.sources]


def rows_of(batches) -> list[tuple[str, int, str]]:
    return [
        (file, row, text)
        for batch in batches
        for file, row, text in zip(batch.source_file, batch.source_row, batch.frame["Concepto"], strict=True)
    ]


def test_a_folder_gives_all_below_it_in_the_order_people_use(tmp_path):
    fill(tmp_path, mes10_csv=CSV, mes2_csv=CSV, a__Mes1_jsonl="{}", nota_pdf="x")
    (tmp_path / "~$mes2.xlsx").write_text("")
    found = find_sources([str(tmp_path)])
    assert names(found) == ["a/Mes1.jsonl", "mes2.csv", "mes10.csv"]
    assert [source.kind for source in found.sources] == ["jsonl", "csv", "csv"]
    assert found.faults == ()
    assert found.passed_over == ("nota.pdf",)
    assert found.sources[1].size == len(CSV)


def test_the_runs_inside_a_folder_are_no_input_unless_they_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    fill(tmp_path, a_csv=CSV)
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "classified.csv").write_text(CSV)
    for given in ("", "**/*.csv", "*"):
        assert [source.name for source in find_sources([str(tmp_path / given)]).sources] == ["a.csv"]
    for given, name in {"runs/one": "classified.csv", "runs/*/*.csv": "one/classified.csv"}.items():
        assert [source.name for source in find_sources([str(tmp_path / given)]).sources] == [name]


def test_patterns_files_and_folders_mix_and_nothing_is_read_twice(tmp_path, monkeypatch):
    fill(tmp_path, a__x_csv=CSV, a__b__y_csv=CSV, z_csv=CSV)
    monkeypatch.chdir(tmp_path)
    assert names(find_sources(["a/*.csv"])) == ["x.csv"]
    assert names(find_sources(["a/**/*.csv"])) == ["b/y.csv", "x.csv"]
    assert names(find_sources(["*"])) == ["a/b/y.csv", "a/x.csv", "z.csv"]
    assert names(find_sources(["z.csv", "a", "./z.csv", str(tmp_path / "a/x.csv")])) == ["z.csv", "b/y.csv", "x.csv"]


def test_files_of_one_name_in_two_folders_are_told_apart(tmp_path, monkeypatch):
    fill(tmp_path, a__x_csv=CSV, b__x_csv=CSV)
    monkeypatch.chdir(tmp_path)
    assert names(find_sources(["a/x.csv", "b/x.csv"])) == ["a/x.csv", "b/x.csv"]
    assert names(find_sources(["a", "b"])) == ["a/x.csv", "b/x.csv"]
    assert names(find_sources(["a", str(tmp_path / "b" / "x.csv")])) == ["a/x.csv", "b/x.csv"]


def test_no_more_of_a_path_is_named_than_tells_files_apart(tmp_path):
    fill(tmp_path, p__a__x_csv=CSV, q__a__x_csv=CSV, q__a__y_csv=CSV)
    given = [str(tmp_path / "p" / "a" / "x.csv"), str(tmp_path / "q" / "a")]
    assert names(find_sources(given)) == ["p/a/x.csv", "q/a/x.csv", "y.csv"]
    with zipfile.ZipFile(tmp_path / "p" / "z.zip", "w") as archive:
        archive.writestr("x.csv", CSV)
    (tmp_path / "q" / "z.zip").write_bytes((tmp_path / "p" / "z.zip").read_bytes())
    given = [str(tmp_path / folder / "z.zip") for folder in "pq"]
    assert names(find_sources(given)) == ["p/z.zip/x.csv", "q/z.zip/x.csv"]
    fill(tmp_path / "r", x_csv=CSV)
    given = [str(tmp_path / each) for each in ("p", "q/a", "r")]
    assert names(find_sources(given)) == ["a/x.csv", "z.zip/x.csv", "q/a/x.csv", "y.csv", f"{tmp_path.name}/r/x.csv"]


def test_files_can_be_left_out_by_name_or_pattern(tmp_path):
    fill(tmp_path, a_csv=CSV, b_csv=CSV, viejo__c_csv=CSV, viejo__d_csv=CSV)
    assert names(find_sources([str(tmp_path)], exclude=["viejo/*", "b.csv"])) == ["a.csv"]
    assert names(find_sources([str(tmp_path)], exclude=["d.csv"])) == ["a.csv", "b.csv", "viejo/c.csv"]


def test_an_input_that_is_left_out_as_a_whole_is_no_fault_where_others_are_there(tmp_path):
    fill(tmp_path, a_csv=CSV, b_csv=CSV)
    both = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    found = find_sources(both, exclude=["a.csv"])
    assert (names(found), found.faults) == (["b.csv"], ())
    assert ["what fits *.csv is left out" in fault.hint for fault in find_sources(both, exclude=["*.csv"]).faults] == [
        True,
        True,
    ]


def test_what_was_named_and_cannot_be_read_is_a_fault_with_a_hint(tmp_path):
    fill(tmp_path, ventas_csv=CSV, nota_pdf="x", solo__nota_pdf="x")
    (tmp_path / "vacia").mkdir()
    given = ["venta.csv", "nota.pdf", "vacia", "solo", "*.parquet"]
    found = find_sources([str(tmp_path / each) for each in given])
    assert found.sources == ()
    assert [fault.reason.replace(f"{tmp_path}/", "") for fault in found.faults] == [
        "there is no file venta.csv.",
        "nota.pdf: the format .pdf is not supported.",
        "vacia holds no file that can be read.",
        "solo holds no file that can be read.",
        "no file fits *.parquet.",
    ]
    assert "did you mean 'ventas.csv'?" in found.faults[0].hint
    assert all(fault.hint for fault in found.faults)


def test_a_link_that_leads_nowhere_is_a_fault_and_the_others_are_read(tmp_path):
    fill(tmp_path, a_csv=CSV)
    (tmp_path / "b.csv").symlink_to(tmp_path / "gone.csv")
    found = find_sources([str(tmp_path)])
    assert names(found) == ["a.csv"]
    assert found.faults[0].name == "b.csv"


def test_a_linked_folder_is_looked_into_once_and_no_link_leads_in_a_circle(tmp_path):
    fill(tmp_path, in__a_csv=CSV, in__sub__b_csv=CSV, far__c_csv=CSV, far__deep__d_csv=CSV)
    for link, target in {
        "in/linked": "far",
        "in/again": "far",
        "in/sub/back": "in",
        "far/deep/home": "far",
        "far/other": "in",
        "in/lost": "nowhere",
    }.items():
        (tmp_path / link).symlink_to(tmp_path / target)
    found = find_sources([str(tmp_path / "in")])
    read_from = sorted(os.path.realpath(source.path)[len(str(tmp_path)) + 1 :] for source in found.sources)
    assert read_from == ["far/c.csv", "far/deep/d.csv", "in/a.csv", "in/sub/b.csv"]
    assert {"a.csv", "sub/b.csv"} < set(names(found))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")
def test_a_pipe_a_device_or_a_socket_is_refused_at_once_and_left_alone_in_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, a_csv=CSV, x_csv__b_csv=CSV)
    os.mkfifo("pipe.csv")
    os.mkfifo("pipe.zip")
    Path("link.csv").symlink_to("pipe.csv")
    Path("zero.csv").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.csv")
    for name in ("pipe.csv", "pipe.zip", "link.csv", "zero.csv", "socket.csv", "/dev/null"):
        (fault,) = find_sources([name]).faults
        assert fault.reason == f"{name} is not a regular file." and fault.hint
        if not name.endswith("zip"):
            with pytest.raises(ReadError, match="is not a regular file"):
                read(name)
    assert main(["inspect", "pipe.csv"]) == main(["preview", "pipe.csv", "--columns", "a"]) == 1
    assert capsys.readouterr().err.count("error: pipe.csv is not a regular file.") == 2
    found = find_sources(["."])
    assert (names(found), found.faults) == (["a.csv", "x.csv/b.csv"], ())
    assert set(found.passed_over) == {"pipe.csv", "pipe.zip", "link.csv", "zero.csv", "socket.csv"}
    assert names(find_sources(["x.csv"])) == ["b.csv"]
    with pytest.raises(ReadError, match=r"x\.csv is a folder"):
        read("x.csv")


def test_a_hint_names_neighbouring_folders_and_nothing_hidden(tmp_path):
    fill(tmp_path, facturas__a_csv=CSV, facturas___b_csv=CSV, nota_txt="x")
    (tmp_path / "~$nota.xlsx").write_text("")
    assert "did you mean 'facturas'?" in find_sources([str(tmp_path / "factura")]).faults[0].hint
    assert "there are facturas, nota.txt." in find_sources([str(tmp_path / "mm")]).faults[0].hint
    with pytest.raises(ReadError, match=r"is a folder.* there is a\.csv\."):
        read(tmp_path / "facturas")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may look everywhere")
def test_a_folder_that_may_not_be_looked_into_is_a_fault(tmp_path):
    fill(tmp_path, a_csv=CSV, b__c_csv=CSV)
    (tmp_path / "b").chmod(0)
    found = find_sources([str(tmp_path)])
    (tmp_path / "b").chmod(0o700)
    assert names(found) == ["a.csv"]
    assert "may not be looked into" in found.faults[0].reason


def test_sources_with_equal_columns_share_batches_and_every_row_knows_its_place(tmp_path):
    fill(tmp_path, a_csv=CSV, b_csv=CSV, c_csv="Concepto,Otro\nLona,x\n")
    batches = list(read_sources(find_sources([str(tmp_path)]).sources, rows=3))
    assert [len(batch.frame) for batch in batches] == [3, 1, 1]
    assert rows_of(batches) == [
        ("a.csv", 1, "Taxi"),
        ("a.csv", 2, "Hotel"),
        ("b.csv", 1, "Taxi"),
        ("b.csv", 2, "Hotel"),
        ("c.csv", 1, "Lona"),
    ]
    assert [batch.finished for batch in batches] == [("a.csv",), ("b.csv",), ("c.csv",)]
    assert [batch.frame.index[0] for batch in batches] == [0, 3, 4]
    assert batches[-1].bytes_done == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert list(batches[-1].frame.columns) == ["Concepto", "Otro"]


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_batches_of_any_size_hold_the_same_rows(tmp_path, rows):
    for number in range(5):
        text = "Concepto,n\n" + "".join(f"c{number}-{row},{row}\n" for row in range(number * 10 + 1))
        fill(tmp_path, **{f"f{number}_csv": text})
    sources = find_sources([str(tmp_path)]).sources
    batches = list(read_sources(sources, rows=rows))
    assert all(len(batch.frame) <= rows for batch in batches)
    assert rows_of(batches) == [(f"f{n}.csv", row + 1, f"c{n}-{row}") for n in range(5) for row in range(n * 10 + 1)]
    assert [name for batch in batches for name in batch.finished] == [source.name for source in sources]


def test_a_source_that_fails_is_told_and_the_others_go_on(tmp_path):
    fill(tmp_path, a_csv=CSV, b_jsonl='{"Concepto": "x"}\nbroken\n', c_csv=CSV)
    sources, faults = find_sources([str(tmp_path)]).sources, []
    batches = list(read_sources(sources, on_fault=faults.append))
    assert [fault.name for fault in faults] == ["b.jsonl"]
    assert "line 2" in faults[0].reason
    assert len(rows_of(batches)) == 4
    assert batches[-1].bytes_done == sum(source.size for source in sources)
    with pytest.raises(ReadError, match=r"b\.jsonl, line 2"):
        list(read_sources(sources))


def test_a_file_that_goes_away_or_changes_meanwhile_is_a_fault_of_its_own(tmp_path):
    fill(tmp_path, a_csv=CSV, b_csv=CSV, c_csv=CSV)
    sources, faults = find_sources([str(tmp_path)]).sources, []
    (tmp_path / "a.csv").unlink()
    with (tmp_path / "b.csv").open("a") as stream:
        stream.write("Lona,3\n")
    batches = list(read_sources(sources, on_fault=faults.append))
    assert "there is no file" in faults[0].reason
    assert "changed while it was read" in faults[1].reason
    assert faults[1].rows == 3
    assert batches[-1].finished[-1] == "c.csv"


def test_an_invoice_or_an_archive_that_changes_meanwhile_is_a_fault_too(tmp_path):
    concept = '<c:Concepto Descripcion="Taxi" Cantidad="1" ValorUnitario="1" Importe="1"/>'
    text = f'<c:Comprobante xmlns:c="http://www.sat.gob.mx/cfd/4" Version="4.0"><c:Conceptos>{concept}</c:Conceptos>'
    (tmp_path / "a.xml").write_text(text + "</c:Comprobante>")
    for name in ("b.zip", "c.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("x.csv", CSV)
    sources, faults = find_sources([str(tmp_path)]).sources, []
    for name in ("a.xml", "b.zip"):
        os.utime(tmp_path / name, (1, 1))
    batches = list(read_sources(sources, on_fault=faults.append))
    assert [(fault.name, "changed while it was read" in fault.reason) for fault in faults] == [
        ("a.xml", True),
        ("b.zip/x.csv", True),
    ]
    assert batches[-1].finished[-1] == "c.zip/x.csv"


def test_a_batch_of_no_rows_is_refused():
    with pytest.raises(UsageError):
        read_sources([], rows=0)


def test_members_of_an_archive_are_sources_with_a_fingerprint_of_their_own(tmp_path):
    with zipfile.ZipFile(tmp_path / "ene.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/ventas.csv", CSV)
        archive.writestr("b.csv", CSV.replace("Taxi", "Lona"))
        archive.writestr("__MACOSX/b.csv", "x")
    found = find_sources([str(tmp_path)])
    assert names(found) == ["ene.zip/a/ventas.csv", "ene.zip/b.csv"]
    assert found.sources[0].size == len(CSV)
    assert [row[::2] for row in rows_of(read_sources(found.sources))][1::2] == [
        ("ene.zip/a/ventas.csv", "Hotel"),
        ("ene.zip/b.csv", "Hotel"),
    ]
    assert found.sources[0].fingerprint() == hashlib.sha256(CSV.encode()).hexdigest()


@pytest.fixture
def bucket():
    system = fsspec.filesystem("memory")
    system.pipe({"/cubo/ene/a.csv": CSV.encode(), "/cubo/b.csv": CSV.encode(), "/cubo/nota.txt.bak": b"x"})
    yield "memory://cubo"
    system.rm("/cubo", recursive=True)


def test_folders_patterns_and_files_behind_urls_are_read_too(bucket):
    found = find_sources([bucket])
    assert names(found) == ["b.csv", "ene/a.csv"]
    assert len(rows_of(read_sources(found.sources))) == 4
    assert names(find_sources([f"{bucket}/*.csv"])) == ["b.csv"]
    assert find_sources([f"{bucket}/b.csv"]).sources[0].modified > 0
    assert "there is nothing at" in find_sources([f"{bucket}/c.csv"]).faults[0].reason
    pd.testing.assert_frame_equal(read(f"{bucket}/b.csv"), next(read_sources(found.sources[:1])).frame)


def test_a_file_of_a_web_server_is_read_and_its_refusal_is_a_fault(tmp_path):
    fill(tmp_path, a_csv=CSV)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("c.csv", CSV)
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        found = find_sources([f"{url}/a.csv", f"{url}/b.zip", f"{url}/gone.csv"])
        rows = rows_of(read_sources(found.sources))
        server.shutdown()
    assert names(found) == ["a.csv", "b.zip/c.csv"]
    assert len(rows) == 4
    assert "gone.csv" in found.faults[0].name


def test_an_unknown_kind_of_url_is_a_fault():
    assert "cannot read" in find_sources(["ftpx://a/b.csv"]).faults[0].reason
