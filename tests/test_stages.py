"""A command that has nothing to do, or is refused, leaves a run as it is: its state, its files, its progress."""

import pytest

from workbench import notebooks, workflow
from workbench.cli import main
from workbench.errors import UsageError
from workbench.parameters import load_parameters
from workbench.records import RunState
from workbench.runs import open_store
from workbench.stages import Step, step_of

UNTRUE = ("validate.gold_column=null",)


def everything_of(store, run):
    """All that a command could touch: every file with its time, the row and the progress."""
    files = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*") if not path.name.startswith(".")}
    return files, store.manifest(run.run_id), store.progress(run.run_id)


@pytest.mark.parametrize("changes", [(), UNTRUE], ids=["a finished run", "a run that awaits its review"])
def test_a_stage_that_is_done_is_neither_executed_nor_touches_the_run(ran, capsys, changes):
    run, store = ran(*changes)
    before = everything_of(store, run)
    for step in (Step("ingest"), Step("classify", 1)):
        assert notebooks.run_stage(run, step, store).state == run.state
    sets = [part for change in changes for part in ("--set", change)]
    assert main(["classify", "run.yaml", "--run-id", "one", "--iteration", "1", *sets]) == 0
    assert "iteration 1: classify has nothing to do: it is done already" in capsys.readouterr().err
    assert main(["classify", "run.yaml", "--run-id", "one", "--iteration", "1", "--failed", *sets]) in (0, 2)
    assert everything_of(store, run) == before


REFUSED = {
    "an iteration that the run does not have": (Step("refine", 7), {}, "has no iteration 7"),
    "iteration 0": (Step("validate", 0), {}, "has no iteration 0"),
    "a stage that lacks what it needs": (Step("classify", 2), {}, "needs refine of iteration 1 first"),
    "an unknown item": (Step("classify", 1), {"forget": ["zzz"]}, "no item of the run begins with 'zzz'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_command_that_is_refused_touches_nothing(ran, name):
    step, extra, words = REFUSED[name]
    run, store = ran(*UNTRUE)
    before = everything_of(store, run)
    with pytest.raises(UsageError, match=words) as refused:
        notebooks.run_stage(run, step, store, extra=extra)
    assert refused.value.hint
    assert everything_of(store, run) == before
    assert step_of(run, store, step.stage, step.iteration) == step


def test_going_on_with_a_run_puts_a_wrong_state_right(ran):
    store = ran()[1]
    store.set_state("one", RunState.INTERRUPTED)
    assert notebooks.run_loop(load_parameters("run.yaml"), store, run_id="one", resume=True).state == "finished"
    assert open_store().get("one").state == "finished"


def test_a_stage_without_a_run_before_it_is_refused_in_python_too(project):
    with open_store() as store:
        parameters = load_parameters("run.yaml")
        run = workflow.start(parameters, store, run_id="one")
        with pytest.raises(UsageError, match="classify of iteration 1 needs ingest first"):
            workflow.classify(run, parameters, store)
