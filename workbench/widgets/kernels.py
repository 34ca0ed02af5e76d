"""The kernels of a review: one is always ready, with everything imported, so that whoever comes next need not wait."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Integer

from workbench.widgets.server import KERNELS_PER_REVIEWER

AHEAD: dict[str, Any] = {
    "path": "",  # the folder of the notebook, as for the others
    "extra_arguments": [
        "--IPKernelApp.exec_lines=import workbench.settings; workbench.settings.load_quickly()",
        "--IPKernelApp.exec_lines=import workbench.widgets.review",
    ],
}
REFILL_SECONDS = 0.5
"""How long the visitor who took the kernel that was ready has the processor alone."""


UNVISITED = timedelta(seconds=30)
"""How long a kernel waits for its page, which may have been left before it was there."""


class ReadyKernels(AsyncMappingKernelManager):
    """Gives away a kernel that was started before, and then starts the next one; nobody gets more than their share."""

    visitor: ContextVar[str] = ContextVar("visitor", default="")
    """The reviewer who is being let in."""
    most = Integer(2 * KERNELS_PER_REVIEWER, config=True, help="How many kernels may be in use, of all reviewers.")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._next: asyncio.Task[str] | None = None
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def get_ready(self) -> None:
        """Start a kernel for whoever comes next."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._start_ahead())

    def room_for(self, reviewer: str) -> bool:
        """Say whether there is a kernel for a reviewer: a free one, or one that ends for it."""
        return bool(self._held_by(reviewer)) or self._in_use() < self.most

    async def start_kernel(self, **asked: Any) -> str:  # type: ignore[override]
        """Give the visitor the kernel that is ready, or a new one; where they have their share, their oldest ends."""
        visitor = self.visitor.get()
        async with self._turns[visitor]:
            held = self._held_by(visitor)
            if len(held) >= KERNELS_PER_REVIEWER or (held and self._in_use() >= self.most):
                await self.shutdown_kernel(held[0], now=True)  # type: ignore[no-untyped-call]
            kernel_id = await self._take(asked)
            kernel: Any = self.get_kernel(kernel_id)
            kernel.given_to, kernel.given_at, kernel.visited = visitor, time.monotonic(), False
        return kernel_id

    def notify_connect(self, kernel_id: str) -> None:
        """Note that a page has come to its kernel."""
        super().notify_connect(kernel_id)  # type: ignore[no-untyped-call]
        if kernel_id in self:
            kernel: Any = self.get_kernel(kernel_id)
            kernel.visited = True

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel that nobody uses any more, or whose page has never come."""
        kernel: Any = self.get_kernel(kernel_id)
        if kernel_id == self._ready():
            return
        if not getattr(kernel, "visited", True) and utcnow() - kernel.last_activity > UNVISITED:
            await self.shutdown_kernel(kernel_id, now=True)  # type: ignore[no-untyped-call]
        else:
            await super().cull_kernel_if_idle(kernel_id)  # type: ignore[no-untyped-call]

    def _held_by(self, reviewer: str) -> list[str]:
        """Give the kernels of a reviewer: first those without a page, then from the oldest on."""
        kernels: dict[str, Any] = {kernel_id: self.get_kernel(kernel_id) for kernel_id in self.list_kernel_ids()}
        held = [each for each, kernel in kernels.items() if getattr(kernel, "given_to", None) == reviewer]
        return sorted(held, key=lambda each: (self._kernel_connections.get(each, 0) > 0, kernels[each].given_at))

    def _in_use(self) -> int:
        """Count the kernels that were given away."""
        return len(self) - (self._ready() in self)

    async def _take(self, asked: dict[str, Any]) -> str:
        started, self._next = self._next, None
        kernel_id = await started if started else ""
        asyncio.get_running_loop().call_later(REFILL_SECONDS, self.get_ready)
        kernel: Any = self.get_kernel(kernel_id) if kernel_id in self else None
        if kernel is not None:
            kernel.last_activity = utcnow()  # it has been idle until now
            if await kernel.is_alive():
                return kernel_id
        return str(await super().start_kernel(**asked))

    def _ready(self) -> str:
        return self._next.result() if self._next and self._next.done() else ""

    async def _start_ahead(self) -> str:
        try:
            return str(await super().start_kernel(**AHEAD))
        except Exception:  # whoever comes next is told, if it fails again
            self.log.exception("no kernel could be started ahead")
            return ""
