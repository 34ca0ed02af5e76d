"""The notebooks in the real JupyterLab, in a real browser: clicked through, reloaded, stopped and gone on with."""

import contextlib
import os
import socket
import subprocess
import time
import urllib.request

import pytest
from openai_server import OpenAIServer

from workbench import reviewing, workflow
from workbench.cli import main
from workbench.cli.doors import JUPYTERLAB
from workbench.parameters import load_parameters
from workbench.records import RunState
from workbench.runs import open_store
from workbench.settings import shipped_folder

SECONDS = 240


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def lab(project):
    """JupyterLab on the small project, with the shipped notebooks in it; gives its address."""
    (project / "parameters").mkdir()
    (project / "notebooks").mkdir()
    for notebook in (shipped_folder() / "notebooks").glob("*.ipynb"):
        (project / "notebooks" / notebook.name).write_bytes(notebook.read_bytes())
    port = free_port()
    command = [*JUPYTERLAB, "--no-browser", f"--port={port}", "--port-retries=0", "--allow-root"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={project}"]
    folders = {name: str(project / ".jupyter") for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    folders |= {f"JUPYTERLAB_{name}_DIR": str(project / ".jupyter" / name) for name in ("SETTINGS", "WORKSPACES")}
    with (project / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=project, env={**os.environ, **folders}, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{address}/api"))
        yield address
    finally:
        server.terminate()
        server.wait(30)


def answers(address):
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(address, timeout=5).status == 200
    return False


def wait_until(is_so, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def opened(browser, address, notebook):
    """Open a notebook and run all its cells; gives the page and the foreign hosts that it asked for something."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(60_000)
    foreign = []
    page.on("request", lambda request: foreign.append(request.url) if not is_ours(request.url, address) else None)
    page.goto(f"{address}/lab/tree/notebooks/{notebook}?reset")
    run_all(page)
    return page, foreign


def is_ours(url, address):
    return url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))


def run_all(page):
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def test_the_whole_loop_is_clicked_through_and_the_run_is_found_again_after_a_reload(project, lab, browser):
    text = (project / "run.yaml").read_text()
    (project / "parameters" / "demo.yaml").write_text(text.replace("{name: small}", "{name: small, iterations: 1}"))
    page, foreign = opened(browser, lab, "workbench.ipynb")
    press(page, "Preview the cleaning")
    page.get_by_text("of 50 rows; 1 of 1 columns change").wait_for()
    page.get_by_role("tab", name="2 · Pipeline").click()
    page.get_by_role("tab", name="Rules").click()
    page.get_by_placeholder("one rule per line").fill("Los taxis son viajes.")
    page.get_by_role("tab", name="What is sent").click()
    page.get_by_text("1. Los taxis son viajes.").wait_for()
    press(page, "Save as new version")
    page.get_by_text("saved as parameters/prompts/prompt.v2.yaml").wait_for()
    press(page, "Start the run")
    page.get_by_text("the parameters are in parameters/my-run.yaml").wait_for()
    store = open_store()
    wait_until(lambda: store.latest().state == RunState.FINISHED)
    page.reload()
    run_all(page)
    page.get_by_role("tab", name="3 · Validation").click()
    page.get_by_text(f"{store.latest().run_id}: finished").wait_for()
    page.get_by_text("Is it really better than the last one?").wait_for()
    page.get_by_text("items changed their category").wait_for()
    assert store.latest().parameters["classify"]["prompt"] == "parameters/prompts/prompt.v2.yaml"
    assert foreign == []
    page.close()


def test_the_review_notebook_shows_the_same_card_in_jupyterlab(project, lab, browser, loop):
    store = open_store()
    run = loop(load_parameters("run.yaml", ["validate.gold_column=null"]), store)
    reviewing.prepare(run, store, 1)
    notebook = project / "notebooks" / "review.ipynb"
    told = notebook.read_text().replace("run_id = None", "run_id = 'one'").replace("iteration = None", "iteration = 1")
    notebook.write_text(told)
    page, foreign = opened(browser, lab, "review.ipynb")
    item = page.wait_for_selector("article.item").get_attribute("data-item")
    cells = page.locator(".jp-Cell").count()
    page.locator(".wbr .tab").first.click()
    for key in "xu":  # X cuts a cell in JupyterLab, but not here
        page.keyboard.press(key)
    page.wait_for_function(
        "was => ![undefined, was].includes(document.querySelector('article.item')?.dataset.item)", arg=item
    )
    page.locator(".wbr .category").first.click()
    wait_until(lambda: len(store.validations("one", 1)) == 1)
    item = page.locator("article.item").get_attribute("data-item")
    page.keyboard.press("u")  # the focus is still in the card, so keys are too
    page.wait_for_function("was => document.querySelector('article.item')?.dataset.item !== was", arg=item)
    assert page.locator(".jp-Cell").count() == cells
    assert foreign == []
    page.close()


def test_a_long_cell_is_interrupted_and_goes_on_where_it_was(project, lab, browser, monkeypatch):
    with OpenAIServer(delay=1.0) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        overrides = [f"classify.base_url={server.url}", "classify.provider=openai", "classify.model=test-model"]
        parameters = load_parameters("run.yaml", [*overrides, "classify.chunk_size=1", "classify.concurrency=1"])
        store = open_store()
        workflow.ingest(parameters, store)
        page, _ = opened(browser, lab, "02_classify.ipynb")
        wait_until(lambda: len(server.calls) > 2)
        page.get_by_text("To stop, interrupt the cell").wait_for()
        bar = page.locator(".wb-panel .progress-bar")
        wait_until(lambda: 0 < bar.evaluate("bar => parseFloat(bar.style.width)") < 100)
        page.get_by_title("Interrupt the kernel").click()
        page.get_by_text("KeyboardInterrupt").first.wait_for()
        asked = len(server.calls)
        assert asked < 23
        run_all(page)
        wait_until(lambda: store.stage_done(store.latest().run_id, "classify", 1))
        assert len(server.calls) - asked <= 23 - asked + 1  # only what was in flight is asked again
        page.close()


def test_a_lab_that_does_not_start_is_a_failure_and_not_a_success(monkeypatch, capsys):
    monkeypatch.setenv("JUPYTER_PORT_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["lab", "--no-browser", "--port", str(taken.getsockname()[1])]) == 1
    assert "JupyterLab ended with exit code 1" in capsys.readouterr().err
