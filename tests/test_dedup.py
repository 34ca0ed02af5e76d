import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.dedup import STRATEGIES, dedup_stats, deduplicate, item_ids, put_back
from workbench.errors import ColumnNotFound, NotRegistered, UsageError

values = st.one_of(
    st.none(), st.sampled_from(["", "a", "b", "A", "1", "é", "\ud800", "nan"]), st.integers(0, 2), st.floats()
)
rows = st.lists(st.tuples(values, values, st.sampled_from(["x", "y"])), max_size=15)
strategies = st.sampled_from(list(STRATEGIES))


def table(content: list[tuple[object, object, str]]) -> pd.DataFrame:
    df = pd.DataFrame({"A": [], "B": [], "category": []}, dtype=object)
    for name, column in zip(df.columns, zip(*content, strict=True), strict=False):
        df[name] = pd.Series(column, dtype=object)
    return df.assign(row_id=[f"r{row}" for row in range(len(df))]).set_index(
        pd.Index([row % 3 for row in range(len(df))])
    )


@settings(deadline=None, max_examples=150)
@given(content=rows, strategy=strategies, keep=st.sampled_from(["first", "last"]))
def test_every_row_gets_its_items_answer_and_keeps_its_columns(content: list, strategy: str, keep: str) -> None:
    df = table(content)
    merged = deduplicate(df, ["A", "B"], strategy, keep)  # type: ignore[arg-type]
    assert merged.unique["item_id"].is_unique
    assert merged.unique["n_rows"].sum() == len(df)
    results = pd.DataFrame({"item_id": merged.unique["item_id"], "category": merged.unique["item_id"] + "!"})
    restored = merged.restore(results.sample(frac=1, random_state=1))
    assert restored.columns.tolist() == ["A", "B", "category_original", "row_id", "item_id", "category"]
    pd.testing.assert_frame_equal(restored.iloc[:, :4].rename(columns={"category_original": "category"}), df)
    assert restored["item_id"].tolist() == merged.mapping.tolist()
    assert restored["category"].tolist() == [f"{item}!" for item in merged.mapping]


@settings(deadline=None, max_examples=100)
@given(content=rows, strategy=strategies, cut=st.integers(0, 15))
def test_batches_give_the_item_ids_of_the_whole_table(content: list, strategy: str, cut: int) -> None:
    df = table(content)
    whole = item_ids(df, ["A", "B"], strategy).tolist()
    batches = [df.iloc[:cut], df.iloc[cut:]]
    assert [item for batch in batches for item in item_ids(batch, ["A", "B"], strategy)] == whole


@settings(deadline=None, max_examples=100)
@given(content=rows)
def test_rows_share_an_item_just_when_their_content_is_equal(content: list) -> None:
    ids = item_ids(table(content), ["A", "B"]).tolist()
    keys = [(by_value(a), by_value(b)) for a, b, _ in content]
    for i in range(len(keys)):
        for j in range(i):
            assert (ids[i] == ids[j]) == (keys[i] == keys[j])


def by_value(value: object) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    return str(value)


def test_a_null_equals_a_null_and_nothing_else() -> None:
    df = pd.DataFrame({"A": pd.Series([None, np.nan, pd.NA, "", "nan", "None"], dtype=object)})
    merged = deduplicate(df, "A")
    assert merged.unique["n_rows"].tolist() == [3, 1, 1, 1]


def test_a_null_in_one_column_is_not_a_null_in_another() -> None:
    df = pd.DataFrame({"A": ["x", None], "B": [None, "x"]})
    assert len(deduplicate(df, ["A", "B"]).unique) == 2


def test_equal_values_of_other_types_are_one_item() -> None:
    columns = [
        pd.Series([5]),
        pd.Series([5.0]),
        pd.Series(["5"]),
        pd.Series(["5"], dtype="category"),
        pd.Series([5], dtype="Int64"),
    ]
    assert len({item_ids(pd.DataFrame({"A": column}), "A")[0] for column in columns}) == 1


def test_item_ids_are_the_same_in_every_process() -> None:
    frame = "pd.DataFrame({'A': ['renta']})"
    code = f"import pandas as pd; from workbench.dedup import item_ids; print(item_ids({frame}, 'A')[0])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert printed == item_ids(pd.DataFrame({"B": ["renta"]}), "B")[0] == "729761d10966b009b41aee6dec6afd44"


def test_aggressive_compares_whole_rows_without_the_workbenchs_own_columns() -> None:
    df = pd.DataFrame({"A": ["x", "x", "x"], "B": [1, 1, 2], "row_id": ["1", "2", "3"], "source_file": ["a", "b", "a"]})
    assert deduplicate(df, "A", "aggressive").unique["n_rows"].tolist() == [2, 1]
    swapped = df[["B", "source_file", "A", "row_id"]]
    assert item_ids(swapped, "A", "aggressive").tolist() == item_ids(df, "A", "aggressive").tolist()


def test_preserve_all_keeps_every_row() -> None:
    df = pd.DataFrame({"A": ["x", "x"]})
    assert len(deduplicate(df, "A", "preserve_all").unique) == 2
    with pytest.raises(UsageError, match="row_id"):
        item_ids(df.assign(row_id=["1", "1"]), "A", "preserve_all")


def test_the_first_or_the_last_row_stands_for_its_item() -> None:
    df = pd.DataFrame({"A": ["x", "y", "x"], "B": [1, 2, 3]}, index=["i", "j", "k"])
    assert deduplicate(df, "A").unique["B"].tolist() == [1, 2]
    last = deduplicate(df, "A", keep="last").unique
    assert last["B"].tolist() == [2, 3] and last["n_rows"].tolist() == [1, 2] and last.index.tolist() == ["j", "k"]
    assert last.columns.tolist() == ["item_id", "n_rows", "A", "B"]
    with pytest.raises(UsageError, match="keep"):
        deduplicate(df, "A", keep="middle")  # type: ignore[arg-type]


def test_the_stats_say_what_was_saved() -> None:
    merged = deduplicate(pd.DataFrame({"A": list("aabbbbbbcd")}), "A")
    assert (
        merged.stats
        == dedup_stats(10, 4)
        == {
            "original_rows": 10,
            "deduplicated_rows": 4,
            "duplicates_removed": 6,
            "efficiency_gain_pct": 60.0,
            "unique_content_ratio": 0.4,
        }
    )


def test_an_empty_table_has_no_items() -> None:
    merged = deduplicate(pd.DataFrame({"A": pd.Series([], dtype="str")}), "A")
    assert merged.unique.columns.tolist() == ["item_id", "n_rows", "A"] and merged.unique.empty
    assert merged.restore(pd.DataFrame({"item_id": [], "category": []})).empty


def test_an_item_without_a_result_gets_nulls_and_whole_numbers_stay_whole() -> None:
    merged = deduplicate(pd.DataFrame({"A": ["x", "y", "x"]}), "A")
    results = pd.DataFrame(
        {"item_id": [merged.mapping[0], "of another table"], "attempts": [2, 3], "ok": [True, False]}
    )
    restored = merged.restore(results)
    assert restored["attempts"].tolist() == [2, pd.NA, 2] and str(restored["attempts"].dtype) == "Int64"
    assert restored["ok"].isna().tolist() == [False, True, False]


def test_only_the_wanted_result_columns_are_put_back() -> None:
    merged = deduplicate(pd.DataFrame({"A": ["x"]}), "A")
    results = merged.unique.assign(category="c", reason="r")
    assert merged.restore(results, "category").columns.tolist() == ["A", "item_id", "category"]
    with pytest.raises(ColumnNotFound, match="did you mean 'category'"):
        merged.restore(results, ["categroy"])
    with pytest.raises(ColumnNotFound, match="item_id"):
        merged.restore(results.drop(columns="item_id"))


def test_two_results_of_one_item_are_an_error() -> None:
    merged = deduplicate(pd.DataFrame({"A": ["x"]}), "A")
    twice = pd.DataFrame({"item_id": [merged.mapping[0]] * 2, "category": ["a", "b"]})
    with pytest.raises(UsageError, match="several results"):
        merged.restore(twice)


def test_original_columns_make_room_for_results_of_the_same_name() -> None:
    df = pd.DataFrame({"A": ["x"], "item_id": ["mine"], "n_rows": [9], "score": [1], "score_original": [2]})
    merged = deduplicate(df, "A")
    assert merged.unique.columns.tolist() == [
        *("item_id", "n_rows", "A", "item_id_original", "n_rows_original", "score", "score_original")
    ]
    restored = merged.restore(pd.DataFrame({"item_id": merged.mapping, "score": [0.5]}))
    assert restored.loc[0].to_dict() == {
        "A": "x",
        "item_id_original": "mine",
        "n_rows": 9,
        "score_original_original": 1,
        "score_original": 2,
        "item_id": merged.mapping[0],
        "score": 0.5,
    }


def test_rows_that_carry_their_item_ids_already_get_them_once() -> None:
    df = pd.DataFrame({"A": ["x", "y"]})
    carrying = df.assign(item_id=item_ids(df, "A"))
    assert deduplicate(carrying, "A").unique.columns.tolist() == ["item_id", "n_rows", "A"]
    results = pd.DataFrame({"item_id": carrying["item_id"], "category": ["c", "d"]})
    assert put_back(carrying, carrying["item_id"], results).columns.tolist() == ["A", "item_id", "category"]
    with pytest.raises(UsageError, match="one item_id per row"):
        put_back(carrying, carrying["item_id"].head(1), results)


def test_unknown_columns_and_strategies_are_answered_with_names() -> None:
    df = pd.DataFrame({"cleanA": ["x"]})
    with pytest.raises(ColumnNotFound, match="cleanA"):
        item_ids(df, "cleanB")
    with pytest.raises(NotRegistered, match="content_only, aggressive, preserve_all"):
        item_ids(df, "cleanA", "fuzzy")
    with pytest.raises(UsageError, match="more than once"):
        deduplicate(pd.DataFrame([[1, 2]], columns=["A", "A"]), "A")
