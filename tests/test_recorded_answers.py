"""Nine language models answered for 2,500 products that people judged: our numbers against direct computation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score, f1_score

from workbench import metrics, sampling
from workbench.records import VALIDATION_COLUMNS, pool_of

FILE = Path(__file__).parents[2] / "shared" / "data" / "coicop_product_labels" / "human_vs_9_llm_predictions.csv"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"the recorded answers {FILE.name} are not here")


@pytest.fixture(scope="module")
def recorded():
    table = pd.read_csv(FILE, dtype="str")
    return table[table["human_code"].notna()].reset_index(drop=True)


def predictions(recorded, model):
    """Give a model's answers with the share of the nine that agree with it as the score."""
    models = list(recorded.columns[3:])
    said = recorded[model]
    agree = recorded[models].eq(said, axis=0).sum(axis=1) / len(models)
    return pd.DataFrame(
        {
            "item_id": recorded.index.map("{:05d}".format),
            "category": said.fillna("none"),
            "reason": "",
            "score": agree.where(said.notna(), -1.0),
            "status": said.notna().map({True: "ok", False: "failed"}),
            "attempts": 1,
        }
    )


def verdicts(recorded, said, chosen, reviewer="ana"):
    """Let the human codes judge some predictions."""
    part = said.loc[chosen]
    right = part["category"] == recorded.loc[chosen, "human_code"]
    frame = pd.DataFrame({"item_id": part["item_id"], "iteration": 1, "reviewer": reviewer})
    frame = frame.assign(category=part["category"], is_correct=right)
    frame = frame.assign(corrected_category=recorded.loc[chosen, "human_code"].mask(right))
    pools = [pool_of(name).value for name in recorded.loc[chosen, "name"]]
    return frame.assign(user_notes="", validated_at="2026-01-01", pool=pools)[list(VALIDATION_COLUMNS)]


def test_accuracy_macro_f1_and_intervals_are_those_of_a_direct_computation(recorded):
    said = predictions(recorded, "gemma3-12b")
    found = metrics.measure_accuracy(verdicts(recorded, said, said.index), said, iteration=1)
    right = said["category"] == recorded["human_code"]
    assert found.overall.estimate == pytest.approx(right.mean())
    direct = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    assert (found.overall.low, found.overall.high) == pytest.approx((direct.low, direct.high))
    codes = sorted(recorded["human_code"].unique())
    direct_f1 = f1_score(recorded["human_code"], said["category"], labels=codes, average="macro", zero_division=0)
    assert found.macro_f1["estimate"] == pytest.approx(direct_f1)


def test_samples_of_every_strategy_estimate_the_accuracy_of_all_items_without_bias(recorded):
    said = predictions(recorded, "qwen25-7b")
    truth = float((said["category"] == recorded["human_code"]).mean())
    place = pd.Series(said.index, index=said["item_id"])
    for strategy in ("random", "stratified", "weighted"):
        helped = said.assign(weight=recorded["name"].str.len().astype("float64"))
        estimates, covered = [], 0
        for seed in range(60):
            sample = sampling.draw(helped, strategy=strategy, size=150, seed=seed)
            judged = verdicts(recorded, said, place[sample["item_id"]].to_numpy())
            found = metrics.measure_accuracy(judged, said, iteration=1, design=sampling.design([sample])).overall
            estimates.append(found.estimate)
            covered += found.low <= truth <= found.high
        assert np.mean(estimates) == pytest.approx(truth, abs=0.02), strategy
        assert covered >= 52, strategy


def test_the_agreement_of_the_nine_is_a_score_whose_calibration_and_acceptance_hold(recorded):
    said = predictions(recorded, "gemma3-12b")
    right = (said["category"] == recorded["human_code"]).to_numpy()
    score = said["score"].to_numpy()
    found = metrics.calibration(score, right, metrics.drawn_alike(len(right)))
    scored = score != -1
    bins = [(score >= each["from"]) & (score <= each["to"]) & scored for each in found["bins"]]
    gaps = [abs(right[chosen].mean() - score[chosen].mean()) * chosen.sum() for chosen in bins]
    assert found["ece"]["estimate"] == pytest.approx(sum(gaps) / scored.sum())
    assert found["map"]["ece"] < found["ece"]["estimate"]
    accepted = metrics.acceptance(score, right, metrics.drawn_alike(len(right)), 0.85)
    above = score >= accepted["score"]
    assert accepted["precision"]["estimate"] == pytest.approx(right[above].mean())
    direct = stats.binomtest(int(right[above].sum()), int(above.sum()), alternative="greater").proportion_ci(0.95)
    assert accepted["precision"]["low"] == pytest.approx(direct.low, abs=1e-6)
    assert direct.low >= 0.85


def test_kappa_of_people_and_a_model_is_that_of_scikit_learn(recorded):
    said = predictions(recorded, "gemma3-12b")
    people = verdicts(recorded, said, said.index)
    model = people.assign(reviewer="model", is_correct=True, corrected_category=None)
    found = metrics.agreement(pd.concat([people, model], ignore_index=True))
    assert found["kappa"] == pytest.approx(cohen_kappa_score(recorded["human_code"], said["category"]))
    assert found["percent"] == pytest.approx((recorded["human_code"] == said["category"]).mean())
    assert found["alpha"] == pytest.approx(found["kappa"], abs=0.01)


def test_the_better_of_two_models_is_told_and_near_equals_are_not(recorded):
    models = {name: predictions(recorded, name) for name in ("qwen25-3b", "gemma3-12b", "mistral-7b")}
    right = {name: (said["category"] == recorded["human_code"]) for name, said in models.items()}
    for first, second, chosen in (("qwen25-3b", "gemma3-12b", 400), ("gemma3-12b", "qwen25-3b", 400)):
        part = models[first].index[:chosen]
        judged = verdicts(recorded, models[first], part)
        sides = metrics.Side(1, models[first]), metrics.Side(1, models[second])
        found = metrics.compare_on_shared_items(judged, *sides)
        fixed = int((~right[first] & right[second])[part].sum())
        broken = int((right[first] & ~right[second])[part].sum())
        assert (found["fixed"], found["broken"]) == (fixed, broken)
        assert found["mcnemar_p"] == pytest.approx(stats.binomtest(fixed, fixed + broken).pvalue)
        means = [right[name][part].mean() for name in (first, second)]
        assert found["difference"]["estimate"] == pytest.approx(means[1] - means[0])
        assert found["verdict"] == ("better" if means[1] > means[0] else "worse")
    few = verdicts(recorded, models["mistral-7b"], models["mistral-7b"].index[:25])
    same = metrics.Side(1, models["mistral-7b"]), metrics.Side(1, models["mistral-7b"])
    assert metrics.compare_on_shared_items(few, *same)["verdict"] == "cannot be told"
