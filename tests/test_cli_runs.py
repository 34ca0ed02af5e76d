"""The commands that look at runs: they fit the terminal, say what they did, and make nothing where nothing is."""

import io

import pandas as pd
import pytest

from workbench.cli import listed, main
from workbench.finding import Finder
from workbench.runs import open_store
from workbench.search import Query


@pytest.mark.parametrize("command", [("runs",), ("show",), ("clean", "--dry-run"), ("search", "one", "x")])
def test_a_command_that_looks_at_runs_makes_no_folder_for_them(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_RUNS", "mistyped")
    assert main(command) == 2
    told = capsys.readouterr().err
    assert f"no folder {tmp_path / 'mistyped'}" in told and "WORKBENCH_RUNS" in told
    assert list(tmp_path.iterdir()) == []


def test_a_page_beyond_the_last_one_is_said_to_be_none(ran, capsys):
    run, store = ran()
    found = Finder(run, store).find(Query("vuelo"))["total_count"]
    assert found
    assert main(["search", "one", "vuelo", "--page", "2"]) == 0
    assert f"there is no page 2: {found} items were found, and page 1 is the last." in capsys.readouterr().out


def test_a_pin_is_confirmed_and_cannot_be_set_and_taken_away_at_once(ran, capsys):
    store = ran()[1]
    assert main(["runs", "--pin", "one"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "one is pinned: `clean` keeps it.\n")
    assert bool(store.list()["pinned"].iloc[0])
    assert main(["runs", "--pin", "one", "--unpin", "one"]) == 2
    assert main(["runs", "--unpin", "one"]) == 0
    assert not store.list()["pinned"].iloc[0]


@pytest.fixture
def many(ran):
    """The list of a reviewed run and of one that has hardly begun."""
    store = ran()[1]
    store.create({"run": {"iterations": 2}}, run_id="a-second-run-20261127-101112-ab12")
    return open_store().list()


@pytest.mark.parametrize("width", [60, 80, 100, 250])
def test_on_a_terminal_the_list_of_runs_fits_and_nothing_in_it_is_cut(many, width):
    lines = listed.for_terminal(many, width).splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text and "+00:00" not in text
    assert "a-second-run-20261127-101112-ab12  created" in text
    assert ("accuracy" in text) and ("started" in text) == (width == 250)


def test_in_a_pipe_the_list_of_runs_is_whole(many, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.StringIO())
    text = listed.layout(many)
    assert "…" not in text
    assert all(name in text for name in many.columns)
    assert str(many["updated_at"].iloc[0]) in text
    assert listed.layout(pd.DataFrame(many.iloc[:0])).startswith("run_id")


def test_an_iteration_alone_is_compared_with_nothing(ran, capsys):
    ran("run.iterations=1")
    assert main(["compare", "one"]) == 2
    told = capsys.readouterr().err
    assert "has one classified iteration; there is nothing to compare" in told and "--iterations 2" in told


def test_a_kind_of_split_files_without_a_split_is_refused(ran, capsys):
    ran()
    assert main(["export", "one", "--to", "rows.xlsx", "--suffix", "csv"]) == 2
    assert "--suffix says of what kind the files of --split-by" in capsys.readouterr().err


def test_a_damaged_file_is_told_with_the_command_that_looks_for_damage(ran, capsys):
    run, store = ran()
    rows = store.path("one", "rows")
    content = bytearray(rows.read_bytes())
    content[8:200] = bytes(192)
    rows.write_bytes(content)
    (run.folder / "iteration_002" / "metrics.json").write_text("{")
    assert main(["export", "one", "--stage", "ingest", "--to", "rows.csv"]) == 1
    assert "rows.parquet" in (told := capsys.readouterr().err) and "workbench show RUN --verify" in told
    assert main(["compare", "one"]) == 1
    assert "metrics.json" in (told := capsys.readouterr().err) and "workbench show RUN --verify" in told


def test_a_folder_or_a_missing_file_in_place_of_one_is_told_with_the_files_that_are_there(ran, project, capsys):
    _, store = ran("validate.gold_column=null")
    before = store.manifest("one")
    (project / "mix").mkdir()
    (project / "mix" / "a.yaml").write_text("run: {}\n")
    assert main(["run", "mix"]) == 2
    assert "mix is a folder, not a file. Hint: in mix: there is a.yaml." in capsys.readouterr().err
    (project / "revised.xlsx").write_text("")
    no_gold = ("--set", "validate.gold_column=null")
    assert main(["validate", "run.yaml", "--run-id", "one", "--from", "revisd.xlsx", *no_gold]) == 1
    assert "no file revisd.xlsx (--from). Hint: in .: did you mean 'revised.xlsx'?" in capsys.readouterr().err
    assert store.manifest("one") == before
