"""What the reference's iteration tracking and comparative metrics give, field by field, on three iterations."""

import pytest

from workbench import metrics, workflow
from workbench.finding import Finder
from workbench.search import Query


@pytest.fixture
def thrice(ran):
    return ran("run.iterations=3", "validate.sample_size=6")


def test_the_fields_of_iteration_tracking(thrice):
    run, store = thrice
    said = {each: store.load("one", "predictions", each).set_index("item_id") for each in (1, 2, 3)}
    verdicts = store.validations("one")
    judged = {(row.item_id, row.iteration): row for row in verdicts.itertuples()}
    found = Finder(run, store).find(Query("a", limit=100))["results"]
    assert len(found) > 10
    for each in found:
        item, turns = each["item_id"], each["validation_history"]
        assert [turn["iteration"] for turn in turns] == [1, 2, 3]
        for turn in turns:
            n = turn["iteration"]
            verdict, old = judged.get((item, n)), said[n - 1].loc[item] if n > 1 else None
            assert turn["llm_category"] == said[n].loc[item, "category"]
            assert turn["new_score"] == said[n].loc[item, "score"]
            assert (turn["old_category"], turn["old_score"]) == (
                (None, None) if old is None else (old["category"], old["score"])
            )
            assert turn["change_type"] == ("manual" if verdict else "automatic" if n > 1 else None)
            if verdict:
                assert turn["user_validation"]["is_correct"] == verdict.is_correct
                assert turn["validated_at"] == verdict.validated_at
        true = {name: row.category if row.is_correct else row.corrected_category for (name, _), row in judged.items()}
        assert each["has_improved"] == metrics.has_improved(turns, true.get(item))
    assert not verdicts["item_id"].duplicated().any()  # what was validated is never drawn again


def test_the_fields_of_the_history(thrice):
    _, store = thrice
    history = store.load("one", "history")
    assert [entry["iteration"] for entry in history["iterations"]] == [1, 2, 3]
    counts = [store.load("one", "metrics", each)["category_counts"] for each in (1, 2, 3)]
    for category, line in history["category_timeline"].items():
        assert line == [each.get(category, 0) for each in counts]
    accuracies = [entry["accuracy"] for entry in history["iterations"]]
    assert history["best_iteration"] == metrics.best_iteration(accuracies)
    assert history["overall_trend"] in ("improving", "degrading", "stable")
    for entry in history["iterations"]:
        wrong = store.validations("one", entry["iteration"]).query("not is_correct")
        assert entry["changes"]["manual"] == len(wrong)
    stages = [stage for stage in store.manifest("one")["stages"] if stage["iteration"]]
    assert {stage["iteration"] for stage in stages} == {1, 2, 3}
    assert all(stage["started_at"] and stage["state"] == "finished" for stage in stages)


def test_the_fields_of_the_comparison(thrice):
    run, store = thrice
    before, after = (store.load("one", "metrics", each) for each in (2, 3))
    found = store.load("one", "comparison", 3)
    assert found | {"timestamp": 0} == workflow.compare(run, store) | {"timestamp": 0}
    assert (found["baseline_iteration"], found["iteration_number"]) == (2, 3)
    assert found["timestamp"]
    assert -100 <= found["overall_improvement_score"] <= 100
    performance, quality = found["performance_comparison"], found["quality_comparison"]
    assert performance["baseline_processing_time"] == before["processing"]["seconds"]
    assert performance["refined_processing_time"] == after["processing"]["seconds"]
    assert "time_improvement_pct" in performance
    assert quality["baseline_accuracy"] == before["accuracy"]["estimate"]
    assert quality["refined_accuracy"] == after["accuracy"]["estimate"]
    assert quality["accuracy_improvement"] == quality["refined_accuracy"] - quality["baseline_accuracy"]
    assert quality["ambiguous_reduction"] == before["bands"]["ambiguous"] - after["bands"]["ambiguous"]
    scores = store.load("one", "predictions", 3)["score"]
    assert quality["refined_confident_share"] == pytest.approx((scores[scores != -1] >= 0.7).mean())
    assert after["ambiguous_rate"] == pytest.approx((scores == -1).mean())
    for category, shift in found["distribution_comparison"]["category_shifts"].items():
        counts = [each["category_counts"].get(category, 0) for each in (before, after)]
        assert [shift["from"], shift["to"]] == counts
    assert all(isinstance(line, str) for line in found["recommendations"])
    assert found["recommendations"]
