"""The charts of the six answers (`report.answers`), drawn from plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.ticker import FuncFormatter, MaxNLocator

from workbench.plots.pictures import (
    BLUE,
    GREEN,
    ORANGE,
    PAPER,
    SOFT,
    VERMILLION,
    Picture,
    beside,
    nothing,
    percent,
    percent_tick,
    quiet,
    short,
    start,
)

Chart = Mapping[str, Any]
TONES = {"good": GREEN, "bad": VERMILLION}


def chart(found: Chart | None, title: str = "") -> Picture:
    """Draw the chart of an answer; where there is none, a picture says so.

    Args:
        found: `chart` of an answer: `kind` (intervals, bars or curve), `title`, `note` and `rows`.
        title: what stands over an empty picture.
    """
    if not found:
        return nothing(title, "There is nothing to draw yet.")
    return {"intervals": _intervals, "bars": _bars, "curve": _curve}[found["kind"]](found)


def _rows(found: Chart, names: Sequence[str]) -> tuple[Picture, Any]:
    """Start a picture with a named line per row, the first on top."""
    figure = start(1.3 + 0.3 * len(names), found["title"], found["note"])
    axes = quiet(figure.subplots())
    axes.set_yticks(range(len(names)), [short(name, 48) for name in names], parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    return figure, axes


def _intervals(found: Chart) -> Picture:
    figure, axes = _rows(found, [row["name"] for row in found["rows"]])
    for place, row in enumerate(found["rows"]):
        color = SOFT if row["thin"] else BLUE
        axes.plot([row["low"], row["high"]], [place] * 2, color=color, linewidth=2.5, solid_capstyle="butt")
        axes.plot([row["estimate"]], [place], "o", color=color, markersize=7, markeredgecolor=PAPER)
        beside(axes, f"{percent(row['estimate'])}, n = {row['n']:,}", (row["high"], place), 8)
    axes.set_xlim(-0.01, 1.22)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.xaxis.set_major_formatter(FuncFormatter(percent_tick))
    return figure


def _bars(found: Chart) -> Picture:
    figure, axes = _rows(found, [row["name"] for row in found["rows"]])
    for place, row in enumerate(found["rows"]):
        axes.barh([place], [row["value"]], height=0.66, color=TONES.get(row["tone"], BLUE))
        beside(axes, row["text"], (row["value"], place), 5)
    axes.set_xlim(0, 1.12 * max(1, *(row["value"] for row in found["rows"])))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("items", size=9, color=SOFT)
    return figure


def _curve(found: Chart) -> Picture:
    figure = start(4.2, found["title"], found["note"])
    axes = quiet(figure.subplots(), grid="both")
    scores = [row["score"] for row in found["rows"]]
    axes.plot(scores, [row["estimate"] for row in found["rows"]], "o-", color=BLUE, markersize=4)
    axes.plot(scores, [row["low"] for row in found["rows"]], color=BLUE, linestyle=(0, (2, 2)))
    axes.axhline(found["target"], color=ORANGE, linewidth=1.2)
    if found["score"] is not None:
        axes.axvspan(found["score"], 1.02, color=GREEN, alpha=0.15, linewidth=0)
    axes.set_xlim(min(0.5, *scores) - 0.02, 1.02)
    axes.set_ylim(max(0.0, min(row["low"] for row in found["rows"]) - 0.05), 1.02)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(percent_tick))
    axes.set_xlabel("accepted from this score on (dotted: lower bound; orange: target; green: may be accepted)", size=9)
    axes.set_ylabel("precision", size=9, color=SOFT)
    return figure
