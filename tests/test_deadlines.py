"""Time limits of stages: the soft one keeps what was done, the hard one ends what does not stop."""

import subprocess
import sys
import threading
import time
from logging import getLogger

import pytest
from openai_server import KEY, MODEL, OpenAIServer

from workbench.deadlines import time_limited
from workbench.errors import Interrupted, ParameterError, TimeLimitReached
from workbench.notebooks import run_loop
from workbench.parameters import load_parameters
from workbench.records import RunState
from workbench.runs import open_store

LOG = getLogger("test")


def test_what_waits_is_interrupted_at_the_soft_limit_and_its_clean_up_runs():
    cleaned, started = [], time.monotonic()
    told = pytest.raises(TimeLimitReached, match=r"classify reached its time limit of 0\.2 seconds")
    with told, time_limited("classify", 0.2, 0, LOG):
        try:
            time.sleep(20)
        finally:
            cleaned.append(True)
    assert (cleaned, time.monotonic() - started < 5) == ([True], True)


def test_what_is_done_in_time_is_left_alone_and_ctrl_c_stays_ctrl_c():
    with time_limited("classify", 0.2, 0.3, LOG):
        pass
    time.sleep(0.4)
    with pytest.raises(KeyboardInterrupt), time_limited("classify", 60, 0, LOG):
        raise KeyboardInterrupt


def test_a_thread_other_than_the_main_one_is_not_held_to_limits():
    seen = []

    def work():
        with time_limited("classify", 0.05, 0, LOG):
            time.sleep(0.2)
            seen.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["done"]


def test_what_does_not_stop_is_ended_at_the_hard_limit():
    program = (
        "import time, logging\nfrom workbench.deadlines import time_limited\n"
        "with time_limited('classify', 0.1, 0.6, logging.getLogger('x')):\n"
        "    while True:\n"
        "        try: time.sleep(5)\n"
        "        except KeyboardInterrupt: print('no', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == -9
    assert done.stdout == "no\n"
    assert "classify was ended at its hard time limit of 0.6 seconds" in done.stderr


def test_a_stage_that_takes_too_long_keeps_its_answers_and_goes_on_from_there(project, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    slow = [True]
    with OpenAIServer(delay=lambda call: 60 if slow[0] and call.number > 2 else 0) as server:
        changes = ["classify.provider=openai", f"classify.model={MODEL}", f"classify.base_url={server.url}"]
        changes += ["run.iterations=1", "classify.concurrency=1"]
        store = open_store()
        with pytest.raises(Interrupted, match="classify of iteration 1 reached its time limit") as caught:
            run_loop(load_parameters("run.yaml", [*changes, "run.time_limit.soft=4"]), store, run_id="one")
        assert (type(caught.value), caught.value.exit_code) == (TimeLimitReached, 1)
        assert store.get("one").state == RunState.INTERRUPTED
        before, slow[0] = len(server.calls), False
        run = run_loop(load_parameters("run.yaml", changes), store, run_id="one", resume=True)
        assert run.state == RunState.FINISHED
    answered = [text for call in server.calls[: before - 1] for text in call.items.values()]
    assert answered and not set(answered) & {text for call in server.calls[before:] for text in call.items.values()}


def test_a_hard_limit_that_comes_before_the_soft_one_is_a_mistake(project):
    with pytest.raises(ParameterError, match="hard limit must be longer"):
        load_parameters("run.yaml", ["run.time_limit.soft=10", "run.time_limit.hard=5"])
