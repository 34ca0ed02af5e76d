"""Estimates from samples: they cover the truth as often as they say, and never divide by nothing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.metrics import Drawn, drawn_alike, drawn_as, estimate, wilson
from workbench.metrics.estimates import speaking
from workbench.sampling import allocate, draw
from workbench.sampling import design as together

WORLDS = 1_000


def world(rng, kind):
    """Make up items of several categories, draw some of them, and give the verdicts and what they should say."""
    items, categories = int(rng.integers(800, 5_000)), int(rng.integers(4, 16))
    category = rng.choice(categories, items, p=rng.dirichlet(np.full(categories, 0.7)))
    accuracy = np.clip(rng.beta(6, 2, categories), 0.05, 0.99)
    right = rng.random(items) < accuracy[category]
    score = np.where(right, rng.beta(6, 2, items), rng.beta(3, 3, items))
    size = rng.lognormal(0, 1.0, items)
    wanted = int(rng.integers(60, 250))
    if kind == "confidence":
        stratum = (score < 0.5).astype(int)
        low = min(int(stratum.sum()), wanted // 2)
        take = np.array([wanted - low, low])
    elif kind == "weighted":
        order = np.argsort(size)
        stratum = np.empty(items, dtype=int)
        stratum[order] = np.minimum((np.cumsum(size[order]) / size.sum() * 6).astype(int), 5)
        take = np.minimum(np.bincount(stratum, minlength=6), wanted // 6)
    else:
        stratum = category if kind in ("stratified", "amounts") else np.zeros(items, dtype=int)
        counts = np.bincount(stratum)
        seats = allocate({str(number): int(count) for number, count in enumerate(counts)}, wanted)
        take = np.array([seats[str(number)] for number in range(len(counts))])
    counts = np.bincount(stratum, minlength=len(take))
    groups = [np.flatnonzero(stratum == number) for number in range(len(take))]
    drawn = np.concatenate([rng.choice(group, n, replace=False) for group, n in zip(groups, take, strict=True) if n])
    fraction = take[stratum[drawn]] / counts[stratum[drawn]]
    size = size if kind in ("weighted", "amounts") else np.ones(items)
    return (
        right[drawn],
        Drawn(1 / fraction, stratum[drawn], fraction),
        size[drawn],
        float((size * right).sum() / size.sum()),
    )


@pytest.mark.parametrize("kind", ["random", "stratified", "confidence", "weighted", "amounts"])
def test_over_1000_worlds_the_interval_covers_the_truth_in_93_to_97_percent(kind):
    rng = np.random.default_rng(19)
    covered = 0
    for _ in range(WORLDS):
        right, drawn, size, truth = world(rng, kind)
        found = estimate(right, drawn, size)
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / WORLDS <= 0.97


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 3), st.floats(0, 1e6), st.floats(0.01, 1)), min_size=0, max_size=30
    )
)
def test_an_interval_holds_its_estimate_and_is_never_nan(rows):
    right = np.array([row[0] for row in rows], dtype=bool)
    fraction = np.array([row[3] for row in rows])
    drawn = Drawn(1 / fraction, np.array([row[1] for row in rows], dtype=np.int64), fraction)
    for size in (None, np.array([row[2] for row in rows], dtype=float)):
        found = estimate(right, drawn, size)
        if found.n:
            assert 0 <= found.low <= found.estimate <= found.high <= 1 + 1e-9
        else:
            assert found == wilson(0, 0)


def test_equal_chances_give_the_plain_interval_of_wilson():
    for correct, n in ((47, 50), (50, 50), (0, 7), (1, 1), (1, 2)):
        right = np.arange(n) < correct
        found, plain = estimate(right, drawn_alike(n)), wilson(correct, n)
        assert (found.estimate, found.n) == (plain.estimate, plain.n)
        assert (found.low, found.high) == pytest.approx((plain.low, plain.high))


def test_where_everything_was_judged_chance_has_no_say():
    drawn = Drawn(np.ones(20), np.zeros(20, dtype=np.int64), np.ones(20))
    found = estimate(np.arange(20) < 15, drawn)
    assert (found.estimate, found.low, found.high, found.n) == (0.75, 0.75, 0.75, 20)


def test_one_huge_amount_leaves_little_to_be_known():
    right, size = np.array([True] * 50), np.array([1e6] + [1.0] * 49)
    found = estimate(right, drawn_alike(50), size)
    assert found.estimate == 1.0
    assert found.low < 0.3


def design(*draws):
    rows = []
    for number, (population, taken) in enumerate(draws, 1):
        everything = sum(population.values())
        for stratum, ids in taken.items():
            rows += [(item, number, stratum, population[stratum], everything) for item in ids]
    return pd.DataFrame(rows, columns=["item_id", "draw", "stratum", "stratum_items", "drawable_items"])


def test_an_item_stands_for_the_items_of_its_stratum_that_were_not_judged():
    table = design(({"Pop": 90, "Renta": 10}, {"Pop": ["a", "b", "c"], "Renta": ["d", "e"]}))
    drawn = drawn_as(["a", "b", "d", "e"], table)
    assert drawn.weight / drawn.weight[3] == pytest.approx([9, 9, 1, 1])
    assert drawn.fraction == pytest.approx([2 / 90, 2 / 90, 0.2, 0.2])


def test_strata_without_a_verdict_are_stood_for_by_the_other_small_ones():
    table = design(({"Pop": 90, "Renta": 6, "Otros": 4}, {"Pop": ["a", "b"], "Renta": ["c"], "Otros": ["d"]}))
    drawn = drawn_as(["a", "b", "c"], table)
    assert drawn.weight / drawn.weight[0] == pytest.approx([1, 1, 10 / 45])


def test_draws_count_by_their_judged_items_whatever_their_size():
    table = design(({"all": 10_000}, {"all": ["a", "b"]}), ({"all": 9_998}, {"all": ["c", "d", "e", "f"]}))
    drawn = drawn_as(list("abcdef"), table)
    assert drawn.weight == pytest.approx(np.ones(6), abs=1e-3)
    assert len(set(drawn.stratum)) == 2


def test_a_later_draw_is_completed_by_what_was_judged_before_it():
    table = design(
        ({"big": 2, "small": 98}, {"big": ["a", "b"], "small": ["c", "d"]}), ({"small": 96}, {"small": ["e", "f"]})
    )
    drawn = drawn_as(list("abcdef"), table)
    assert drawn.weight / drawn.weight[0] == pytest.approx([1, 1, (4 / 6) * 49 + (2 / 6) * 1, 33, 16, 16], rel=0.04)
    assert drawn.weight[:2].sum() / drawn.weight.sum() == pytest.approx(2 / 100)


def test_over_three_iterations_that_take_the_biggest_first_the_share_of_the_amount_has_no_bias():
    rng = np.random.default_rng(5)
    amount = pd.Series(rng.lognormal(0, 2.0, 700), index=[f"i{number}" for number in range(700)])
    right = pd.Series(rng.random(700) < np.where(amount > amount.quantile(0.95), 0.95, 0.6), index=amount.index)
    truth = (amount * right).sum() / amount.sum()
    frame = pd.DataFrame({"item_id": amount.index, "category": "Pop", "score": 0.5, "status": "ok", "weight": amount})
    found = []
    for seed in range(60):
        samples = []
        for iteration in range(3):
            judged = [item for sample in samples for item in sample["item_id"]]
            samples.append(draw(frame, strategy="weighted", size=50, seed=10 * seed + iteration, exclude=judged))
        ids = [item for sample in samples for item in sample["item_id"]]
        drawn = drawn_as(ids, together(samples))
        found.append(estimate(right[ids].to_numpy(), drawn, amount[ids].to_numpy()))
    assert np.mean([each.estimate for each in found]) == pytest.approx(truth, abs=0.01)
    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.9


def test_a_draw_of_hard_items_only_counts_for_itself_once_a_later_draw_reaches_the_rest():
    table = design(({"low": 20}, {"low": ["a", "b"]}), ({"all": 98}, {"all": ["c", "d"]}))
    table.loc[table["draw"] == 1, "drawable_items"] = 100
    assert speaking(list("ab"), table) == set()
    assert speaking(list("abcd"), table) == {1, 2}
    weight = drawn_as(list("abcd"), table).weight
    assert weight / weight[0] == pytest.approx([1, 1, 49, 49])


def test_an_item_that_was_drawn_again_counts_in_its_last_draw_and_spoils_neither():
    table = design(({"Pop": 90, "Renta": 1}, {"Pop": ["a", "b"], "Renta": ["c"]}), ({"Renta": 1}, {"Renta": ["c"]}))
    table.loc[table["draw"] == 2, "drawable_items"] = 89
    table = pd.concat([table, table[:1].assign(item_id="d", draw=2, stratum_items=88, drawable_items=89)])
    assert speaking(list("abcd"), table) == {1, 2}
    assert len(drawn_as(list("abcd"), table).weight) == 4


def test_a_category_that_is_all_right_does_not_divide_by_a_rounding_error():
    rng = np.random.default_rng(3)
    for _ in range(300):
        n = int(rng.integers(2, 30))
        size = rng.random(n) * (rng.random(n) < 0.7)
        found = estimate(np.array(size > 0), drawn_alike(n), size)
        assert found.estimate in (1.0, None)
