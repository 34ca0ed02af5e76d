"""Input in S3, from a server that speaks its protocol: the rows are those of a folder, on a cluster too."""

import subprocess
import sys

import fsspec
import pandas as pd
import pytest

from workbench import workflow
from workbench.cli import main
from workbench.errors import ReadError
from workbench.parameters import load_parameters
from workbench.runs import open_store

pytestmark = pytest.mark.filterwarnings("default")  # those of a cluster that closes are its own affair


SERVER = """
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
input()
"""


@pytest.fixture(scope="session")  # for as long as fsspec remembers its address
def server():
    command = [sys.executable, "-c", SERVER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        yield process.stdout.readline().strip()
        process.communicate("\n")


@pytest.fixture
def bucket(project, server, monkeypatch):
    """A bucket with what the folder `in` holds: tables of three kinds, one of them in a folder in the folder."""
    (project / "in" / "norte").mkdir(parents=True)
    table = pd.DataFrame({"Concepto": [f"Viaje {n % 70} a Mérida" for n in range(500)], "Importe": range(500)})
    table.to_csv(project / "in" / "a.csv", index=False)
    table[:100].to_excel(project / "in" / "b año.xlsx", index=False)
    table[:50].to_json(project / "in" / "norte" / "c.jsonl", orient="records", lines=True)
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    system.makedirs("gastos", exist_ok=True)
    for path in (project / "in").rglob("*.*"):
        system.put_file(str(path), f"gastos/2024/{path.relative_to(project / 'in').as_posix()}")
    return "s3://gastos/2024"


def ingest(run_id, *overrides):
    common = ["ingest.filters={}", "ingest.amount_column=null", "validate.gold_column=null"]
    store = open_store()
    workflow.ingest(load_parameters("run.yaml", [*common, *overrides]), store, run_id=run_id)
    return store.load(run_id, "rows"), store.load(run_id, "items")


@pytest.mark.parametrize("engine", ["local", "dask"])
def test_a_folder_of_a_bucket_gives_the_same_rows_as_one_of_this_machine(project, bucket, engine):
    here = ingest("here", "ingest.input=in")
    for path in (project / "runs" / ".cache").rglob("*.json"):
        path.unlink()  # or the parts of these bytes would be taken again
    there = ingest("there", f"ingest.input={bucket}", f"ingest.engine={engine}")
    for one, other in zip(here, there, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert set(there[0]["source_file"]) == {"a.csv", "b año.xlsx", "norte/c.jsonl"}


def test_a_file_and_a_pattern_of_a_bucket_are_read_and_inspected(bucket, capsys):
    assert len(ingest("one", f"ingest.input={bucket}/a.csv")[0]) == 500
    assert set(ingest("two", f"ingest.input={bucket}/*.xlsx")[0]["source_file"]) == {"b año.xlsx"}
    assert main(["inspect", bucket]) == 0
    assert "norte/c.jsonl" in capsys.readouterr().out


def test_what_was_put_into_a_bucket_since_the_last_run_is_seen_by_the_same_process(bucket):
    assert len(ingest("one", f"ingest.input={bucket}")[0]) == 650
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    system.pipe_file("gastos/2024/d.csv", b"Concepto,Importe\nTaxi,1\n")
    system.pipe_file("gastos/2024/a.csv", b"Concepto,Importe\nTaxi,1\nTacos,2\n")
    rows, _ = ingest("two", f"ingest.input={bucket}")
    assert rows["source_file"].value_counts()[["a.csv", "d.csv"]].tolist() == [2, 1]
    files = open_store().facts("two", "ingest")["files"]
    assert (files["read"], files["kept"]) == (2, 2)
    system.rm("gastos/2024/d.csv")
    assert "d.csv" not in set(ingest("three", f"ingest.input={bucket}")[0]["source_file"])


def test_a_bucket_or_a_file_that_is_not_there_is_told_with_its_address(bucket, capsys):
    for gone in ("s3://nadie/2024", f"{bucket}/x.csv", f"{bucket}/*.parquet"):
        with pytest.raises(ReadError) as caught:
            ingest("one", f"ingest.input={gone}")
        assert gone in str(caught.value) and "\n" not in caught.value.message
    assert main(["inspect", "s3://nadie"]) == 1
    assert "s3://nadie" in capsys.readouterr().err
