"""Pictures of a run: categories, scores, accuracy, confusions, moves, deduplication.

Every function takes what the artifacts hold and gives a matplotlib figure that shows itself in a notebook. No pyplot:
nothing global is touched, so that threads and dashboards can draw at the same time.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from workbench.records import AMBIGUOUS_SCORE, HIGH_SCORE, MEDIUM_SCORE, Status

BLUE, ORANGE, GREEN, VERMILLION, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9"
"""Colours that colour-blind people tell apart. Source: Okabe and Ito; Wong 2011, Nature Methods 8, 441."""
INK, SOFT, GRID, PAPER = "#333333", "#767676", "#E4E4E4", "#FFFFFF"

SCREEN_DPI = 80
WIDTH = 9.0
"""Inches; with the resolution above 720 pixels, the width of a notebook's output and of the report."""
BAR = 0.27
"""Inches of height for one horizontal bar with its name."""

NAME_LIMIT = 42
MOVES_SHOWN = 15
CATEGORIES_SHOWN = 40
"""Smaller categories beyond this number are summed up in one bar."""
BINS = 20
"""Bars of the score histogram, 0.05 each, so that both band limits are edges."""

Counts = NDArray[np.int64]

_svg_settings = threading.Lock()


class Picture(Figure):
    """A figure that shows itself as the last expression of a notebook cell, sharp on any screen."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Render with twice the pixels that are shown."""
        _settle(self)
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=2 * SCREEN_DPI)
        width, height = self.get_size_inches()
        return data.getvalue(), {"width": round(width * SCREEN_DPI), "height": round(height * SCREEN_DPI)}


def to_svg(figure: Figure) -> str:
    """Give a figure as an `<svg>` element for an HTML page; text stays text, the same figure gives the same bytes."""
    _settle(figure)
    settings: Any = {"svg.hashsalt": "workbench", "svg.fonttype": "none"}
    data = io.StringIO()
    with _svg_settings, mpl.rc_context(settings):
        figure.savefig(data, format="svg", metadata={"Date": None, "Creator": None})
    text = data.getvalue()
    return text[text.index("<svg") :]


def _settle(figure: Figure) -> None:
    """Place everything once and for all: laid out anew at every rendering it would shift by fractions of a pixel."""
    layout = figure.get_layout_engine()
    if layout and figure.axes:
        layout.execute(figure)
        for axes in figure.axes:  # the solver's last digits differ from time to time
            place = axes.get_position(original=True)
            axes.set_position(Bbox(place.get_points().round(6)))
    figure.set_layout_engine(None)  # "none" would leave a placeholder, for which saving draws everything twice


# --- what every picture shares ---------------------------------------------------------------------------------------


def start(height: float, title: str, note: str = "", width: float = WIDTH) -> Picture:
    """Start a picture: white paper, the message as its title, a softer note under it."""
    top = (0.36 + (0.24 if note else 0.0)) / height
    left = 0.1 / width
    layout = ConstrainedLayoutEngine(rect=(left, 0, 1 - 2 * left, 1 - top), w_pad=0.06, h_pad=0.04)
    figure = Picture(figsize=(width, height), layout=layout, facecolor=PAPER, dpi=SCREEN_DPI)
    figure.text(left, 1 - 0.09 / height, title, size=12, weight="bold", color=INK, va="top", parse_math=False)
    if note:
        figure.text(left, 1 - 0.35 / height, note, size=9, color=SOFT, va="top", parse_math=False)
    return figure


def quiet(axes: Axes, *, grid: str = "x") -> Axes:
    """Leave only what is read: soft ticks, grid lines along one axis, no frame."""
    axes.set_facecolor(PAPER)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=9, length=0)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    return axes


def nothing(title: str, why: str) -> Picture:
    """Give a picture that says why there is nothing to see."""
    return start(0.9, title, why)


def short(name: str, limit: int = NAME_LIMIT) -> str:
    """Cut a name that is too long for a picture."""
    return name if len(name) <= limit else name[: limit - 1] + "…"


def _bars(axes: Axes, names: Sequence[str], values: Sequence[float], texts: Sequence[str], color: str) -> None:
    """Draw horizontal bars, the first on top, with their value at the end."""
    places = np.arange(len(names))
    axes.barh(places, values, height=0.72, color=color)
    axes.set_yticks(places, [short(name) for name in names], parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    for place, value, text in zip(places, values, texts, strict=True):
        beside(axes, text, (max(value, 0.0), float(place)), 4)
    longest = max([*values, 0])
    axes.set_xlim(min([*values, 0]) * 1.05, longest * 1.22 or 1)


def beside(axes: Axes, text: str, place: tuple[float, float], gap: int) -> None:
    """Write a text to the right of a place, `gap` points away."""
    axes.annotate(text, place, (gap, 0), textcoords="offset points", va="center", size=8, color=INK)


def _count_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def percent_tick(value: float, _: object = None) -> str:
    """Write a share at an axis.

    >>> percent_tick(0.3), percent_tick(0.025)
    ('30 %', '2.5 %')
    """
    return f"{100 * value:.3g} %"


def percent(value: float) -> str:
    """Write a share so that small ones do not become zero.

    >>> [percent(value) for value in (0.523, 0.0004, 0.0)]
    ['52.3 %', '< 0.1 %', '0 %']
    """
    if 0 < value < 0.0005:
        return "< 0.1 %"
    return f"{100 * value:.1f} %" if value else "0 %"


# --- categories ------------------------------------------------------------------------------------------------------


def categories(metrics: Mapping[str, Any]) -> Picture:
    """Show how items, rows and, where there is one, the amount spread over the categories.

    Args:
        metrics: metrics.json; it needs category_counts, category_rows and category_amounts. Amounts that do not add up
            to more than zero have no shares and are not shown.
    """
    columns = {"items": metrics["category_counts"], "rows": metrics["category_rows"]}
    amounts = metrics.get("category_amounts") or {}
    if sum(amounts.values()) > 0:
        columns["amount"] = amounts
    table = _with_rest(pd.DataFrame(columns, dtype="float64").fillna(0))
    totals = table.sum()
    title = f"How the categories share the items{', the rows and the amount' if 'amount' in table else ' and the rows'}"
    if table.empty:
        return nothing(title, "Nothing is classified yet.")
    note = f"Share of each category; {totals['items']:,.0f} items stand for {totals['rows']:,.0f} rows"
    note += f" and an amount of {totals['amount']:,.2f}" if "amount" in table else ""
    figure = start(1.25 + BAR * len(table), title, note)
    panels = figure.subplots(1, len(table.columns), sharey=True, squeeze=False)[0]
    for axes, measure, color in zip(panels, table.columns, (BLUE, SKY, GREEN), strict=False):
        shares = table[measure] / (totals[measure] or 1)
        _bars(quiet(axes), list(table.index), list(shares), [percent(share) for share in shares], color)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.xaxis.set_major_formatter(FuncFormatter(percent_tick))
        axes.set_xlabel(f"% of {'the ' if measure == 'amount' else ''}{measure}", size=9, color=SOFT)
    return figure


def _with_rest(table: pd.DataFrame) -> pd.DataFrame:
    """Sort by items and sum up the smallest where there are too many for a picture."""
    table = table.sort_values(["items", "rows"], ascending=False, kind="stable")
    if len(table) <= CATEGORIES_SHOWN:
        return table
    rest = table.iloc[CATEGORIES_SHOWN - 1 :]
    summed = rest.sum().to_frame(f"{len(rest)} smaller categories").T
    return pd.concat([table.iloc[: CATEGORIES_SHOWN - 1], summed])


# --- scores ----------------------------------------------------------------------------------------------------------


def scores(predictions: pd.DataFrame) -> Picture:
    """Show how sure the classifier says it is: a histogram in the colours of the bands, ambiguous items (-1) apart.

    Args:
        predictions: columns score and status; pending items are left out.
    """
    title = "How sure the classifier says it is"
    score = predictions.loc[predictions["status"] != Status.PENDING, "score"].astype("float64").dropna()
    if score.empty:
        return nothing(title, "Nothing is classified yet.")
    sure = score[score != AMBIGUOUS_SCORE]
    ambiguous = len(score) - len(sure)
    low, high = int((sure < MEDIUM_SCORE).sum()), int((sure >= HIGH_SCORE).sum())
    bands = {"high": high, "medium": len(sure) - high - low, "low": low, "ambiguous": ambiguous}
    note = "  ·  ".join(f"{name} {n:,} ({percent(n / len(score))})" for name, n in bands.items())
    figure = start(3.6, title, note)
    apart, axes = figure.subplots(1, 2, sharey=True, width_ratios=(1.4, 20))
    apart.bar([0], [ambiguous], width=0.8, color=SOFT)
    apart.set_xticks([0], ["-1"])
    apart.set_xlim(-0.8, 0.8)
    _draw_histogram(axes, sure)
    for panel in (quiet(apart, grid="y"), quiet(axes, grid="y")):
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    apart.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    apart.set_ylabel("items", size=9, color=SOFT)
    axes.set_xlabel("score (-1 at the left: ambiguous, a flag and no score)", size=9, color=SOFT)
    return figure


def _draw_histogram(axes: Axes, sure: pd.Series[float]) -> None:
    """Draw the bars; a tiny push keeps 0.7 from falling below its own edge."""
    bins = np.clip(np.floor(sure.to_numpy() * BINS + 1e-9), 0, BINS - 1).astype(int)
    counts = np.bincount(bins, minlength=BINS)
    starts = np.arange(BINS) / BINS
    colors = [
        BLUE if start + 1e-9 >= HIGH_SCORE else SKY if start + 1e-9 >= MEDIUM_SCORE else ORANGE for start in starts
    ]
    axes.bar(starts, counts, width=0.92 / BINS, align="edge", color=colors)
    axes.set_xlim(-0.01, 1.01)
    axes.set_xticks([0, 0.2, MEDIUM_SCORE, 0.6, HIGH_SCORE, 0.8, 1])
    for limit in (MEDIUM_SCORE, HIGH_SCORE):
        axes.axvline(limit - 0.002, color=SOFT, linewidth=0.8, linestyle=(0, (3, 3)))
    place = axes.get_xaxis_transform()
    for middle, band in ((0.2, "low"), (0.55, "medium"), (0.85, "high")):
        axes.text(middle, 1.0, band, transform=place, ha="center", va="bottom", size=9, color=SOFT)


# --- accuracy --------------------------------------------------------------------------------------------------------


def accuracy(history: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Picture:
    """Show the accuracy of every iteration with its 95 % interval.

    Args:
        history: history.json, or its entries: `iteration` and `accuracy` (estimate, low, high, n; or null).
    """
    title = "How often each iteration is right"
    entries = list(history["iterations"] if isinstance(history, Mapping) else history)
    measured = {entry["iteration"]: entry["accuracy"] for entry in entries if entry["accuracy"]}
    if not measured:
        return nothing(title, "No iteration was reviewed yet.")
    figure = start(3.6, title, "Accuracy on reviewed items, with the 95 % interval; n = verdicts that count")
    axes = quiet(figure.subplots(), grid="y")
    for iteration, facts in measured.items():
        axes.plot([iteration] * 2, [facts["low"], facts["high"]], color=BLUE, linewidth=2.5, solid_capstyle="butt")
        axes.plot([iteration], [facts["estimate"]], "o", color=BLUE, markersize=8, markeredgecolor=PAPER)
        text = percent(facts["estimate"]) + (f"\nn = {facts['n']:,}" if len(measured) <= 8 else "")
        beside(axes, text, (iteration, facts["estimate"]), 10)
    numbers = [entry["iteration"] for entry in entries]
    names = [f"{number}" if number in measured else f"{number}\nnot reviewed" for number in numbers]
    axes.set_xticks(numbers, names)
    axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.7)
    lowest = min(facts["low"] for facts in measured.values())
    axes.set_ylim(max(0.0, np.floor(lowest * 10 - 0.5) / 10), 1.02)
    axes.yaxis.set_major_formatter(FuncFormatter(percent_tick))
    axes.set_xlabel("iteration", size=9, color=SOFT)
    axes.set_ylabel("accuracy", size=9, color=SOFT)
    return figure


# --- confusion -------------------------------------------------------------------------------------------------------


def confusion(accuracy: Mapping[str, Any] | None) -> Picture:
    """Show which categories are taken for which: verdicts by true (rows) and predicted category (columns).

    Args:
        accuracy: `accuracy` of metrics.json with by_category and confused_pairs; null before a review.
    """
    title = "Which categories are taken for which"
    if not accuracy or not accuracy["by_category"]:
        return nothing(title, "No verdict names a true category yet.")
    names, matrix = _confusion_matrix(accuracy)
    wrong = int(matrix.sum() - matrix.trace())
    note = f"Verdicts by true and predicted category; {wrong:,} off the diagonal; blue = share of the row"
    size = len(names)
    figure = start(2.2 + 0.3 * size, title, note, width=max(6.5, min(WIDTH + 1, 3.4 + 0.36 * size)))
    axes = quiet(figure.subplots(), grid="")
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    blues = LinearSegmentedColormap.from_list("paper to blue", [PAPER, SKY, BLUE])
    axes.imshow(shares, cmap=blues, vmin=0, vmax=1, aspect="auto")
    _write_cells(axes, matrix, shares)
    axes.set_yticks(range(size), names, parse_math=False)
    axes.set_xticks(range(size), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=GRID, linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    axes.set_ylabel("true category", size=9, color=SOFT)
    axes.set_xlabel("predicted category", size=9, color=SOFT)
    return figure


def _confusion_matrix(accuracy: Mapping[str, Any]) -> tuple[list[str], Counts]:
    """Rebuild the matrix from what metrics.json keeps; the most frequent true category first."""
    pairs = accuracy["confused_pairs"]
    names = [row["category"] for row in accuracy["by_category"]]
    names = list(dict.fromkeys([*names, *(pair["predicted"] for pair in pairs)]))
    place = {name: position for position, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    for row in accuracy["by_category"]:
        matrix[place[row["category"]], place[row["category"]]] = row["correct"]
    for pair in pairs:
        matrix[place[pair["true"]], place[pair["predicted"]]] = pair["n"]
    return [short(name, 30) for name in names], matrix


def _write_cells(axes: Axes, matrix: Counts, shares: NDArray[np.float64]) -> None:
    """Write the counts; mistakes in a colour that stands out."""
    for row, column in np.argwhere(matrix):
        right = row == column
        color = PAPER if shares[row, column] > 0.6 else INK if right else VERMILLION
        weight = "normal" if right else "bold"
        text = f"{matrix[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", size=8, color=color, weight=weight)


# --- moves and deduplication -----------------------------------------------------------------------------------------


def moves(comparison: Mapping[str, Any]) -> Picture:
    """Show the most frequent changes of category between two iterations.

    Args:
        comparison: comparison.json.
    """
    title = f"What iteration {comparison['iteration_number']} classifies differently"
    ways = comparison["distribution_comparison"]["moves"]
    if not ways:
        return nothing(title, "No item changed its category.")
    shown = ways[:MOVES_SHOWN]
    note = f"{comparison['items_changed']:,} of {comparison['items_compared']:,} items changed their category"
    if len(ways) > len(shown):
        note += f"; the {len(shown)} most frequent of {len(ways):,} changes"
    figure = start(1.25 + BAR * len(shown), title, note)
    axes = quiet(figure.subplots())
    names = [f"{short(way['from'], 30)} → {short(way['to'], 30)}" for way in shown]
    counts = [way["items"] for way in shown]
    _bars(axes, names, counts, [f"{count:,}" for count in counts], BLUE)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    _count_axis(axes)
    axes.set_xlabel("items", size=9, color=SOFT)
    return figure


def deduplication(stats: Mapping[str, Any]) -> Picture:
    """Show how many rows became how many items.

    Args:
        stats: original_rows and deduplicated_rows, as deduplication reports them.
    """
    rows, items = int(stats["original_rows"]), int(stats["deduplicated_rows"])
    title = f"{rows:,} row{'' if rows == 1 else 's'} became {items:,} item{'' if items == 1 else 's'}"
    if not rows:
        return nothing(title, "There are no rows.")
    note = f"Every distinct text is classified once: {percent((rows - items) / rows)} less to classify"
    figure = start(1.25 + 2 * 0.36, title, note)
    axes = quiet(figure.subplots())
    _bars(axes, ["rows", "items"], [rows, items], [f"{rows:,}", f"{items:,}"], BLUE)
    axes.patches[0].set_facecolor(SKY)
    _count_axis(axes)
    axes.set_xlabel("count", size=9, color=SOFT)
    return figure
