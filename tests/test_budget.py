import json
import os
import re

import pandas as pd
import pytest
from openai_server import KEY, MODEL, OpenAIServer

from workbench import cli
from workbench.errors import BudgetReached, ParameterError
from workbench.llm import Classifier, Limits, MemoryCache, Price, Prompt, Usage, estimate, get_provider, load_prices
from workbench.llm.budget import FREE, Budget
from workbench.llm.providers.lexical import ALGORITHM
from workbench.runs import open_store

PROMPT = Prompt(name="p", categories=["Pop", "Viajes", "Otros", "Indeterminado"])
PRICES = """\
as_of: 2025-10-01
mxn_per_usd: 20
models:
  test-model: {input: 100, cached: 10, output: 400}
"""


@pytest.fixture
def priced(tmp_path, monkeypatch):
    """A working folder with a price list of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "prices.yaml").write_text(PRICES, encoding="utf-8")
    return tmp_path


def many(count):
    texts = [f"{('vinil', 'taxi', 'renta')[position % 3]} {position}" for position in range(count)]
    return pd.DataFrame({"item_id": [f"i{n}" for n in range(count)], "cleanText": pd.array(texts, dtype="str")})


def provider_of(server):
    return get_provider("openai", model=MODEL, base_url=server.url)


def test_the_shipped_prices_are_dated_and_find_dated_models_too():
    prices = load_prices()
    assert prices.as_of.year >= 2025 and prices.mxn_per_usd > 10
    assert prices.price("gpt-4o-mini-2024-07-18") == prices.price("gpt-4o-mini") == prices.models["gpt-4o-mini"]
    assert prices.price("gpt-4o-mini-audio") is None
    assert all(price.cached <= price.input <= price.output for price in prices.models.values())


def test_a_mistake_in_the_price_list_is_named_with_its_line(priced):
    (priced / "parameters" / "prices.yaml").write_text(PRICES.replace("output: 400", "outputs: 400"), encoding="utf-8")
    with pytest.raises(ParameterError, match=r"line 4: .*outputs"):
        load_prices()


def test_an_estimate_is_near_what_is_paid_and_on_the_dear_side(priced):
    items, cache, limits = many(300), MemoryCache(), Limits(chunk_size=20)
    with OpenAIServer() as server:
        provider = provider_of(server)
        Classifier(PROMPT, provider, limits, cache).classify(items.head(100))
        expected = estimate(items, PROMPT, provider, limits, cache)
        before = len(server.calls)
        classifier = Classifier(PROMPT, provider, limits, cache)
        classifier.classify(items)
        assert len(server.calls) - before == expected.calls == 10
    assert (expected.items, expected.from_cache) == (300, 100)
    assert 1 <= expected.input_tokens / classifier.usage.input_tokens < 1.5
    paid = load_prices().price(MODEL).cost(classifier.usage)
    assert classifier.cost_usd == pytest.approx(paid)
    assert paid < expected.usd < 5 * paid
    assert expected.mxn == pytest.approx(20 * expected.usd)


def test_a_model_without_a_price_gets_tokens_only_and_no_budget(priced):
    (priced / "parameters" / "prices.yaml").write_text(PRICES.replace("test-model", "other"), encoding="utf-8")
    with OpenAIServer() as server:
        found = estimate(many(10), PROMPT, provider_of(server), Limits())
        assert (found.usd, found.mxn, found.calls) == (None, None, 1)
        assert "has no price for test-model" in str(found)
        with pytest.raises(ParameterError, match="a budget needs the price of 'test-model'"):
            Classifier(PROMPT, provider_of(server), Limits(budget_usd=1.0))


def test_money_is_set_aside_before_a_call_and_the_rest_comes_back(priced):
    budget, call, half = Budget(1.0, MODEL), Usage(1, 4000, 0, 1000), Usage(1, 2000, 0, 500)
    assert Price(input=100, cached=10, output=400).cost(call) == pytest.approx(0.8)
    assert budget.reserve(call)
    assert not budget.reserve(call)
    budget.settle(call, half)
    assert budget.spent == pytest.approx(0.4)
    assert budget.reserve(half)
    assert not budget.reserve(half)


def test_the_embedded_model_costs_nothing_also_where_a_price_list_does_not_name_it(priced):
    budget = Budget(1.0, FREE)
    assert FREE == ALGORITHM not in load_prices().models
    assert budget.reserve(Usage(1, 10**9, 0, 10**9)) and budget.spent == 0


def test_calls_under_way_that_an_interruption_leaves_behind_count_as_spent(priced):
    told = []

    def interrupt(at):
        told.append(at)
        if len(told) == 1:
            raise KeyboardInterrupt

    with OpenAIServer(delay=lambda call: 3 * (call.number == 2)) as server:
        classifier = Classifier(PROMPT, provider_of(server), Limits(chunk_size=5, concurrency=2))
        with pytest.raises(KeyboardInterrupt):
            classifier.classify(many(20), interrupt)
    assert told[-1].usage.calls == classifier.usage.calls == 2
    assert told[-1].cost_usd > 1.5 * told[0].cost_usd


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_is_not_overdrawn_and_a_larger_one_goes_on_where_it_stopped(priced, concurrency):
    items, cache, limits = many(400), MemoryCache(), Limits(chunk_size=20, concurrency=concurrency)
    with OpenAIServer(delay=0.02) as server:
        provider = provider_of(server)
        first = Classifier(PROMPT, provider, limits.changed(budget_usd=1.0), cache)
        predictions = first.classify(items)
        pending = predictions["status"] == "pending"
        assert 0 < first.left == pending.sum() < 400
        assert 0.5 < first.cost_usd <= 1.0
        assert predictions.loc[pending, "category"].isna().all()
        asked = len(server.calls)
        second = Classifier(PROMPT, provider, limits.changed(budget_usd=100.0), cache)
        assert set(second.classify(items)["status"]) == {"ok"}
        assert (second.left, second.cached) == (0, (~pending).sum())
        assert asked < len(server.calls)
    assert max(server.asked.values()) == 1


def test_an_estimate_needs_no_key_and_a_run_does(priced, monkeypatch, capsys):
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (priced / "expenses.csv").write_text("Concepto\nvinil 1\ntaxi 2\nvinil 1\n", encoding="utf-8")
    (priced / "prompt.yaml").write_text(PROMPT.to_yaml(), encoding="utf-8")
    (priced / "run.yaml").write_text(RUN.replace(', base_url: "URL"', ""), encoding="utf-8")
    assert cli.main(["estimate", "run.yaml"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 items, 0 of them from kept answers, for nothing\n1 call to test-model, about ")
    assert "USD" in said and "MXN (parameters/prices.yaml, 2025-10-01)" in said
    assert cli.main(["run", "run.yaml"]) == 2
    assert "OPENAI_API_KEY is not set" in capsys.readouterr().err


def test_a_budget_too_small_for_one_call_asks_nothing(priced):
    with OpenAIServer() as server:
        classifier = Classifier(PROMPT, provider_of(server), Limits(budget_usd=0.000001))
        assert set(classifier.classify(many(9))["status"]) == {"pending"}
        assert server.calls == []


# --- a run

RUN = """\
run: {name: small, iterations: 1}
ingest: {input: expenses.csv, columns: [Concepto]}
classify: {prompt: prompt.yaml, provider: openai, model: test-model, base_url: "URL", chunk_size: 5, concurrency: 1}
"""


def test_a_run_stops_at_its_budget_says_what_is_left_and_goes_on_with_more(priced, monkeypatch, capsys):
    from workbench import workflow
    from workbench.parameters import load_parameters

    monkeypatch.setenv("WORKBENCH_RUNS", str(priced / "runs"))
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    rows = "\n".join(f"{word} numero {n}" for n in range(20) for word in ("vinil", "taxi", "renta"))
    (priced / "expenses.csv").write_text(f"Concepto\n{rows}\n", encoding="utf-8")
    (priced / "prompt.yaml").write_text(PROMPT.to_yaml(), encoding="utf-8")
    with OpenAIServer() as server:
        (priced / "run.yaml").write_text(RUN.replace("URL", server.url), encoding="utf-8")
        assert cli.main(["estimate", "run.yaml", "--json"]) == 0
        expected = json.loads(capsys.readouterr().out)
        assert (expected["items"], expected["calls"], expected["from_cache"]) == (60, 12, 0)
        assert cli.main(["estimate", "run.yaml", "--set", "classify.reason=never"]) == 0
        assert "60 items" in capsys.readouterr().out
        assert server.calls == [] and not list((priced / "runs").glob("small*"))
        few = load_parameters("run.yaml", ["classify.budget_usd=0.3"])
        store = open_store()
        run = workflow.start(few, store, run_id="small")
        run = workflow.ingest(few, store, run_id="small")
        with pytest.raises(BudgetReached, match=r"0\.\d+ USD spent, \d+ of 60 items done, \d+ left") as stopped:
            workflow.classify(run, few, store)
        assert "--run-id small --resume" in stopped.value.hint
        with pytest.raises(BudgetReached):  # what was spent before counts
            workflow.classify(run, few, store)
        spent = store.load("small", "spending", 1)["cost_usd"]
        assert 0 < spent <= 0.3
        more = load_parameters("run.yaml", ["classify.budget_usd=50"])
        run = workflow.start(more, store, run_id="small", resume=True)
        workflow.classify(run, more, store)
        assert set(store.load("small", "predictions", 1)["status"]) == {"ok"}
        assert store.load("small", "spending", 1)["cost_usd"] > spent
        store.close()
    assert max(server.asked.values()) == 1
    assert os.environ["OPENAI_API_KEY"] == KEY


def test_small_sums_are_shown_with_their_digits_and_nothing_is_called_free(priced, monkeypatch, capsys):
    def said(*command):
        assert cli.main([*command]) == 0
        return capsys.readouterr().out

    monkeypatch.setenv("WORKBENCH_RUNS", str(priced / "runs"))
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    (priced / "parameters" / "prices.yaml").write_text(PRICES.replace("100", "1").replace("400", "4"), encoding="utf-8")
    (priced / "expenses.csv").write_text("Concepto\nvinil 1\ntaxi 2\n", encoding="utf-8")
    (priced / "prompt.yaml").write_text(PROMPT.to_yaml(), encoding="utf-8")
    with OpenAIServer() as server:
        (priced / "run.yaml").write_text(RUN.replace("URL", server.url), encoding="utf-8")
        assert re.search(r"cost: about 0\.000\d+ USD, 0\.0\d+ MXN", said("estimate", "run.yaml"))
        said("ingest", "run.yaml", "--run-id", "paid")
        said("classify", "run.yaml", "--run-id", "paid")
        assert "cost: none" in said("estimate", "run.yaml")  # all answers are kept
    cost = open_store().load("paid", "spending", 1)["cost_usd"]
    shown = re.search(r"cost +(0\.000\d+) USD \(1 call, \d+ tokens\)", said("show", "paid"))[1]
    assert float(shown) == pytest.approx(cost, rel=0.05) and f"  {shown}  " in said("runs")
    free = ["--set", "classify.provider=lexical", "--set", "classify.model=null", "--set", "classify.base_url=null"]
    assert said("estimate", "run.yaml", *free).endswith("for nothing\ncost: free\n")
    said("ingest", "run.yaml", "--run-id", "free", *free)
    said("classify", "run.yaml", "--run-id", "free", *free)
    assert "cost            free" in said("show", "free")


def test_asking_anew_is_stopped_by_the_budget_and_goes_on_without_asking_twice(priced, monkeypatch):
    from workbench import workflow
    from workbench.parameters import load_parameters

    monkeypatch.setenv("WORKBENCH_RUNS", str(priced / "runs"))
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    rows = "\n".join(f"{word} numero {n}" for n in range(10) for word in ("vinil", "taxi", "renta"))
    (priced / "expenses.csv").write_text(f"Concepto\n{rows}\n", encoding="utf-8")
    (priced / "prompt.yaml").write_text(PROMPT.to_yaml(), encoding="utf-8")
    with OpenAIServer() as server, open_store() as store:
        (priced / "run.yaml").write_text(RUN.replace("URL", server.url), encoding="utf-8")
        for run_id, changes in (("kept", []), ("anew", ["classify.cache=false", "classify.budget_usd=0.1"])):
            parameters = load_parameters("run.yaml", changes)
            workflow.start(parameters, store, run_id=run_id)
            run = workflow.ingest(parameters, store, run_id=run_id)
            if run_id == "kept":
                workflow.classify(run, parameters, store)
        with pytest.raises(BudgetReached):
            workflow.classify(run, parameters, store)
        asked = sum(server.asked.values()) - 30
        assert 0 < asked < 30
        more = load_parameters("run.yaml", ["classify.cache=false", "classify.budget_usd=50"])
        run = workflow.start(more, store, run_id="anew", resume=True)
        assert workflow.estimate(run, more, store, 1).from_cache == asked
        workflow.classify(run, more, store)
    assert set(server.asked.values()) == {2}  # once for each run
