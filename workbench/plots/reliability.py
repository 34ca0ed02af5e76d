"""What a score is worth, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.ticker import FuncFormatter

from workbench.plots.pictures import (
    BLUE,
    GREEN,
    ORANGE,
    PAPER,
    SOFT,
    Picture,
    beside,
    nothing,
    percent_tick,
    quiet,
    start,
)


def reliability(calibration: Mapping[str, Any] | None) -> Picture:
    """Show how often answers of a score are right, with 95 % intervals; on the diagonal a score means what it says.

    Args:
        calibration: `calibration` of metrics.json.
    """
    title = "What a score is worth"
    if not calibration or not calibration["bins"]:
        return nothing(title, calibration["note"] if calibration else "No iteration was reviewed yet.")
    ece = calibration["ece"]
    note = f"Share that is right by score, with 95 % intervals; calibration error {100 * ece['estimate']:.1f} points"
    figure = start(4.4, title, f"{note} ({100 * ece['low']:.1f} to {100 * ece['high']:.1f})")
    axes = quiet(figure.subplots(), grid="both")
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 4)))
    for each in calibration["bins"]:
        axes.plot([each["mean_score"]] * 2, [each["low"], each["high"]], color=BLUE, linewidth=2.5)
        axes.plot([each["mean_score"]], [each["estimate"]], "o", color=BLUE, markersize=7, markeredgecolor=PAPER)
        beside(axes, f"n = {each['n']:,}", (each["mean_score"], each["estimate"]), 8)
    if calibration["map"]:
        points = calibration["map"]["points"]
        axes.plot([each["score"] for each in points], [each["probability"] for each in points], color=ORANGE)
    if calibration["acceptance"]["score"] is not None:
        axes.axvline(calibration["acceptance"]["score"], color=GREEN, linewidth=1.5)
    axes.set_xlim(-0.02, 1.06)
    axes.set_ylim(-0.03, 1.03)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(percent_tick))
    axes.set_xlabel("score (orange: fitted map; green: accepted from here on)", size=9, color=SOFT)
    axes.set_ylabel("right", size=9, color=SOFT)
    return figure
