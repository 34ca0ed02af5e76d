"""What a review can come to: too few verdicts, one category, all right, all wrong, no or negative amounts, no holdout.

Each goes through a whole small run; every face gives a figure with its interval or a sentence, and never a NaN.
"""

import json
import re

import pytest

from workbench import console, report
from workbench.parameters import load_parameters
from workbench.records import pool_of
from workbench.runs import open_store


def rows_of(project):
    lines = (project / "expenses.csv").read_text().splitlines()
    return lines[0], [line.split(",") for line in lines[1:]]


def with_rows(project, change):
    """Write the expenses anew, each row changed by `change(row)`; null drops it."""
    header, rows = rows_of(project)
    changed = [row for row in map(change, rows) if row]
    (project / "expenses.csv").write_text("\n".join([header, *(",".join(row) for row in changed)]) + "\n")


def truth(change):
    return lambda row: [*row[:4], change(row)]


def nobody_but(*kept):
    """Leave the true category only to rows of these texts."""
    return truth(lambda row: row[4] if row[1].strip().casefold() in kept else "")


CASES = {
    "no verdict at all": nobody_but(),
    "one verdict": nobody_but("vuelo mex-mty"),
    "one category only": lambda row: [*row[:4], "Viajes"],
    "all correct": lambda row: row if row[1].strip().upper() in ("TACOS PARA EQUIPO", "REFRESCO 600ML") else None,
    "all wrong": truth(lambda row: "Uniformes" if "PLAYERA" not in row[1].upper() else "Viajes"),
    "amounts of nothing": lambda row: [*row[:2], "0", *row[3:]],
    "negative amounts": lambda row: [*row[:2], f"-{row[2]}", *row[3:]],
    "amounts that cancel out": lambda row: [*row[:2], str((-1) ** int(row[0]) * 10), *row[3:]],
    "an empty holdout": lambda row: row if pool_of(row[1].strip().lower()).value == "prompt" else None,
}


@pytest.mark.parametrize("name", CASES)
def test_every_face_tells_a_figure_or_a_sentence_and_never_a_nan(project, loop, name):
    with_rows(project, CASES[name])
    store = open_store()
    run = loop(load_parameters("run.yaml", ["refine.max_examples=40", "validate.sample_size=8"]), store)
    check_faces(store, run.run_id)


def test_without_an_amount_column_nothing_is_said_of_amounts(project, loop):
    store = open_store()
    run = loop(load_parameters("run.yaml", ["ingest.amount_column=null"]), store)
    check_faces(store, run.run_id)
    measured = store.load(run.run_id, "metrics", 2)
    assert measured["accuracy"]["by_amount"] is None
    assert "no share of the amount" in " ".join(report.answers(store, run.run_id)[0]["sentences"])


def check_faces(store, run_id):
    newest = store.newest(run_id, "metrics")
    for iteration in range(1, newest + 1):
        found = report.answers(store, run_id, iteration)
        assert len(found) == 6
        for each in found:
            assert all(each["sentences"])
            assert console.chart(each["chart"]) or not each["chart"]
        accuracy = store.load(run_id, "metrics", iteration)["accuracy"]
        assert accuracy is None or 0 <= accuracy["low"] <= accuracy["estimate"] <= accuracy["high"] <= 1
    shown = console.summary(report.summary(store, run_id))
    for text in (shown, store.load(run_id, "report"), json.dumps(found, allow_nan=False)):
        visible = re.sub(r"<style.*?</style>|<[^>]*>", " ", text, flags=re.S)
        assert not re.search(r"\b(nan|inf|None|NaN)\b", visible)
