"""Columns of text that are held as codes, and hashes of texts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.dedup import item_ids
from workbench.refinery import get_pipeline
from workbench.values import LONG, SAMPLE, coded, codes_of, is_coded, spelt_out, text_hashes

TEXTS = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=30)


def column(texts: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({"A": pd.Series(texts, dtype="str", index=range(7, 7 + len(texts)))})


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_a_coded_column_is_spelt_out_as_it_was(texts: list[str | None]) -> None:
    df = column(texts)
    held = coded(df, ["A", "nowhere"])
    assert is_coded(held["A"])
    pd.testing.assert_frame_equal(spelt_out(held), df)


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_cleaning_and_merging_give_the_same_for_a_coded_column(texts: list[str | None]) -> None:
    df, pipeline = column(texts), get_pipeline("v3")
    plain, held = (pipeline.clean_frame(each, "A") for each in (df, coded(df, ["A"])))
    pd.testing.assert_frame_equal(spelt_out(held), plain)
    for strategy in ("content_only", "aggressive"):
        assert item_ids(held, ["cleanA"], strategy).tolist() == item_ids(plain, ["cleanA"], strategy).tolist()


def test_texts_that_seldom_repeat_are_not_searched_for_repetitions() -> None:
    seldom = [f"renta {number}" for number in range(2 * SAMPLE)]
    seldom[-1] = seldom[0]
    often = [f"renta {number % 1_000}" for number in range(2 * SAMPLE)]
    for texts, distinct in ((seldom, len(seldom)), (often, 1_000)):
        assert len(codes_of(coded(column(list(texts)), ["A"])["A"]).dictionary) == distinct


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=30, unique=True))
def test_different_texts_have_different_hashes(texts: list[str]) -> None:
    hashes = text_hashes(pa.array(texts, pa.large_string()))
    assert len(set(hashes.tolist())) == len(texts)


def test_a_hash_depends_on_the_text_alone() -> None:
    texts = ["", "renta", "a" * 7, "a" * 8, "a" * 9, "ñ" * LONG, "x" * (LONG + 1)]
    whole = text_hashes(pa.array(texts, pa.large_string()))
    assert whole.tolist() == [text_hashes(pa.array([text], pa.large_string()))[0] for text in texts]
    assert text_hashes(pa.array(["other", *texts], pa.large_string()).slice(1)).tolist() == whole.tolist()
    show = "print(text_hashes(pa.array(['renta'], 'large_string'))[0])"
    code = f"import pyarrow as pa; from workbench.values import text_hashes; {show}"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert np.uint64(printed.strip()) == whole[1]
