"""`workbench lab --page`: a notebook as a page without code, served by Voila to whoever started it."""

from __future__ import annotations

import importlib.util
import os
import secrets
import webbrowser
from pathlib import Path
from typing import Any

from workbench.errors import MissingExtra, install
from workbench.settings import FILES_URL, database_url, runs_folder, shipped_folder
from workbench.widgets.server import configuration, voila

PORT = 8868
OTHER_PORTS = 20

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; connect-src 'self' ws: wss: blob: data:;"
        " frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
MANAGERS = ("@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8", "anywidget")
READ = r".*/(report\.html|classified\.xlsx|review(_second)?\.xlsx|[0-9]{2}_\w+\.ipynb)"
"""Files that a page may link: what people read of a run."""


def show(name: str, port: int | None, *, browser: bool) -> None:
    """Serve `notebooks/<name>.ipynb` of this folder, or the shipped one, on this machine until Ctrl+C.

    Raises MissingExtra without Voila.
    """
    if importlib.util.find_spec("voila") is None:
        raise MissingExtra("Voila is not installed.", hint=install("review"))
    token = secrets.token_urlsafe(24)
    app = voila(_configuration(name, port, token))
    _tell(app, token, browser=browser)
    app.start()


def _configuration(name: str, port: int | None, token: str) -> Any:
    here = Path.cwd()
    project = here if (here / "notebooks" / f"{name}.ipynb").is_file() else shipped_folder()
    config = configuration(project / "notebooks" / f"{name}.ipynb", "notebook", _with_cookie)
    config.Voila.root_dir = str(project)
    config.Voila.ip, config.Voila.port, config.Voila.port_retries = (
        "127.0.0.1",
        port or PORT,
        0 if port else OTHER_PORTS,
    )
    config.Voila.token = token
    config.Voila.tornado_settings = {"headers": HEADERS}
    config.VoilaConfiguration.extension_allowlist = list(MANAGERS)
    config.VoilaConfiguration.file_allowlist, config.VoilaConfiguration.file_denylist = [READ], []
    config.VoilaConfiguration.show_tracebacks = True  # the reader is the owner
    places = {"WORKBENCH_RUNS": str(runs_folder().resolve()), "WORKBENCH_DATABASE_URL": database_url(runs_folder())}
    os.environ |= {FILES_URL: "/voila/files/", **places}  # for the kernels, which work in another folder
    return config


def _with_cookie(req: Any, notebook: Any, cwd: str) -> None:
    """Set the cookie without which a closed page cannot end its kernel (voila#1458)."""
    _ = req.xsrf_token


def _tell(app: Any, token: str, *, browser: bool) -> None:
    from tornado.ioloop import IOLoop

    def tell() -> None:
        address = f"http://127.0.0.1:{app.port}/?token={token}"
        print(f"{address}\nCtrl+C ends the page; runs that it has started go on.", flush=True)
        if browser:
            webbrowser.open(address)

    IOLoop.current().add_callback(tell)
