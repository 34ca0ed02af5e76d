"""A second opinion: who is asked, what agreement says, and that nothing that goes wrong with it loses anything."""

import json

import pandas as pd
import pytest
from openai_server import KEY, MODEL, OpenAIServer

from workbench import cli, report, workflow
from workbench.errors import ParameterError
from workbench.llm import Classifier, MemoryCache, Prompt, ask_judge, draw_for_judge, get_provider
from workbench.metrics import second_opinion
from workbench.parameters import load_parameters
from workbench.report.words import judge_sentences
from workbench.runs import open_store
from workbench.sampling import draw

PROMPT = Prompt(name="p", categories=["Pop", "Viajes", "Otros", "Indeterminado"])


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def predicted(rows):
    columns = ["item_id", "category", "score", "status", "attempts"]
    frame = pd.DataFrame(rows, columns=columns).assign(reason="", judge_category=None)
    return frame.astype({"item_id": "str", "category": "str", "judge_category": "str", "score": "float64"})


def scored(count):
    """Half of them below 0.5, and one each that failed, waits or has no text."""
    rows = [(f"i{n}", "Pop", n / count, "ok", 1) for n in range(count)]
    rows += [("f", "Indeterminado", -1, "failed", 4), ("p", None, None, "pending", 0), ("e", "Pop", 0.1, "ok", 0)]
    return predicted([*rows, ("a", "Indeterminado", -1, "ok", 1)])


def test_all_low_scores_are_asked_about_and_a_share_of_the_others_by_chance():
    predictions = scored(200)
    drawn = draw_for_judge(predictions, below=0.5, share=0.1, seed=7)
    low, random = (set(drawn.index[drawn == name]) for name in ("low_score", "random"))
    assert low == {*(f"i{n}" for n in range(100)), "a"}
    assert len(random) == 10 and random < {f"i{n}" for n in range(100, 200)}
    assert draw_for_judge(predictions, below=0.5, share=0.1, seed=7).equals(drawn)
    assert set(draw_for_judge(predictions, below=0.5, share=0.1, seed=8).index) != set(drawn.index)
    assert (draw_for_judge(predictions, below=0, share=1, seed=7) == "random").sum() == 200
    assert draw_for_judge(predictions, below=0, share=0, seed=7).tolist() == ["low_score"]  # the ambiguous one


def test_agreement_is_told_apart_and_only_of_valid_answers():
    rows = [("Pop", "Pop", "random")] * 6 + [("Viajes", "Viajes", "random")] * 3 + [("Viajes", "Pop", "random")]
    rows += [("Pop", "Viajes", "low_score"), ("Pop", None, "low_score")]
    frame = pd.DataFrame(rows, columns=["category", "judge_category", "drawn_by"]).assign(item_id="i")
    found = second_opinion(frame)
    assert (found["asked"], found["answered"], found["disagreements"]) == (12, 11, 2)
    agreed = found["random"]["agreement"]
    assert (agreed["estimate"], agreed["n"]) == (0.9, 10) and 0.55 < agreed["low"] < 0.65 and agreed["high"] < 1
    assert found["random"]["kappa"] == pytest.approx((0.9 - (0.6 * 0.7 + 0.4 * 0.3)) / (1 - 0.54))
    assert found["low_score"]["asked"] == 2 and found["low_score"]["agreement"]["n"] == 1
    empty = second_opinion(frame.head(0))
    assert empty["random"] == {"asked": 0, "agreement": None, "kappa": None} and json.dumps(empty)
    said = judge_sentences({**found, "model": "m", "below": 0.7, "error": None})
    assert "m agrees on 90.0 % (59.6–98.2 %) of the items with a score of 0.7 or more, by a sample of" in said[0]
    assert "n = 10, kappa 0.78; on 0.0 %" in said[0] and "It disagrees on 2 items" in said[0]
    assert judge_sentences({**empty, "model": "m", "below": 0.7, "error": None}) == [
        "The second opinion was asked about nothing."
    ]


def test_the_judge_sees_the_same_prompt_and_never_the_first_answer():
    texts = [f"{word} {n}" for n in range(10) for word in ("vinil", "taxi")]
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(20)], "cleanText": texts})
    predictions = predicted([(f"i{n}", "Otros", 0.3, "ok", 1) for n in range(20)])
    drawn = draw_for_judge(predictions, below=0.7, share=0, seed=7)
    with OpenAIServer() as server:
        judge = Classifier(PROMPT, get_provider("openai", model=MODEL, base_url=server.url))
        found = ask_judge(items, predictions, drawn, judge)
    assert {call.instructions for call in server.calls} == {PROMPT.render()}
    assert "Otros" not in server.calls[0].body["messages"][1]["content"]
    said = found.judgements.set_index("item_id").loc[[f"i{n}" for n in range(20)]]
    assert said["judge_category"].tolist() == ["Pop", "Viajes"] * 10
    assert said["judge_reason"].tolist() == texts and set(said["judge_score"]) == {0.9} and found.error is None


def test_a_judge_that_breaks_down_gives_what_it_had_answered_and_says_why():
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(20)], "cleanText": [f"taxi {n}" for n in range(20)]})
    predictions = predicted([(f"i{n}", "Viajes", 0.3, "ok", 1) for n in range(20)])
    drawn = draw_for_judge(predictions, below=0.7, share=0, seed=7)
    with OpenAIServer(faults={3: ["quota"]}) as server:
        provider = get_provider("openai", model=MODEL, base_url=server.url)
        judge = Classifier(PROMPT, provider, cache=MemoryCache())
        judge.limits = judge.limits.changed(chunk_size=5, concurrency=1)
        found = ask_judge(items, predictions, drawn, judge)
    assert found.judgements["judge_category"].notna().sum() == 10 and len(found.judgements) == 20
    assert "out of quota" in found.error


def test_the_disagreement_strategy_seeks_out_what_the_second_opinion_doubts():
    rows = [(f"i{n}", "Pop", 0.9, "ok", 1) for n in range(40)]
    predictions = predicted(rows).assign(previous_category=pd.array(["Pop"] * 40, dtype="str"))
    predictions.loc[:4, "judge_category"] = "Viajes"
    predictions.loc[5:9, "judge_category"] = "Pop"
    sample = draw(predictions, strategy="disagreement", size=10, seed=7)
    assert set(sample.loc[sample["part"] == "targeted", "item_id"]) == {f"i{n}" for n in range(5)}


# --- a run


def classified(loop, *changes):
    parameters = load_parameters("run.yaml", ["run.iterations=1", *changes])
    with open_store() as store:
        run = loop(parameters, store)
        return {
            "metrics": store.load(run.run_id, "metrics", 1),
            "predictions": store.load(run.run_id, "predictions", 1),
            "judgements": store.load(run.run_id, "judgements", 1) if store.has(run.run_id, "judgements", 1) else None,
            "page": store.load(run.run_id, "report"),
            "shown": report.summary(store, run.run_id),
        }


def test_a_run_with_the_embedded_judge_tells_how_far_it_agrees_everywhere(project, loop, capsys):
    with OpenAIServer() as server:
        of_model = ("classify.provider=openai", f"classify.model={MODEL}", f"classify.base_url={server.url}")
        found = classified(
            loop, *of_model, "classify.judge.provider=lexical", "classify.judge.share=0.5", "classify.judge.below=0.5"
        )
    judge, judgements, predictions = found["metrics"]["judge"], found["judgements"], found["predictions"]
    assert (judge["provider"], judge["model"], judge["error"]) == ("lexical", "lexical", None)
    assert judge["random"]["asked"] == len(judgements) == judge["answered"] > 5
    by_item = judgements.set_index("item_id")["judge_category"]
    pd.testing.assert_series_equal(
        predictions["judge_category"],
        predictions["item_id"].map(by_item),
        check_names=False,
    )
    differs = judgements["category"] != judgements["judge_category"]
    assert judge["disagreements"] == differs.sum() > 0
    sentence = judge_sentences(judge)[0]
    assert "A second opinion by lexical agrees on" in sentence
    assert sentence.split(" agrees")[0] in found["page"]
    assert sentence in json.dumps(found["shown"], ensure_ascii=False)
    assert cli.main(["show"]) == 0
    assert "A second opinion by lexical agrees" in " ".join(capsys.readouterr().out.split())


PRICES = """\
as_of: 2025-10-01
mxn_per_usd: 20
models:
  test-model: {input: 100, cached: 10, output: 400}
  lexical-1: {input: 0, cached: 0, output: 0}
"""


def test_what_the_judge_costs_counts_and_is_paid_once_and_a_broken_one_is_told(project, loop):
    (project / "parameters").mkdir()
    (project / "parameters" / "prices.yaml").write_text(PRICES, encoding="utf-8")
    by_model = ["classify.judge.provider=openai", f"classify.judge.model={MODEL}", "classify.judge.below=1"]
    with OpenAIServer() as server:
        by_model.append(f"classify.judge.base_url={server.url}")
        with open_store() as store:
            parameters = load_parameters("run.yaml", by_model)
            run = workflow.ingest(parameters, store, run_id=workflow.start(parameters, store, run_id="one").run_id)
            expected = workflow.estimate(run, parameters, store, 1)
            assert expected.usd == 0 and expected.judge.usd > 0 and "and a second opinion:" in str(expected)
            workflow.classify(run, parameters, store, iteration=1)
            spent = store.load("one", "spending", 1)["cost_usd"]
            judge = store.load("one", "metrics", 1)["judge"]
            assert spent == pytest.approx(judge["processing"]["cost_usd"]) and spent > 0
            asked = len(server.calls)
            again = workflow.ingest(parameters, store, run_id=workflow.start(parameters, store, run_id="two").run_id)
            workflow.classify(again, parameters, store, iteration=1)
            assert len(server.calls) == asked
            assert store.load("two", "metrics", 1)["judge"]["random"] == judge["random"]
            few = load_parameters("run.yaml", [*by_model, "classify.budget_usd=0.000001", "classify.cache=false"])
            third = workflow.ingest(few, store, run_id=workflow.start(few, store, run_id="three").run_id)
            workflow.classify(third, few, store, iteration=1)
            judge = store.load("three", "metrics", 1)["judge"]
            assert judge["answered"] == 0 and "the budget left" in judge["error"]
            assert "did not come to its end" in judge_sentences(judge)[0]
            assert store.load("three", "predictions", 1)["judge_category"].isna().all()
            assert store.stage_done("three", "classify", 1)
    with open_store() as store:  # nobody answers there any more
        parameters = load_parameters("run.yaml", [*by_model, "classify.cache=false", "classify.max_retries=1"])
        fourth = workflow.ingest(parameters, store, run_id=workflow.start(parameters, store, run_id="four").run_id)
        workflow.classify(fourth, parameters, store, iteration=1)
        error = store.load("four", "metrics", 1)["judge"]["error"]
        assert "cannot be reached" in error and "check classify.judge.base_url" in error
        assert set(store.load("four", "predictions", 1)["status"]) == {"ok"}


def test_a_model_cannot_judge_itself(project):
    with pytest.raises(ParameterError, match=r"classify.judge is 'lexical-1' itself"):
        workflow.check(load_parameters("run.yaml", ["classify.judge.provider=lexical"]))
    with pytest.raises(ParameterError, match="needs the option 'model'"):
        workflow.check(load_parameters("run.yaml", ["classify.judge.provider=openai"]))
