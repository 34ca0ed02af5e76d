"""The kernels of a review: one is always ready, with everything imported, so that whoever comes next need not wait."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

AHEAD: dict[str, Any] = {
    "path": "",  # the folder of the notebook, as for the others
    "extra_arguments": [
        "--IPKernelApp.exec_lines=import workbench.settings; workbench.settings.load_quickly()",
        "--IPKernelApp.exec_lines=import workbench.widgets.review",
    ],
}
REFILL_SECONDS = 0.5
"""How long the visitor who took the kernel that was ready has the processor alone."""


class ReadyKernels(AsyncMappingKernelManager):
    """Gives away a kernel that was started before, and then starts the next one."""

    _next: asyncio.Task[str] | None = None

    def get_ready(self) -> None:
        """Start a kernel for whoever comes next."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._start_ahead())

    def in_use(self) -> int:
        """Count the kernels that were given away."""
        return len(self) - (self._ready() in self)

    async def start_kernel(self, **asked: Any) -> str:  # type: ignore[override]
        """Give the kernel that is ready, or start one where there is none."""
        started, self._next = self._next, None
        kernel_id = await started if started else ""
        asyncio.get_running_loop().call_later(REFILL_SECONDS, self.get_ready)
        kernel: Any = self.get_kernel(kernel_id) if kernel_id in self else None
        if kernel is None or not await kernel.is_alive():
            return str(await super().start_kernel(**asked))
        kernel.last_activity = utcnow()  # it has been idle until now
        return kernel_id

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End a kernel that nobody uses any more."""
        if kernel_id != self._ready():
            await super().cull_kernel_if_idle(kernel_id)  # type: ignore[no-untyped-call]

    def _ready(self) -> str:
        return self._next.result() if self._next and self._next.done() else ""

    async def _start_ahead(self) -> str:
        try:
            return str(await super().start_kernel(**AHEAD))
        except Exception:  # whoever comes next is told, if it fails again
            self.log.exception("no kernel could be started ahead")
            return ""
