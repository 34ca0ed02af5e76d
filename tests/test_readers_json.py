"""JSON and JSONL: records in any of their usual shapes, and faults with their line."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import ReadError
from workbench.readers import batches, inspect_files, read

ROWS = [{"Concepto": "Taxi", "Importe": 80.5, "n": 1}, {"Concepto": "Café", "Importe": None, "n": 2}]
TABLE = pd.DataFrame({"Concepto": ["Taxi", "Café"], "Importe": [80.5, None], "n": [1, 2]})


def write(folder: Path, value: object, name: str = "ventas.json") -> Path:
    path = folder / name
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode())
    return path


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        {"rows": ROWS},
        {"total": 2, "columns": ["Concepto"], "entries": ROWS},
        {"Concepto": ["Taxi", "Café"], "Importe": [80.5, None], "n": [1, 2]},
        {"success": True, "result": {"records": ROWS, "limit": 10}},
        lines(*ROWS),
    ],
)
def test_records_are_found_in_every_usual_shape(tmp_path, value):
    pd.testing.assert_frame_equal(read(write(tmp_path, value)), TABLE)


@pytest.mark.parametrize("name", ["ventas.jsonl", "ventas.ndjson", "VENTAS.JSONL"])
def test_one_record_per_line_is_read_back_equal(tmp_path, name):
    pd.testing.assert_frame_equal(read(write(tmp_path, lines(*ROWS), name)), TABLE)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False)
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
RECORDS = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.one_of(SCALARS, TEXTS, st.lists(TEXTS, max_size=2)), min_size=1),
    min_size=1,
)


@settings(deadline=None, max_examples=80)
@given(RECORDS)
def test_values_survive_in_json_and_jsonl_alike(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("json")
    kept = [record for record in records if any(value is not None for value in record.values())]
    if not kept:
        return
    table = read(write(folder, records))
    pd.testing.assert_frame_equal(read(write(folder, lines(*records), "x.jsonl")), table)
    assert pa.Table.from_pandas(table).num_rows == len(kept)
    for name in table.columns:
        for value, record in zip(table[name], kept, strict=True):
            original = record.get(name)
            assert pd.isna(value) if original is None else value == original or json.loads(value) == original


@pytest.mark.parametrize("rows", [1, 2, 5, 100])
def test_batches_together_are_the_whole_table(tmp_path, rows):
    records = [{"a": n, "b": None if n % 2 else "x"} for n in range(11)] + [{"c": 0.5}]
    path = write(tmp_path, lines(*records), "ventas.jsonl")
    whole = read(path)
    pd.testing.assert_frame_equal(pd.concat(batches(path, rows=rows)), whole)
    assert whole.dtypes.astype(str).to_dict() == {"a": "Int64", "b": "str", "c": "float64"}


def test_columns_are_the_union_in_the_order_of_appearance(tmp_path):
    path = write(tmp_path, lines({"b": 1}, {"a": 2, "b": 3}, {"c": 4}), "ventas.jsonl")
    assert read(path).columns.tolist() == ["b", "a", "c"]


def test_objects_are_lifted_one_level_and_deeper_values_become_json(tmp_path):
    record = {"emisor": {"rfc": "AAA", "domicilio": {"cp": "01000"}}, "partes": [1, "ñ"], "receptor": None}
    table = read(write(tmp_path, [record, {"emisor": None, "receptor": {"rfc": "BBB"}}]))
    assert table.columns.tolist() == ["emisor.rfc", "emisor.domicilio", "partes", "receptor.rfc"]
    assert table.iloc[0, 1:3].tolist() == ['{"cp":"01000"}', '[1,"ñ"]']


def test_texts_stay_texts_and_numbers_keep_their_digits(tmp_path):
    table = read(write(tmp_path, [{"clave": "007", "uuid": 123456789012345678901234567890, "n": 2**62, "x": "5"}]))
    assert table.iloc[0].tolist() == ["007", "123456789012345678901234567890", 2**62, "5"]


def test_a_column_that_mixes_types_becomes_json_text(tmp_path):
    table = read(write(tmp_path, [{"x": value} for value in ("a", 1, 1.5, True, [1])]))
    assert table["x"].tolist() == ["a", "1", "1.5", "true", "[1]"]


def test_nan_as_python_writes_it_is_null(tmp_path):
    table = read(write(tmp_path, b'{"a": NaN, "b": 1}\n{"a": 2.5, "b": -Infinity}\n', "ventas.jsonl"))
    assert table["a"].isna().tolist() == [True, False]


def test_empty_lines_and_empty_records_are_dropped(tmp_path):
    assert len(read(write(tmp_path, b'{"a":1}\n\n{}\n{"a":null}\n  \n{"a":2}', "ventas.jsonl"))) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_other_encodings_than_utf8_are_understood(tmp_path, encoding):
    path = write(tmp_path, '{"Concepto": "Instalación eléctrica"}\n'.encode(encoding), "ventas.jsonl")
    assert read(path).iloc[0, 0] == "Instalación eléctrica"
    assert inspect_files(path).files[0].format == "jsonl"


def test_broken_lines_are_all_named_at_once(tmp_path):
    path = write(tmp_path, b'{"a":1}\n{"a":\n[1]\n{"a":2}\nTaxi\n', "ventas.jsonl")
    with pytest.raises(ReadError) as caught:
        read(path)
    assert "line 2: " in caught.value.message
    assert "line 3: a list is not a record" in caught.value.message
    assert "line 5: " in caught.value.message


def test_a_few_broken_lines_are_left_out_counted_and_named(tmp_path):
    whole = [b'{"a":%d}\n' % number for number in range(20)]
    whole[3], whole[7] = b'{"a":\n', b"[1]\n"
    path = write(tmp_path, b"".join(whole) + b'{"a": 20, "b": "cut o', "ventas.jsonl")
    table = read(path)
    assert table["a"].tolist() == [number for number in range(20) if number not in (3, 7)]
    assert list(table) == ["a"]
    pd.testing.assert_frame_equal(pd.concat(batches(path, rows=4)), table)
    (note,) = inspect_files(path).files[0].notes
    assert note.startswith("lines that hold no whole record, left out: 3 (line 4: ")
    assert "line 8: a list is not a record; line 21: " in note and note.endswith("; the file ends in it)")


def test_broken_lines_by_the_thousand_are_counted_and_only_the_first_are_named(tmp_path):
    path = write(tmp_path, b'{"a":1}\nx\n{"a":2}\n' * 5_000, "ventas.jsonl")
    assert len(read(path)) == 10_000
    (note,) = inspect_files(path).files[0].notes
    assert "left out: 5,000 (line 2: " in note and "line 14: " in note and "; and 4,995 more)" in note


def test_many_broken_lines_are_counted(tmp_path):
    with pytest.raises(ReadError, match="and 15 more"):
        read(write(tmp_path, b"x\n" * 20, "ventas.jsonl"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"a": [1, 2}', "not valid JSON"),
        (b'"Taxi"', "a text without a list of records"),
        (b"7", "a number without"),
        ({"a": 1}, "an object without a list of records"),
        ([1, 2], "item 1 of the list is a number"),
        ([{"a": 1}, "Taxi"], "item 2 of the list is a text"),
        ({"a": [1, 2], "b": [1]}, "different lengths: a 2, b 1"),
        ({"ene": ROWS, "feb": ROWS}, "several lists of records: ene, feb"),
        ([], "no records"),
        ({"rows": []}, "no records"),
        ([{"a": None}], "no rows|no records"),
        (b'[{"a": "\\ud800"}]', "not valid JSON"),
        (b"[" * 5000, "not valid JSON|nested too deeply"),
        (b'{"a": NaN, "b": ' + b"[" * 100_000, "not valid JSON|nested too deeply"),
    ],
)
def test_json_without_a_table_is_refused_with_a_hint(tmp_path, value, reason):
    with pytest.raises(ReadError, match=reason) as caught:
        read(write(tmp_path, value))
    assert caught.value.hint


@pytest.mark.parametrize("more", ["", ',{"a": NaN}', ',{"a": Infinity}'])
@pytest.mark.parametrize("number", ["1e400", "-1E+400", "9" * 400 + ".5"])
def test_numbers_beyond_all_floats_become_null_as_infinities_do(tmp_path, more, number):
    (tmp_path / "a.json").write_text(f'[{{"a": {number}, "b": 1}},{{"a": 2.5, "b": 2}}{more}]')
    assert read(tmp_path / "a.json")["a"].isna().tolist()[:2] == [True, False]
    assert str(read(tmp_path / "a.json")["a"].dtype) == "float64"
    (tmp_path / "a.jsonl").write_text(f'{{"a": {number}, "b": 1}}\n{{"a": 2.5, "b": 2}}\n')
    assert read(tmp_path / "a.jsonl")["a"].isna().tolist() == [True, False]
