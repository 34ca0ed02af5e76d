"""How many items to take from each stratum."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping


def allocate(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """Share out a sample over strata in proportion to their counts: exactly `size`, or everything if there is less.

    Seats go one by one to the stratum that is furthest below its quota, which gives the largest-remainder method
    (Hamilton). Where the size allows, every stratum starts with one seat, so that none vanishes through rounding.
    The arithmetic is in integers; ties go to the larger stratum, then by name.

    >>> allocate({"Pop": 900, "Renta": 99, "Otros": 1}, 10)
    {'Pop': 8, 'Renta': 1, 'Otros': 1}
    >>> allocate({"Pop": 900, "Renta": 99, "Otros": 1}, 2)
    {'Pop': 2, 'Renta': 0, 'Otros': 0}
    """
    filled = {name: count for name, count in counts.items() if count > 0}
    total = sum(filled.values())
    size = min(size, total)
    start = 1 if size >= len(filled) else 0
    seats = dict.fromkeys(counts, 0) | dict.fromkeys(filled, start)
    queue = [(start * total - size * count, -count, name) for name, count in filled.items()]
    heapq.heapify(queue)
    for _ in range(size - start * len(filled)):
        above_quota, count, name = queue[0]
        seats[name] += 1
        heapq.heapreplace(queue, (above_quota + total, count, name))
    return seats


def allocate_by_spread(counts: Mapping[str, int], spread: Mapping[str, float], size: int) -> dict[str, int]:
    """Share out a sample so that the estimate over all strata varies least: exactly `size`, or everything.

    Neyman's allocation n_h ∝ N_h · S_h in whole numbers: seats go one by one to the stratum with the highest
    N_h · S_h / √(n (n+1)), which is exactly optimal (Wright 2017, Statistics and Probability Letters 129, 50–57). Every
    stratum starts with two seats where the size allows, otherwise with one, so that its spread can be measured.

    >>> allocate_by_spread({"sure": 100, "unsure": 100}, {"sure": 0.1, "unsure": 0.5}, 24)
    {'sure': 4, 'unsure': 20}
    """
    filled = {name: count for name, count in counts.items() if count > 0}
    size = min(size, sum(filled.values()))
    start = next((seats for seats in (2, 1) if sum(min(seats, count) for count in filled.values()) <= size), 0)
    seats = dict.fromkeys(counts, 0) | {name: min(start, count) for name, count in filled.items()}
    queue = [(_priority(count, spread[name], seats[name]), name) for name, count in filled.items()]
    heapq.heapify(queue)
    for _ in range(size - sum(seats.values())):
        while seats[queue[0][1]] >= counts[queue[0][1]]:
            heapq.heappop(queue)
        name = queue[0][1]
        seats[name] += 1
        heapq.heapreplace(queue, (_priority(counts[name], spread[name], seats[name]), name))
    return seats


def _priority(count: int, spread: float, seats: int) -> float:
    """Give the place in the queue, the smallest first; a stratum without a seat comes before all others."""
    return -math.inf if not seats else -count * max(spread, 1e-9) / math.sqrt(seats * (seats + 1))
