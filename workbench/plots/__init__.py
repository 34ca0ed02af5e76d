"""Pictures of a run; every function gives a matplotlib figure that shows itself in a notebook."""

from workbench.plots.charts import chart
from workbench.plots.pictures import (
    Picture,
    accuracy,
    categories,
    confusion,
    deduplication,
    moves,
    scores,
    to_svg,
)
from workbench.plots.reliability import reliability

__all__ = [
    "Picture",
    "accuracy",
    "categories",
    "chart",
    "confusion",
    "deduplication",
    "moves",
    "reliability",
    "scores",
    "to_svg",
]
