"""The process that serves a review: Voila with one notebook, signed links, no overrides, no CDN.

`launcher` starts it as `python -m workbench.widgets.server`, tells it on standard input what to serve, and ends it by
closing that. What stock Voila lacks is set here: docs/review.md says what and why.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.settings import load_quickly
from workbench.widgets.links import reviewer_of, secret_of

KERNELS_PER_REVIEWER = 4
"""One more ends the reviewer's oldest."""
CULL_SECONDS = 900
LOOK_SECONDS = 10
"""How often the kernels that nobody uses are looked for."""
READY = "ready"

REFUSED = (
    "Este enlace no es válido o ya venció: pida uno nuevo a quien se lo envió. · "
    "This link is not valid or has expired: ask whoever sent it for a new one."
)
FULL = "Hay demasiadas sesiones abiertas: cierre alguna. · Too many sessions are open: close one."

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' blob:; style-src 'unsafe-inline'; img-src data:;"
        " connect-src 'self' ws: wss:; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def serve(order: dict[str, Any]) -> None:
    """Serve until standard input is closed.

    Args:
        order: `folder` (of the runs), `run_id`, `iteration`, `notebook`, `ip`, `port`, `other_ports` (how many to try
            where that is taken), `reviewers` (how many).
    """
    load_quickly()
    from tornado.ioloop import IOLoop

    config = configuration(Path(order["notebook"]), "review", _door(order))
    config.Voila.ip, config.Voila.port, config.Voila.port_retries = order["ip"], order["port"], order["other_ports"]
    config.Voila.tornado_settings = {"headers": HEADERS}
    config.VoilaConfiguration.multi_kernel_manager_class = "workbench.widgets.kernels.ReadyKernels"
    config.ReadyKernels.most = max(2, order["reviewers"]) * KERNELS_PER_REVIEWER
    config.MappingKernelManager.cull_interval = LOOK_SECONDS
    config.VoilaConfiguration.extension_allowlist = []
    config.VoilaConfiguration.file_allowlist, config.VoilaConfiguration.file_denylist = [], [".*"]
    config.VoilaConfiguration.show_tracebacks = False
    app = voila(config)
    threading.Thread(target=_until_closed, args=(app,), daemon=True).start()
    IOLoop.current().add_callback(_tell_ready, app)
    app.start()


def _tell_ready(app: Any) -> None:
    """Say at which port, and start the first kernel before anybody asks for it."""
    print(READY, app.port, flush=True)
    app.kernel_manager.get_ready()


def configuration(notebook: Path, template: str, hook: Callable[..., Any]) -> Any:
    """Give Voila's settings for one notebook and nothing else, with a template of ours and no overrides."""
    from traitlets.config import Config

    config = Config()
    config.Voila.notebook_path = str(notebook)
    config.Voila.open_browser = False
    config.Voila.config_file_paths = []  # what is configured for other dashboards does not hold here
    config.Voila.log_level = logging.WARNING
    config.VoilaConfiguration.prelaunch_hook = hook
    config.VoilaConfiguration.template = template
    config.VoilaConfiguration.allow_template_override = "NO"
    config.VoilaConfiguration.allow_theme_override = "NO"
    config.MappingKernelManager.cull_idle_timeout = CULL_SECONDS
    config.MappingKernelManager.cull_interval = 60
    if os.name == "posix":
        config.KernelManager.transport = "ipc"
    return config


def voila(config: Any) -> Any:
    """Give Voila's application with these settings, ready to start."""
    from voila.app import Voila

    os.environ["JUPYTER_PATH"] = os.pathsep.join(
        [str(Path(__file__).with_name("jupyter")), *filter(None, [os.environ.get("JUPYTER_PATH")])]
    )
    app = Voila(config=config)
    app.initialize([])
    for name in ("tornado.access", "tornado.general", "tornado.application"):
        logging.getLogger(name).addFilter(_without_signature)
    return app


def _door(order: dict[str, Any]) -> Callable[..., Any]:
    """Give the hook that lets a reviewer in, or not, before any kernel starts."""
    from nbformat.v4 import new_code_cell

    secret = secret_of(Path(order["folder"]))
    review = f"{order['run_id']}/{order['iteration']}"

    def hook(req: Any, notebook: Any, cwd: str) -> Any:
        _ = req.xsrf_token  # sets the cookie without which a closed page cannot end its kernel (voila#1458)
        query = {name: req.get_query_argument(name, "") for name in ("reviewer", "until", "sig")}
        reviewer = reviewer_of(secret, review, query)
        if reviewer is None:
            _turn_away(req, 403, REFUSED)
        if not req.kernel_manager.room_for(reviewer):
            _turn_away(req, 503, FULL)
        req.kernel_manager.visitor.set(reviewer)
        values = {"run_id": order["run_id"], "iteration": order["iteration"], "reviewer": reviewer}
        place = next(k for k, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
        source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
        notebook.cells.insert(place + 1, new_code_cell(source))  # type: ignore[no-untyped-call]
        return notebook

    return hook


def _turn_away(req: Any, status: int, words: str) -> None:
    """Answer with a sentence; no kernel starts."""
    from tornado.web import Finish

    req.set_status(status)
    req.set_header("Content-Type", "text/plain; charset=utf-8")
    req.finish(words)
    raise Finish


def _without_signature(record: logging.LogRecord) -> bool:
    """Keep what lets somebody in out of the log."""
    record.msg, record.args = re.sub(r"(sig|token)=[^&\s)]+", r"\1=…", record.getMessage()), ()
    return True


def _until_closed(app: Any) -> None:
    sys.stdin.read()
    app.ioloop.add_callback(app.ioloop.stop)


if __name__ == "__main__":
    serve(json.loads(sys.stdin.readline()))
