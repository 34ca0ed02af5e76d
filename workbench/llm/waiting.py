"""What still has to be asked, and in which chunks: fresh questions, those asked again, those put off for a while."""

from __future__ import annotations

import heapq
import math
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from itertools import count

from workbench.llm.repair import Chunk
from workbench.llm.sheet import Question

_CLEAN_TO_GROW = 4


class ChunkSize:
    """How many questions a chunk holds: as many as allowed, fewer where answers are bad, then carefully more again."""

    def __init__(self, most: int) -> None:
        """Start with the most."""
        self._most = most
        self._least = max(1, most // 10)
        self._clean = 0
        self.now = most

    def answered(self, size: int, good: int, *, truncated: bool) -> None:
        """Learn from an answer with so many good items."""
        if truncated:
            self._shrink(max(1, int(min(good * 0.8, size / 2) if good else size / 2)), least=1)
        elif good < 0.8 * size:
            self._shrink(int(size * 0.7), self._least)
        elif size >= self.now:
            self._clean += 1
            if self._clean >= _CLEAN_TO_GROW and self.now < self._most:
                self.now, self._clean = min(self._most, math.ceil(self.now * 1.25)), 0

    def too_long(self, size: int) -> None:
        """Learn that a chunk did not fit: it never becomes as large again."""
        self._most = self._most if size > self._most else max(1, size - 1)
        self._shrink(max(1, size // 2), least=1)

    def too_slow(self, size: int) -> None:
        """Learn that a chunk was not answered in time."""
        self._shrink(size // 2, self._least)

    def _shrink(self, size: int, least: int) -> None:
        self.now, self._clean = min(self.now, max(least, size)), 0


class Waiting:
    """The questions that wait to be asked; those asked again go first."""

    def __init__(self, questions: Iterable[Question], size: ChunkSize) -> None:
        """Take the fresh questions, in order."""
        self._fresh = deque(questions)
        self._size = size
        self._pools: dict[int, list[Question]] = defaultdict(list)
        """Attempts → questions that were faulty in an answer that was otherwise good."""
        self._later: list[tuple[float, int, Chunk]] = []
        self._order = count()

    def __bool__(self) -> bool:
        """Say whether anything waits."""
        return bool(self._fresh or self._later or any(self._pools.values()))

    def put_off(self, chunk: Chunk, seconds: float) -> None:
        """Have a chunk asked again, as it is, after so many seconds."""
        heapq.heappush(self._later, (time.monotonic() + seconds if seconds else 0.0, next(self._order), chunk))

    def pool(self, questions: Iterable[Question], attempts: int) -> None:
        """Have questions asked again together with others: one call for all of them costs the prompt only once."""
        self._pools[attempts].extend(questions)

    def take(self) -> Chunk | None:
        """Give the next chunk; None if there is none or all must wait."""
        if self._later and self._later[0][0] <= time.monotonic():
            return heapq.heappop(self._later)[2]
        smaller = max(1, self._size.now // 2)
        for attempts in sorted(self._pools, reverse=True):
            pool = self._pools[attempts]
            if len(pool) >= smaller or (pool and not self._fresh):
                self._pools[attempts] = pool[smaller:]
                return Chunk(tuple(pool[:smaller]), attempts)
        if not self._fresh:
            return None
        return Chunk(tuple(self._fresh.popleft() for _ in range(min(self._size.now, len(self._fresh)))))

    def drain(self) -> list[Question]:
        """Give everything that waits, and wait for nothing any more."""
        put_off = [question for _, _, chunk in self._later for question in chunk.questions]
        pooled = [question for pool in self._pools.values() for question in pool]
        left = [*put_off, *pooled, *self._fresh]
        self._later.clear()
        self._pools.clear()
        self._fresh.clear()
        return left

    def seconds_until_due(self) -> float | None:
        """Give the seconds until the next chunk that was put off is due; None if there is none."""
        return max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
