"""Files appear whole or not at all."""

import json
import math
import os
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import StorageError
from workbench.records import RunState
from workbench.runs import atomic_path, json_list, write_json, write_parquet, write_text
from workbench.runs.artifacts import partial_path, read_json, read_text, sweep, to_json
from workbench.runs.parquet import batch_writer, read_batches, read_parquet


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_replaces_the_old_one_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyError), atomic_path(path) as partial:
        partial.write_text("half")
        raise KeyError("something went wrong")
    assert path.read_text() == "old"
    assert names(path.parent) == ["a.txt"]
    write_text(path, "new ñ")
    assert read_text(path) == "new ñ"
    assert names(path.parent) == ["a.txt"]


def test_a_new_file_may_be_read_by_whoever_may_read_other_files(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "a")
    (tmp_path / "b.txt").write_text("b")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_a_leftover_of_an_earlier_process_with_our_number_is_swept_away_but_not_our_own_file(tmp_path: Path) -> None:
    ours = partial_path(tmp_path / "a.json")
    earlier = tmp_path / ours.name.replace(ours.name.split("-")[-1], "0" * 16 + ".partial")
    for path in (ours, earlier, tmp_path / ".hidden.partial"):
        path.write_text("half")
    assert sweep(tmp_path) == [earlier]
    assert ours.is_file()


@pytest.mark.parametrize("name", ["x" * 251 + ".csv", "ñ" * 125 + ".csv", "x" + "😀" * 62 + ".csv", "x" * 255])
def test_a_file_whose_name_is_as_long_as_may_be_is_written_and_its_leftover_found(tmp_path, name):
    with atomic_path(tmp_path / name) as partial:
        partial.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    left = partial.name.replace(partial.name.split("-")[-1], "0" * 16 + ".partial")
    (tmp_path / left).write_text("half")
    assert sweep(tmp_path) == [tmp_path / left]


def test_a_leftover_of_another_machine_is_swept_away_after_a_day(tmp_path: Path) -> None:
    foreign = tmp_path / f".a.json.ffffff-1-{'0' * 16}.partial"
    foreign.write_text("half")
    assert sweep(tmp_path) == []
    long_ago = time.time() - 2 * 86_400
    os.utime(foreign, (long_ago, long_ago))
    assert sweep(tmp_path) == [foreign]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_the_words_for_a_full_disk_are_plain(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the disk is full") as caught, atomic_path(tmp_path / "a.json"):
        Path("/dev/full").write_text("a")
    assert "a.json" in caught.value.message


def test_a_file_in_the_place_of_the_folder_is_a_storage_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        write_text(tmp_path / "file" / "a.txt", "a")
    assert str(tmp_path / "file" / "a.txt") in caught.value.message


def test_json_has_no_nan_and_keeps_the_order(tmp_path: Path) -> None:
    value = {
        "b": math.nan,
        "a": [math.inf, -math.inf, np.float64("nan"), pd.NA, pd.NaT, None],
        "numpy": [np.int64(3), np.float32(0.5), np.array([1, 2]), np.bool_(True)],
        "time": datetime(2026, 1, 2, tzinfo=UTC),
        "path": Path("a") / "b",
        "state": RunState.RUNNING,
        "amount": Decimal("12.50"),
        "names": {"y", "x"},
        1: "ñ",
    }
    write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["b", "a", "numpy", "time", "path", "state", "amount", "names", "1"]
    assert json.loads(text) == {
        "b": None,
        "a": [None] * 6,
        "numpy": [3, 0.5, [1, 2], True],
        "time": "2026-01-02T00:00:00+00:00",
        "path": "a/b",
        "state": "running",
        "amount": 12.5,
        "names": ["x", "y"],
        "1": "ñ",
    }
    assert "ñ" in text
    assert '\n  "b": null' in text


def test_json_takes_half_surrogate_pairs_and_huge_numbers() -> None:
    value = {"a": "caf\ud83d", "b": 10**30, "c": [math.nan, (1, 2)], "d": np.float64(0.5), "e": Path("x")}
    assert json.loads(to_json(value)) == {"a": "caf?", "b": 10**30, "c": [None, [1, 2]], "d": 0.5, "e": "x"}


def test_what_has_no_form_in_json_is_named() -> None:
    with pytest.raises(StorageError, match="object"):
        to_json({"a": object()})
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(StorageError):
        to_json(circle)


@settings(deadline=None, max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=10,
    )
)
def test_json_comes_back_as_it_went(value: object) -> None:
    assert json.loads(to_json(value)) == value
    assert json.loads(to_json(value, indent=True)) == value


def test_a_broken_json_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(StorageError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(StorageError, match="cannot read"):
        read_json(tmp_path / "b.json")


def test_a_frame_comes_back_with_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "text": ["a", None, "ñ"],
            "number": [1.5, None, 3],
            "count": pd.array([1, None, 3], dtype="Int64"),
            "flag": [True, False, True],
            "time": pd.to_datetime(["2026-01-01", None, "2026-01-03"]).as_unit("us"),
            "kind": pd.Categorical(["x", "y", "x"]),
        },
        index=[5, 6, 7],
    )
    write_parquet(tmp_path / "a=1" / "a.parquet", frame)
    back = read_parquet(tmp_path / "a=1" / "a.parquet")
    pd.testing.assert_frame_equal(back, frame.reset_index(drop=True))
    assert list(read_parquet(tmp_path / "a=1" / "a.parquet", ["flag", "text"])) == ["flag", "text"]


def test_a_column_of_mixed_kinds_is_kept_as_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"mixed": pd.Series([1, "dos", None, "\ud83d"], dtype=object), "whole": [1, 2, 3, 4]})
    write_parquet(tmp_path / "a.parquet", frame)
    back = read_parquet(tmp_path / "a.parquet")
    assert back["mixed"].fillna("null").tolist() == ["1", "dos", "null", "?"]
    assert back["whole"].tolist() == [1, 2, 3, 4]


def test_two_columns_of_one_name_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="two columns are called a"):
        write_parquet(tmp_path / "a.parquet", pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_file_that_is_not_parquet_and_a_column_that_is_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(StorageError, match=r"a\.parquet"):
        read_parquet(tmp_path / "a.parquet")
    write_parquet(tmp_path / "b.parquet", pd.DataFrame({"x": [1]}))
    with pytest.raises(StorageError, match="'y'") as caught:
        read_parquet(tmp_path / "b.parquet", ["y"])
    assert caught.value.hint == "it has x."


def test_batches_make_one_file_that_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "ingest" / "rows.parquet"
    with batch_writer(path) as writer:
        for start_at in range(0, 10, 4):
            writer.write(pd.DataFrame({"n": range(start_at, min(start_at + 4, 10)), "text": "a"}))
            assert not path.exists()
        assert writer.rows == 10
    assert read_parquet(path)["n"].tolist() == list(range(10))
    assert names(path.parent) == ["rows.parquet"]
    assert [len(part) for part in read_batches(path, ["n"], rows=3)] == [3, 3, 3, 1]


def test_batches_that_fail_leave_nothing_and_their_own_error_comes_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input"), batch_writer(tmp_path / "rows.parquet") as writer:
        writer.write(pd.DataFrame({"n": [1]}))
        raise FileNotFoundError("input")
    assert names(tmp_path) == []
    with pytest.raises(StorageError, match="nothing was written"), batch_writer(tmp_path / "rows.parquet"):
        pass


def test_later_batches_may_be_wider_than_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with batch_writer(path) as writer:
        writer.write(pd.DataFrame({"empty": [None, None], "number": [1, 2], "mixed": [1, 2], "kind": ["x", "y"]}))
        writer.write(
            pd.DataFrame({"empty": ["a"], "number": [0.5], "mixed": ["dos"], "kind": pd.Categorical(["z"]), "new": [7]})
        )
        writer.write(pa.table({"empty": ["b"], "new": [8]}))
        writer.write(pa.record_batch({"empty": ["c"]}))
    back = read_parquet(path).astype(object).where(lambda frame: frame.notna(), None)
    assert back.to_dict("list") == {
        "empty": [None, None, "a", "b", "c"],
        "number": [1.0, 2.0, 0.5, None, None],
        "mixed": ["1", "2", "dos", None, None],
        "kind": ["x", "y", "z", None, None],
        "new": [None, None, 7, 8, None],
    }
    assert names(tmp_path) == ["rows.parquet"]


def test_an_empty_batch_makes_a_file_with_columns(tmp_path: Path) -> None:
    with batch_writer(tmp_path / "rows.parquet") as writer:
        writer.write(pd.DataFrame({"a": pd.Series([], dtype="str"), "b": pd.Series([], dtype="int64")}))
    assert list(read_parquet(tmp_path / "rows.parquet").columns) == ["a", "b"]


def test_parquet_files_of_the_writer_are_ordinary_ones(tmp_path: Path) -> None:
    with batch_writer(tmp_path / "rows.parquet") as writer:
        writer.write(pd.DataFrame({"a": ["x"]}))
    assert pq.read_table(tmp_path / "rows.parquet").to_pydict() == {"a": ["x"]}


IDS = st.text("0123456789abcdef", max_size=4)
CLEAN = st.none() | st.text(st.characters(exclude_categories=["Cs"]))
ENTRIES = st.lists(st.builds(lambda item, clean: {"item_id": item, "clean": clean}, IDS, CLEAN), max_size=5)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ENTRIES, max_size=3))
def test_a_list_in_json_is_written_table_by_table_as_it_would_be_at_once(
    tmp_path: Path, batches: list[list[dict[str, str | None]]]
) -> None:
    schema = pa.schema([("item_id", pa.large_string()), ("clean", pa.large_string())])
    with json_list(tmp_path / "list.json", "entries") as add:
        for batch in batches:
            add(pa.Table.from_pylist(batch, schema))
    write_json(tmp_path / "whole.json", {"entries": [entry for batch in batches for entry in batch]})
    assert (tmp_path / "list.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
