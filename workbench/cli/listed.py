"""How the list of runs looks: on a terminal what matters and fits, elsewhere everything, whole."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import Any

import pandas as pd

from workbench import console


def _minutes(moment: pd.Timestamp) -> str:
    return f"{moment.to_pydatetime().astimezone():%Y-%m-%d %H:%M}"


def _percent(share: float) -> str:
    return "–" if pd.isna(share) else f"{100 * share:.1f} %"


def _whole(value: Any) -> Any:
    return value


COLUMNS: dict[str, tuple[str, int, Callable[[Any], Any]]] = {
    "run_id": ("run", 0, _whole),
    "state": ("state", 1, lambda state: state.replace("_", " ")),
    "iteration": ("iter.", 4, _whole),
    "rows": ("rows", 5, _whole),
    "items": ("items", 6, _whole),
    "accuracy": ("accuracy", 2, _percent),
    "accuracy_low": ("from", 7, _percent),
    "accuracy_high": ("to", 7, _percent),
    "confident_share": ("score ≥ 0.7", 8, _percent),
    "ambiguous_rate": ("ambiguous", 9, _percent),
    "cost_usd": ("USD", 10, _whole),
    "pinned": ("pinned", 11, lambda pinned: "pinned" if pinned else ""),
    "created_at": ("started", 12, _minutes),
    "updated_at": ("changed", 3, _minutes),
}
"""On a terminal: heading, rank (the lowest are shown first where room is short), and how a value is written."""


def layout(runs: pd.DataFrame) -> str:
    """Lay `RunStore.list` out for where it is printed: a terminal, or a pipe or file."""
    if sys.stdout.isatty():
        return for_terminal(runs, shutil.get_terminal_size().columns)
    return console.table(runs, width=sys.maxsize)


def for_terminal(runs: pd.DataFrame, width: int) -> str:
    """Show the columns that matter and fit, shortly, times in local minutes; one that says nothing is left out."""
    telling = [name for name in COLUMNS if runs[name].notna().any() and not runs[name].eq(False).all()]
    kept: list[str] = []
    for name in sorted(telling, key=lambda name: COLUMNS[name][1]):
        if len(console.table(_short(runs, [*kept, name]), sys.maxsize).splitlines()[1]) <= width:
            kept.append(name)
    return console.table(_short(runs, [name for name in COLUMNS if name in kept] or ["run_id"]), width)


def _short(runs: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    whole = runs.astype({"rows": "Int64", "items": "Int64"})
    return pd.DataFrame({COLUMNS[name][0]: whole[name].map(COLUMNS[name][2]) for name in names})
