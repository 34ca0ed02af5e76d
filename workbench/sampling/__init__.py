"""Which predictions people look at: strategies, the draw, and what it looks like in numbers."""

from workbench.sampling.allocation import allocate, allocate_by_spread
from workbench.sampling.drawing import design, draw, mark_for_reviewers
from workbench.sampling.stats import sampling_stats
from workbench.sampling.strategies import NEEDS, PROBABILITY, STRATEGIES, TARGETED, Request, Strata

__all__ = [
    "NEEDS",
    "PROBABILITY",
    "STRATEGIES",
    "TARGETED",
    "Request",
    "Strata",
    "allocate",
    "allocate_by_spread",
    "design",
    "draw",
    "mark_for_reviewers",
    "sampling_stats",
]
