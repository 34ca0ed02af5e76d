"""`workbench.ipynb` and `history.ipynb` as pages of Voila, in a real browser: clicked, reloaded, a run found again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from browsing import until
from openai_server import OpenAIServer

from workbench.records import RunState
from workbench.runs import open_store
from workbench.settings import shipped_folder
from workbench.widgets.background import BackgroundRun

pytestmark = pytest.mark.skipif(os.name != "posix", reason="ends the server as Ctrl+C does")


@pytest.fixture
def opened(project, browser):
    """Open one of the pages of the small project; gives the page, its address and the foreign requests."""
    (project / "parameters").mkdir()
    (project / "notebooks").mkdir()
    for notebook in (shipped_folder() / "notebooks").glob("*.ipynb"):
        (project / "notebooks" / notebook.name).write_bytes(notebook.read_bytes())
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(page_of(project, browser, name))


@contextlib.contextmanager
def page_of(project, browser, name):
    command = [sys.executable, "-m", "workbench.cli", "lab", "--page", name, "--no-browser"]
    with (project / "page.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=log, text=True)
    page, foreign = browser.new_page(viewport={"width": 1280, "height": 1000}), []
    try:
        address = server.stdout.readline().strip()
        home = address.split("?")[0]
        ours = (home, home.replace("http", "ws"), "data:", "blob:")
        page.on("request", lambda request: None if request.url.startswith(ours) else foreign.append(request.url))
        page.set_default_timeout(60_000)
        page.goto(address)
        yield page, home
        assert foreign == []
        assert address.split("token=")[1] not in (project / "page.log").read_text()
    finally:
        page.close()
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
        server.stdout.close()


@pytest.mark.parametrize("name", ["workbench", "history"])
def test_the_plain_command_of_voila_shows_the_same_page(name, project, browser):
    (project / "notebooks").mkdir()
    notebook = shipped_folder() / "notebooks" / f"{name}.ipynb"
    (project / "notebooks" / notebook.name).write_bytes(notebook.read_bytes())
    port = free_port()
    command = [sys.executable, "-m", "voila", f"notebooks/{name}.ipynb", "--no-browser", f"--port={port}"]
    with (project / "voila.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=project, stdout=log, stderr=log)
    page = browser.new_page()
    try:
        home = f"http://127.0.0.1:{port}/"
        page.route(lambda url: not url.startswith((home, "data:", "blob:")), lambda route: route.abort())  # no internet
        page.set_default_timeout(60_000)
        until(lambda: answers(f"{home}static/"))
        page.goto(home, wait_until="domcontentloaded")
        page.locator(".wb-panel").first.wait_for()
        page.get_by_text({"workbench": "2 · Pipeline", "history": "Refresh"}[name]).first.wait_for()
    finally:
        page.close()
        server.terminate()
        server.wait(30)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return True
    except OSError:
        return False


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def status(address):
    try:
        with urllib.request.urlopen(address, timeout=30) as reply:
            return reply.url, reply.status
    except urllib.error.HTTPError as error:
        with error:
            return error.url, error.code


def test_a_run_that_was_started_by_clicking_is_found_again_after_a_reload(project, opened, monkeypatch):
    with OpenAIServer(delay=0.7) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        text = (project / "run.yaml").read_text().replace("{name: small}", "{name: small, iterations: 1}")
        text = text.replace("chunk_size: 5", "chunk_size: 1, concurrency: 1, provider: openai, model: test-model")
        (project / "parameters" / "demo.yaml").write_text(text)
        page, home = opened("workbench")
        assert "login" in status(home)[0]  # without the token there is no page and no kernel
        press(page, "Preview the cleaning")
        page.get_by_text("of 50 rows; 1 of 1 columns change").wait_for()
        page.get_by_role("tab", name="2 · Pipeline").click()
        press(page, "Start the run")
        page.get_by_text("the parameters are in parameters/my-run.yaml").wait_for()
        until(lambda: len(server.calls) > 1)
        page.reload()
        page.get_by_role("tab", name="2 · Pipeline", selected=True).wait_for()
        page.get_by_text("running", exact=True).wait_for()
        press(page, "Stop, and keep what is done")
        page.get_by_text("running", exact=True).wait_for(state="detached")
        assert 1 < len(server.calls) < 20
        assert open_store().latest().state != RunState.FINISHED


def test_the_history_opens_files_of_a_run_and_runs_it_again(project, opened, loop):
    from workbench.parameters import load_parameters

    loop(load_parameters("run.yaml", ["run.iterations=1"]), open_store(), run_id="one")
    page, home = opened("history")
    page.get_by_text("1 run in runs.").wait_for()
    for name in ("report.html", "classified.xlsx"):
        link = page.get_by_role("link", name=name).get_attribute("href")
        assert page.request.get(f"{home.rstrip('/')}{link}").status == 200
    for path in ("runs/workbench.sqlite", "runs/one/run.json", "run.yaml", "../../../etc/hostname"):
        assert page.request.get(f"{home}voila/files/{path}").status in (403, 404)
    press(page, "Run again with the same parameters")
    page.get_by_text("has started: workbench show").wait_for()
    page.reload()
    page.get_by_text("2 runs in runs.").wait_for()
    again = BackgroundRun(open_store(), open_store().latest().run_id)
    assert again.run_id != "one" and again.worker()
    again.stop()
    until(lambda: again.worker() is None)
