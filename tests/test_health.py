"""Health: every part, as it is when all is well and when it is not; the provider against a server with faults."""

import json
import sys

import pytest
from openai_server import KEY, MODEL, OpenAIServer

from workbench import health, llm
from workbench.cli import main
from workbench.errors import install
from workbench.parameters import load_parameters

PROMPT = llm.Prompt.model_validate(
    {
        "name": "small",
        "role": "You sort expenses.",
        "task": "Give every expense one category.",
        "categories": [{"name": name, "description": name} for name in ("Pop", "Viajes", "Otros", "Indeterminado")],
    }
)
GOOD = ["provider key", "provider endpoint", "provider model", "provider output", "provider classification"]


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def checked(server, **options):
    options = {"model": MODEL, "base_url": server.url, "api_key_env": "OPENAI_API_KEY", "timeout": 1.0} | options
    return {check.part: check for check in llm.check_provider("openai", PROMPT, **options)}


def states(checks):
    return {part: str(check.health) for part, check in checks.items()}


def test_a_good_endpoint_passes_every_step_with_one_call_of_one_item():
    with OpenAIServer() as server:
        checks = checked(server)
        assert [len(call.items) for call in server.calls] == [1]
    assert states(checks) == dict.fromkeys(GOOD, "ok")
    assert "'Pop' is Otros" in checks["provider classification"].detail
    assert KEY not in str(checks)


@pytest.mark.parametrize(
    ("formats", "state", "said"),
    [
        (("json_object", "text"), "ok", "without a schema"),
        (("text",), "not used", "plain text is read all the same"),
    ],
)
def test_structured_output_is_told_and_a_missing_one_is_not_ill(formats, state, said):
    with OpenAIServer(formats=formats) as server:
        check = checked(server)["provider output"]
    assert (check.health, said in check.detail) == (state, True)


def test_an_endpoint_without_keys_needs_none(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with OpenAIServer() as server:
        checks = checked(server)
    assert states(checks) == dict.fromkeys(GOOD, "ok") | {"provider key": "not used"}


def test_a_missing_key_and_a_refused_one_are_told(monkeypatch):
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "wrong-key")
        refused = checked(server)
    assert states(refused) == {"provider key": "ok", "provider endpoint": "ill"}
    assert "does not accept the key" in refused["provider endpoint"].detail
    monkeypatch.delenv("OPENAI_API_KEY")
    missing = checked(server, base_url=None)
    assert states(missing) == {"provider key": "ill"}
    assert "OPENAI_API_KEY is not set" in missing["provider key"].detail


def test_a_model_that_is_not_there_is_answered_with_the_nearest():
    with OpenAIServer() as server:
        checks = checked(server, model="test-modle")
    assert states(checks)["provider model"] == "ill"
    assert checks["provider model"].hint == f"did you mean {MODEL!r}?"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("rate_limited_bare", "429"),
        ("quota", "out of quota"),
        ("server_error", "500"),
        ("cut", "cannot be reached"),
        ("hang", "did not answer in time"),
        ("html", "did not answer in JSON"),
        ("garbage", "no valid answer"),
        ("all_off_list", "no valid answer"),
        ("truncated", "no valid answer"),
        ("refusal", "refused"),
    ],
)
def test_whatever_goes_wrong_with_the_item_is_told_in_a_sentence(fault, said):
    with OpenAIServer(faults=lambda call: [fault]) as server:
        checks = checked(server)
    assert states(checks)["provider endpoint"] == "ok"
    assert checks["provider classification"].health == "ill"
    assert said in checks["provider classification"].detail


def test_an_address_where_nobody_answers_is_ill_and_nothing_further_is_tried():
    with OpenAIServer() as server:
        pass
    checks = checked(server)
    assert states(checks) == {"provider key": "ok", "provider endpoint": "ill"}
    assert "base_url" in checks["provider endpoint"].hint


def test_the_embedded_provider_classifies_and_needs_nothing():
    assert [(check.part, check.health) for check in llm.check_provider("lexical", PROMPT)] == [
        ("provider classification", "ok")
    ]


def command(capsys, *arguments):
    code = main(["health", *arguments, "--json"])
    said = capsys.readouterr()
    found = json.loads(said.out)
    return code, {check["part"]: check for check in found["checks"]}, said.err, found


def test_a_healthy_machine_is_ok_and_what_is_optional_is_not_ill(project, capsys):
    code, checks, _, found = command(capsys)
    assert (code, found["status"]) == (0, "ok")
    used = ("runs folder", "temporary folder", "database", "versions")
    assert {part: checks[part]["health"] for part in used} == dict.fromkeys(used, "ok")
    assert {checks[part]["health"] for part in ("provider", "tracker", "dask")} == {"not used"}
    assert "MB free" in checks["runs folder"]["detail"]


def test_the_table_fits_and_says_what_to_do(project, capsys, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "sqlite:////nowhere/at/all.sqlite")
    assert main(["health"]) == 1
    said = capsys.readouterr()
    assert "What to do" in said.out
    assert said.err == "error: not everything is well: database.\n"
    assert "Traceback" not in said.out + said.err


def test_provider_and_tracker_are_those_of_the_parameters(project, capsys, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, checks, _, _ = command(capsys, "run.yaml", "--set", "run.tracker=mlflow")
    assert (code, checks["provider classification"]["health"]) == (0, "ok")
    assert (checks["tracker"]["health"], "mlruns" in checks["tracker"]["detail"]) == ("ok", True)
    with OpenAIServer(faults=lambda call: ["quota"]) as server:
        provider = f"classify.base_url={server.url}"
        changes = ["classify.provider=openai", "classify.model=test-model", provider, "run.tracker=wandb"]
        code, checks, errors, _ = command(capsys, "run.yaml", *[part for each in changes for part in ("--set", each)])
    assert (code, checks["tracker"]["health"]) == (1, "ok")
    assert "provider classification" in errors


def test_a_tracker_that_cannot_be_reached_is_ill(project, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    code, checks, _, _ = command(capsys, "run.yaml", "--set", "run.tracker=mlflow")
    assert (code, checks["tracker"]["health"]) == (1, "ill")


def test_a_mistake_in_the_parameters_is_wrong_usage(project, capsys):
    assert main(["health", "run.yaml", "--set", "classify.prompt=nowhere.yaml"]) == 2
    assert main(["health", "nowhere.yaml"]) == 2


def test_a_folder_that_is_a_file_is_ill(tmp_path):
    (tmp_path / "runs").write_text("")
    (check,) = health.check_folder("runs folder", tmp_path / "runs")
    assert (check.health, "WORKBENCH_RUNS" in (check.hint or "")) == ("ill", True)


def test_a_database_on_postgresql_is_asked_and_a_lost_one_is_ill(project, postgres_url, monkeypatch, capsys):
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", postgres_url)
    assert command(capsys)[1]["database"]["health"] == "ok"
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:9/x")
    code, checks, errors, _ = command(capsys)
    assert (code, checks["database"]["health"]) == (1, "ill")
    assert "secret" not in json.dumps(checks) + errors


def test_a_dask_scheduler_is_asked_for_its_workers():
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster:
        (check,) = health.check_dask({"engine": "dask", "scheduler": cluster.scheduler_address})
        assert (check.health, check.detail) == ("ok", f"{cluster.scheduler_address} answers, workers: 1")
    (local,) = health.check_dask({"engine": "dask", "scheduler": None})
    assert local.health == "ok"


def test_dask_that_does_not_answer_has_no_worker_or_is_not_installed_is_ill_with_what_to_do(project, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(health, "PATIENCE", 0.5)

    def dask(*changes):
        parameters = load_parameters("run.yaml", ["ingest.engine=dask", *changes])
        return next(check for check in health.check_all(parameters) if check.part == "dask")

    silent = dask("ingest.scheduler=tcp://127.0.0.1:9")
    assert (silent.health, "no scheduler answers at tcp://127.0.0.1:9" in silent.detail) == ("ill", True)
    assert "dask worker" in silent.hint
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster:
        idle = dask(f"ingest.scheduler={cluster.scheduler_address}")
    assert (idle.health, "has no worker" in idle.detail) == ("ill", True)
    monkeypatch.setitem(sys.modules, "distributed", None)
    missing = dask()
    assert (missing.health, missing.hint) == ("ill", install("dask"))
