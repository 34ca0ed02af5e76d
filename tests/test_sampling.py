import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import ColumnNotFound, NotRegistered, UsageError
from workbench.metrics import drawn_as, estimate
from workbench.records import PREDICTION_COLUMNS
from workbench.sampling import STRATEGIES, allocate, design, draw, sampling_stats

ADDED = ("stratum", "inclusion_probability", "stratum_items", "drawable_items", "part")


def predictions(categories, scores=None, statuses=None):
    n = len(categories)
    values = {
        "item_id": [f"item{position:05d}" for position in range(n)],
        "category": categories,
        "reason": ["because"] * n,
        "score": scores or [0.9] * n,
        "status": statuses or ["ok"] * n,
        "attempts": [1] * n,
        "judge_category": [None] * n,
    }
    return pd.DataFrame(values)[list(PREDICTION_COLUMNS)]


def mixed(n=1000, seed=1):
    rng = np.random.default_rng(seed)
    categories = rng.choice(["Pop", "Renta", "Cafetería", "Otros"], n, p=[0.6, 0.3, 0.08, 0.02])
    frame = predictions(list(categories), list(rng.choice([-1.0, 0.2, 0.5, 0.69, 0.7, 0.95], n)))
    words = np.array(["renta", "vinil", "café", "taxi", "lona", "flete", "hotel", "agua", "pan", "toner"])
    texts = [" ".join(rng.choice(words, 3)) + f" {number % 97}" for number in range(n)]
    before = np.where(rng.random(n) < 0.8, frame["category"], "Otros")
    return frame.assign(text=texts, weight=rng.lognormal(0, 1.5, n), previous_category=before, error_rate=None)


counts_of_strata = st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 5000), min_size=1, max_size=30)


@settings(deadline=None, max_examples=100)
@given(counts_of_strata, st.integers(0, 400))
def test_an_allocation_is_exact_possible_and_forgets_no_category(counts, size):
    seats = allocate(counts, size)
    filled = [name for name, count in counts.items() if count]
    assert sum(seats.values()) == min(size, sum(counts.values()))
    assert all(0 <= seats[name] <= count for name, count in counts.items())
    if min(size, sum(counts.values())) >= len(filled):
        assert all(seats[name] >= 1 for name in filled)


@settings(deadline=None, max_examples=100)
@given(counts_of_strata, st.integers(0, 400))
def test_no_stratum_is_a_whole_seat_above_its_quota_except_for_its_first_seat(counts, size):
    seats, total = allocate(counts, size), sum(counts.values())
    for name, count in counts.items():
        quota = min(size, total) * count / total if total else 0
        assert seats[name] <= max(1, quota + 1)


def test_without_rare_categories_the_allocation_is_the_largest_remainder():
    # quotas 4.16, 3.4, 2.44: the one seat that is left goes to the largest remainder
    assert allocate({"a": 416, "b": 340, "c": 244}, 10) == {"a": 4, "b": 3, "c": 3}


def test_an_allocation_does_not_depend_on_the_order_of_the_counts():
    counts = {"a": 5, "b": 5, "c": 5, "d": 1}
    assert allocate(counts, 6) == allocate(dict(reversed(counts.items())), 6)


def test_a_stratified_sample_represents_every_category():
    frame = predictions(["Pop"] * 9_970 + ["Renta"] * 20 + ["Otros"] * 9 + ["Uniformes"])
    sample = draw(frame, size=100)
    assert sample["category"].value_counts().to_dict() == {"Pop": 97, "Renta": 1, "Otros": 1, "Uniformes": 1}


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_every_strategy_draws_the_size_asked_for_without_repeats(strategy):
    sample = draw(mixed(), strategy=strategy, size=137)
    assert len(sample) == 137
    assert sample["item_id"].is_unique
    assert list(sample.columns) == [*PREDICTION_COLUMNS, *ADDED]
    assert list(sample.index) == list(range(137))


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_every_strategy_draws_everything_if_there_is_less_than_asked_for(strategy):
    sample = draw(mixed(30), strategy=strategy, size=100)
    assert len(sample) == 30
    assert (sample["inclusion_probability"] == 1).all()


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_every_strategy_draws_nothing_from_nothing(strategy):
    assert draw(mixed(0), strategy=strategy).empty
    assert draw(mixed(10), strategy=strategy, size=0).empty


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_the_weights_of_a_sample_add_up_to_the_items_of_the_strata_it_reached(strategy):
    frame = mixed()
    sample = draw(frame, strategy=strategy, size=750)
    weights = (1 / sample["inclusion_probability"]).groupby(sample["stratum"]).sum()
    assert weights.sum() == pytest.approx(len(frame))


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_the_inclusion_probability_is_how_often_an_item_is_drawn(strategy):
    frame = mixed(60)
    seeds = range(30 if strategy == "diversity" else 120)
    draws = [draw(frame, strategy=strategy, size=20, seed=seed).set_index("item_id") for seed in seeds]
    promised = pd.concat(draws)["inclusion_probability"].groupby(level=0).first()
    drawn = pd.concat(draws).groupby(level=0).size() / len(draws)
    # five standard deviations of a share
    assert ((drawn - promised).abs() <= 5 * np.sqrt(promised * (1 - promised) / len(draws)) + 1e-9).all()


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_a_sample_depends_on_the_seed_and_not_on_the_order_of_the_predictions(strategy):
    frame = mixed(300)
    sample = draw(frame, strategy=strategy, size=50)
    shuffled = frame.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(draw(shuffled, strategy=strategy, size=50), sample)
    assert list(draw(frame, strategy=strategy, size=50, seed=8)["item_id"]) != list(sample["item_id"])


def test_the_order_of_review_is_not_the_order_of_the_categories():
    sample = draw(mixed(), size=200)
    half = sample["category"].iloc[:100].value_counts()["Pop"]
    assert 40 < half < 80


def test_pending_and_excluded_items_are_never_drawn():
    frame = predictions(["Pop"] * 6, statuses=["ok", "pending", "repaired", "failed", "ok", "pending"])
    frame.loc[frame["status"] == "pending", ["category", "score"]] = None
    sample = draw(frame, exclude=["item00000"])
    assert set(sample["item_id"]) == {"item00002", "item00003", "item00004"}
    assert (sample["inclusion_probability"] == 1).all()


def test_the_confidence_strategy_takes_the_least_confident_first():
    frame = predictions(["Pop"] * 8, scores=[-1.0, 0.69, 0.7, 0.9, 0.95, 1.0, 0.8, 0.75])
    few = draw(frame, strategy="confidence", size=2)
    assert set(few["score"]) == {-1.0, 0.69}
    more = draw(frame, strategy="confidence", size=5)
    assert {-1.0, 0.69} < set(more["score"])
    assert more.set_index("score")["inclusion_probability"].loc[[-1.0, 0.69]].tolist() == [1.0, 1.0]
    assert more["inclusion_probability"].min() == pytest.approx(3 / 6)


def test_the_threshold_of_the_confidence_strategy_can_be_chosen():
    frame = predictions(["Pop"] * 4, scores=[0.3, 0.5, 0.6, 0.9])
    sample = draw(frame, strategy="confidence", size=1, confidence_threshold=0.4)
    assert sample["score"].tolist() == [0.3]
    assert sample["stratum"].tolist() == ["score < 0.4"]


def test_an_unknown_strategy_is_answered_with_the_nearest_one():
    with pytest.raises(NotRegistered, match="did you mean 'stratified'"):
        draw(mixed(5), strategy="stratifed")


def test_a_negative_size_and_a_missing_column_are_said_plainly():
    with pytest.raises(UsageError, match="-1 items"):
        draw(mixed(5), size=-1)
    with pytest.raises(ColumnNotFound, match="'score'"):
        draw(mixed(5).drop(columns="score"))


def test_the_predictions_are_not_changed():
    frame = mixed(20)
    before = frame.copy()
    draw(frame, size=5)
    pd.testing.assert_frame_equal(frame, before)


def test_the_stats_of_a_sample_count_what_was_drawn():
    frame = predictions(
        ["Pop"] * 6 + ["Renta"] * 3 + [None], [0.9] * 5 + [0.5, 0.2, -1.0, -1.0, None], ["ok"] * 9 + ["pending"]
    )
    sample = draw(frame, size=3)
    stats = sampling_stats(frame, sample, target_size=3)
    json.dumps(stats, allow_nan=False)
    assert stats == {
        "total_records": 9,
        "target_sample_size": 3,
        "actual_sample_size": 3,
        "sampling_percentage": 33.33,
        "categories_represented": 2,
        "category_breakdown": {
            "Pop": {"count": 2, "percentage": 66.67},
            "Renta": {"count": 1, "percentage": 33.33},
        },
        "parts": {"probability": 3, "targeted": 0},
        "confidence_stats": {
            "total_records": 9,
            "filtered_records": 4,
            "filter_percentage": 44.44,
            "confidence_threshold": 0.7,
            "confidence_distribution": {"high": 5, "medium": 1, "low": 1, "ambiguous": 2},
        },
    }


def test_the_stats_of_nothing_are_zeros():
    frame = mixed(0)
    stats = sampling_stats(frame, draw(frame), target_size=100, confidence_threshold=None)
    json.dumps(stats, allow_nan=False)
    assert stats["sampling_percentage"] == 0.0
    assert stats["confidence_stats"] is None


def test_weights_make_a_stratified_sample_estimate_the_whole_without_bias():
    rng = np.random.default_rng(1)
    category = pd.Series(["large"] * 1000 + [f"small {number}" for number in range(40)] * 2)
    right = np.where(category == "large", rng.random(len(category)) < 0.8, rng.random(len(category)) < 0.2)
    table = pd.DataFrame({"item_id": [f"i{number}" for number in range(len(category))], "category": category})
    table = table.assign(reason="", score=0.9, status="ok", attempts=1)
    truth = pd.Series(right, index=table["item_id"])
    plain, weighted = [], []
    for seed in range(200):
        sample = draw(table, size=100, seed=seed)
        hit = truth[sample["item_id"]].to_numpy()
        plain.append(hit.mean())
        weighted.append(estimate(hit, drawn_as(sample["item_id"], design([sample]))).estimate)
    assert np.mean(plain) < truth.mean() - 0.1
    assert abs(np.mean(weighted) - truth.mean()) < 0.02


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "diversity"])
def test_every_strategy_estimates_the_whole_without_bias_whatever_it_seeks_out(strategy):
    frame = mixed(800)
    rng = np.random.default_rng(2)
    hard = (frame["score"] < 0.7) | (frame["category"] != frame["previous_category"])
    truth = pd.Series(rng.random(800) < np.where(hard, 0.4, 0.9), index=frame["item_id"])
    size = 700 if strategy == "confidence" else 120
    found = []
    for seed in range(60):
        sample = draw(frame, strategy=strategy, size=size, seed=seed)
        hits = truth[sample["item_id"]].to_numpy()
        found.append(estimate(hits, drawn_as(list(sample["item_id"]), design([sample]))).estimate)
    assert abs(np.mean(found) - truth.mean()) < 4 * np.std(found) / np.sqrt(60) + 0.002


def test_targeted_items_are_told_apart_and_weigh_less_than_those_drawn_by_chance():
    frame = mixed(400)
    for strategy in ("disagreement", "diversity"):
        sample = draw(frame, strategy=strategy, size=60)
        assert sample["part"].value_counts().to_dict() == {"probability": 30, "targeted": 30}
        by_part = sample.groupby("part")["inclusion_probability"]
        assert by_part.min()["targeted"] > by_part.max()["probability"]


def test_disagreement_seeks_out_what_the_last_iteration_saw_differently():
    frame = mixed(400)
    changed = frame["category"] != frame["previous_category"]
    sample = draw(frame, strategy="disagreement", size=60)
    targeted = sample[sample["part"] == "targeted"]["item_id"]
    assert targeted.isin(frame.loc[changed, "item_id"]).all()
    first = draw(frame.assign(previous_category=None), strategy="disagreement", size=60)
    assert set(first["part"]) == {"probability"}


def test_diverse_texts_come_from_every_kind_and_no_two_are_nearly_the_same():
    kinds = ["renta de oficina", "vinil impreso", "boleto avion", "tacos equipo", "toner negro", "flete norte"]
    texts = [f"{kinds[min(n // 50, 5)]} {n}" for n in range(400)]
    frame = predictions(["Pop"] * 400).assign(text=texts)
    sample = draw(frame, strategy="diversity", size=12)
    typical = sample.loc[sample["part"] == "targeted", "item_id"].str.removeprefix("item").astype(int)
    assert {min(n // 50, 5) for n in typical} == set(range(6))


def test_sizes_are_drawn_so_that_the_biggest_are_all_there_and_the_amount_is_known_better():
    frame = mixed(2000).assign(weight=np.random.default_rng(4).lognormal(0, 2.0, 2000))
    rng = np.random.default_rng(5)
    right, weight = pd.Series(rng.random(2000) < 0.8, index=frame["item_id"]), frame.set_index("item_id")["weight"]
    truth = (right * weight).sum() / weight.sum()
    errors = {}
    for strategy in ("weighted", "random"):
        found = []
        for seed in range(40):
            ids = list((sample := draw(frame, strategy=strategy, size=120, seed=seed))["item_id"])
            drawn = drawn_as(ids, design([sample]))
            found.append(estimate(right[ids].to_numpy(), drawn, weight[ids].to_numpy()).estimate - truth)
        errors[strategy] = np.sqrt(np.mean(np.square(found)))
    assert errors["weighted"] < 0.6 * errors["random"]
    assert set(frame.nlargest(10, "weight")["item_id"]) <= set(sample_ids(frame))


def sample_ids(frame):
    return draw(frame, strategy="weighted", size=120)["item_id"]


def test_credit_notes_weigh_by_their_absolute_amount_and_items_without_one_keep_a_chance():
    frame = mixed(300)
    frame["weight"] = np.where(np.arange(300) % 3 == 0, np.nan, frame["weight"])
    frame.loc[5, "weight"] = -1e9
    sample = draw(frame, strategy="weighted", size=60)
    assert sample.loc[sample["item_id"] == "item00005", "inclusion_probability"].tolist() == [1.0]
    assert "without a weight" in set(sample["stratum"])
    with pytest.raises(UsageError, match="no item has a weight"):
        draw(frame.assign(weight=None), strategy="weighted", size=60)


def test_neyman_draws_more_where_right_and_wrong_are_mixed():
    frame = predictions(["Sure"] * 500 + ["Mixed"] * 500)
    frame["error_rate"] = [0.02] * 500 + [0.5] * 500
    taken = draw(frame, strategy="neyman", size=100)["category"].value_counts()
    assert taken["Mixed"] > 2 * taken["Sure"] > 2


def test_a_strategy_says_which_column_it_misses():
    with pytest.raises(ColumnNotFound, match="'text'"):
        draw(predictions(["Pop"] * 5), strategy="diversity", size=2)


def test_more_categories_than_seats_leave_every_item_a_chance():
    frame = predictions([f"category {n % 40}" for n in range(400)])
    sample = draw(frame, size=20)
    assert sample.drop_duplicates("stratum")["stratum_items"].sum() == 400
