import json
from decimal import Decimal

import pandas as pd
import pytest

from workbench.errors import ColumnNotFound
from workbench.refinery import (
    CleaningReport,
    cleaning_report,
    filter_rows,
    get_pipeline,
    merged_texts,
    unmatched_filter_values,
)


def cleaned(*texts: str | None) -> pd.DataFrame:
    return get_pipeline("v3").clean_frame(pd.DataFrame({"A": pd.Series(texts, dtype=object)}), "A")


def test_the_report_counts_rows_nulls_changes_and_texts_of_which_nothing_is_left() -> None:
    report = cleaning_report(cleaned("PZA", "pieza", None, "???", "???", "--", ""), ["A"]).columns["A"]
    assert (report.rows, report.nulls, report.changed) == (7, 1, 4)
    assert (report.distinct_before, report.distinct_after) == (5, 2)
    assert report.emptied == 3 and report.emptied_samples == ("???", "--")


def test_at_most_five_emptied_texts_are_shown() -> None:
    report = cleaning_report(cleaned(*["?" * number for number in range(1, 9)]), "A").columns["A"]
    assert report.emptied == 8 and len(report.emptied_samples) == 5


def test_reports_of_batches_add_up_but_for_distinct_texts() -> None:
    texts = ["PZA", "pieza", None, "???", "PZA", "!"]
    whole = cleaning_report(cleaned(*texts), "A").columns["A"]
    batches = [cleaning_report(cleaned(*texts[:3]), "A"), cleaning_report(cleaned(*texts[3:]), "A")]
    added = sum(batches, CleaningReport({})).columns["A"]
    assert (added.rows, added.nulls, added.changed, added.emptied) == (6, 1, whole.changed, whole.emptied)
    assert added.emptied_samples == whole.emptied_samples
    assert added.distinct_before is None and added.distinct_after is None


def test_a_report_travels_as_json_and_shows_as_a_table() -> None:
    report = cleaning_report(cleaned("PZA", "??"), "A")
    assert json.loads(json.dumps(report.to_dict()))["A"]["emptied_samples"] == ["??"]
    assert report.to_frame().loc[0, ["column", "rows"]].tolist() == ["A", 2]


def test_numbers_that_stay_the_same_text_are_not_counted_as_changed() -> None:
    df = get_pipeline("v3").clean_frame(pd.DataFrame({"A": [5.0, 7.0]}), "A")
    assert cleaning_report(df, "A").columns["A"].changed == 0


def test_a_report_needs_the_clean_column() -> None:
    with pytest.raises(ColumnNotFound, match="cleanA"):
        cleaning_report(pd.DataFrame({"A": ["x"]}), "A")


def test_merged_texts_lists_the_originals_that_became_equal() -> None:
    merged = merged_texts(cleaned("PZA", "pieza", "pieza", "renta", None), "A")
    assert merged.to_dict("list") == {
        "clean": ["pieza", "pieza"],
        "original": ["PZA", "pieza"],
        "n_rows": [1, 2],
        "n_originals": [2, 2],
    }


def test_filters_keep_the_rows_whose_values_are_listed() -> None:
    df = pd.DataFrame({"Status": ["Active", "Closed", None, "Active"], "N": [1, 2, 1, 3]}, index=[5, 5, 6, 7])
    kept = filter_rows(df, {"Status": ["Active"], "N": [1, 2]})
    assert kept.index.tolist() == [5] and kept.columns.tolist() == ["Status", "N"]
    assert len(filter_rows(df, {})) == 4
    assert filter_rows(df, {"Status": []}).empty
    assert len(filter_rows(df, {"Status": "Active"})) == 2  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("values", "wanted", "kept"),
    [
        (["1", "2"], [1], [True, False]),
        ([1.0, 2.0, None], [1], [True, False, False]),
        ([1, 2], ["1"], [True, False]),
        ([Decimal("1.00"), Decimal("2")], [1], [True, False]),
        ([1.5, 2.0], [1.5, "2"], [True, True]),
        (["x", None, ""], [None], [False, True, False]),
        (["x", None], ["x", None], [True, True]),
        ([True, False], [True], [True, False]),
        (["TRUE", "false", "1"], [True], [True, False, False]),
        (["Sí", "si"], ["si"], [False, True]),
    ],
)
def test_filter_values_are_compared_as_text(values: list[object], wanted: list[object], kept: list[bool]) -> None:
    df = pd.DataFrame({"A": pd.Series(values)})
    assert df.index.isin(filter_rows(df, {"A": wanted}).index).tolist() == kept


def test_a_filter_on_a_missing_column_is_an_error() -> None:
    with pytest.raises(ColumnNotFound, match="did you mean 'Status'"):
        filter_rows(pd.DataFrame({"Status": ["a"]}), {"status": ["a"]})


def test_filter_values_that_no_row_has_are_named() -> None:
    df = pd.DataFrame({"Status": ["Active", "Closed"], "N": [1, None]})
    assert unmatched_filter_values(df, {"Status": ["Actve", "Closed", None], "N": [1, None]}) == {
        "Status": ["Actve", None]
    }
    assert unmatched_filter_values(df, {"Status": ["Active"]}) == {}
