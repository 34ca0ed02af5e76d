"""ZIP archives, honest and hostile: every member is read or refused for a reason of its own."""

import io
import stat
import struct
import time
import zipfile
from pathlib import Path

import pytest

from workbench.cli import main
from workbench.readers import archives, find_sources, read_sources

CSV = "Concepto,n\nTaxi,1\nHotel,2\n"


def pack(*members: tuple[str | zipfile.ZipInfo, str | bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return held.getvalue()


def found_in(folder: Path, data: bytes):
    (folder / "a.zip").write_bytes(data)
    return find_sources([str(folder / "a.zip")])


def names(found) -> list[str]:
    return [source.name for source in found.sources]


def reasons(found) -> dict[str, str]:
    assert all(fault.hint for fault in found.faults)
    return {fault.name: fault.reason for fault in found.faults}


def concepts(found) -> tuple[list[str], dict[str, str]]:
    faults: dict[str, str] = {}
    batches = list(read_sources(found.sources, on_fault=lambda fault: faults.update({fault.name: fault.reason})))
    return [text for batch in batches for text in batch.frame["Concepto"]], faults


def test_archives_in_archives_are_read_down_to_a_limit(tmp_path):
    third = pack(("c.csv", CSV), ("fourth.zip", pack(("d.csv", CSV))))
    found = found_in(tmp_path, pack(("second.zip", pack(("b.csv", CSV), ("third.zip", third))), ("a.csv", CSV)))
    assert names(found) == ["a.zip/a.csv", "a.zip/second.zip/b.csv", "a.zip/second.zip/third.zip/c.csv"]
    assert list(reasons(found)) == ["a.zip/second.zip/third.zip/fourth.zip"]
    assert concepts(found)[0] == ["Taxi", "Hotel"] * 3


@pytest.mark.parametrize("name", ["../b.csv", "x/../../b.csv", "/etc/b.csv", "C:\\b.csv", "C:/b.csv", "..\\b.csv"])
def test_a_name_that_leads_out_of_the_archive_is_refused_and_the_others_are_read(tmp_path, name):
    info = zipfile.ZipInfo("placeholder")
    info.filename = info.orig_filename = name
    found = found_in(tmp_path, pack(("a.csv", CSV), (info, CSV)))
    assert names(found) == ["a.zip/a.csv"]
    assert list(reasons(found).values()) == ["its name leads out of the archive."]
    assert concepts(found)[0] == ["Taxi", "Hotel"]


def test_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("b.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    found = found_in(tmp_path, pack(("a.csv", CSV), (link, "/etc/passwd")))
    assert (names(found), reasons(found)) == (["a.zip/a.csv"], {"a.zip/b.csv": "it is a link, not a file."})


def test_an_encrypted_member_is_refused(tmp_path):
    data = bytearray(pack(("a.csv", CSV), ("b.csv", CSV)))
    place = data.rindex(b"PK\x01\x02")  # the directory's entry of the last member
    data[place + 8] |= 1
    found = found_in(tmp_path, bytes(data))
    assert (names(found), reasons(found)) == (["a.zip/a.csv"], {"a.zip/b.csv": "it is encrypted."})


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_members_with_one_name_the_last_is_read_and_the_other_reported(tmp_path):
    found = found_in(tmp_path, pack(("a.csv", CSV), ("a.csv", CSV.replace("Taxi", "Lona"))))
    assert reasons(found) == {"a.zip/a.csv": "the archive holds another file of this name, which is read."}
    assert concepts(found)[0] == ["Lona", "Hotel"]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "Facturación Ñ.csv"), ("cp437", "Señor núm 1.csv"), ("cp850", "FACTURACIÓN Í.csv")],
)
def test_names_of_old_programs_are_spelled_as_they_were_meant(tmp_path, encoding, name):
    raw = name.encode(encoding)
    found = found_in(tmp_path, pack(("x" * len(raw), CSV)).replace(b"x" * len(raw), raw))
    assert names(found) == [f"a.zip/{name}"]
    assert concepts(found)[0] == ["Taxi", "Hotel"]


def bomb(size: int) -> bytes:
    """A member of blanks, written straight in its packed form."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        with archive.open("b.csv", "w", force_zip64=True) as stream:
            for _ in range(size >> 20):
                stream.write(b" " * (1 << 20))
        archive.writestr("a.csv", CSV)
    return held.getvalue()


def test_a_member_that_unpacks_to_hundreds_of_times_its_size_is_refused_unopened(tmp_path):
    data = bomb(200 << 20)
    started = time.process_time()
    found = found_in(tmp_path, data)
    assert time.process_time() - started < 1
    assert names(found) == ["a.zip/a.csv"]
    assert "it unpacks to 1" in reasons(found)["a.zip/b.csv"]


def test_a_member_never_gives_more_than_the_directory_says(tmp_path):
    data = bytearray(pack(("a.csv", CSV), ("b.csv", CSV * 100_000)))
    place = data.rindex(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 30)
    found = found_in(tmp_path, bytes(data))
    assert [source.size for source in found.sources] == [len(CSV), 30]
    read, faults = concepts(found)
    assert read == ["Taxi", "Hotel"]
    assert "damaged" in faults["a.zip/b.csv"]


def test_an_archive_of_too_much_is_refused_as_a_whole(tmp_path):
    data = bytearray(pack(*((f"{n}.csv", CSV) for n in range(6))))
    place = 0
    while (place := data.find(b"PK\x01\x02", place)) >= 0:
        data[place + 24 : place + 28] = struct.pack("<I", 0xFFFFFFF0)
        place += 4
    found = found_in(tmp_path, bytes(data))
    assert (names(found), reasons(found)) == ([], {"a.zip": "it unpacks to more than 20 GB."})


def test_an_archive_of_too_many_files_is_refused_as_a_whole():
    with zipfile.ZipFile(io.BytesIO(pack(("a.csv", CSV), ("b.csv", CSV)))) as archive:
        limits = archives.Limits(members=3)
        limits.take(archive)
        with pytest.raises(archives.ReadError, match="more than 200,000 files"):
            limits.take(archive)


@pytest.mark.parametrize("data", [b"PK\x03\x04 not an archive", b"", pack(("a.csv", CSV))[:-30], b"Rar!\x1a\x07"])
def test_what_is_no_archive_is_a_fault_and_the_folder_goes_on(tmp_path, data):
    (tmp_path / "b.csv").write_text(CSV)
    (tmp_path / "a.zip").write_bytes(data)
    found = find_sources([str(tmp_path)])
    assert names(found) == ["b.csv"]
    assert "a.zip is damaged" in reasons(found)["a.zip"]


def test_a_member_with_flipped_bytes_is_a_fault_and_the_others_are_read(tmp_path):
    text = CSV + "".join(f"c{n},{n}\n" for n in range(2_000))
    data = bytearray(pack(("a.csv", CSV), ("b.csv", text), ("c.csv", CSV)))
    place = data.index(b"b.csv")
    data[place + 500 : place + 520] = bytes(20)
    found = found_in(tmp_path, bytes(data))
    read, faults = concepts(found)
    assert read == ["Taxi", "Hotel"] * 2
    assert "b.csv is damaged" in faults["a.zip/b.csv"]


def test_an_archive_without_a_table_says_what_it_holds(tmp_path):
    found = found_in(tmp_path, pack(("a.pdf", "x"), ("b.docx", "x")))
    assert "holds no file that can be read" in next(iter(reasons(found).values()))
    assert "empty" in str(found_in(tmp_path, pack()).faults[0].hint)


def test_a_member_that_is_named_like_a_file_in_a_folder_is_answered_with_the_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("enero/b.csv", CSV)
    (fault,) = find_sources([str(tmp_path / "a.zip" / "enero" / "b.csv")]).faults
    assert "a.zip is no folder; an archive is read as a whole: name it" in fault.hint


def test_names_that_would_steer_a_terminal_are_shown_on_a_line(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("b\n\x1b[31m.csv", "c\x1b[2J.csv", "d\x1b[0m.xlsx"):
            archive.writestr(name, CSV)
    assert main(["inspect", str(tmp_path / "a.zip")]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "a.zip/b \ufffd[31m.csv = a.zip/c\ufffd[2J.csv" in shown
