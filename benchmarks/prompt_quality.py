"""What the choice of examples is worth: ours against random and nearest ones, at the same token budget.

`python benchmarks/prompt_quality.py [--seeds N] [--verdicts V] [--tokens T] [--items M]` prints a markdown table. V
random items get their true category as verdicts. From these each way fills the prompt up to T tokens; the lexical
provider classifies at most M other items, of which none is nearly the same as one with a verdict. Real data that is not
there is skipped.

- ours: `llm.refine_prompt`
- random: in random order
- nearest: the verdicts that are most often the nearest neighbour (character 3-grams) of the items to be classified
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from workbench.likeness import likeness, near_any
from workbench.llm import Example, Prompt, classify, estimate_tokens, get_provider, load_prompt, refine_prompt
from workbench.refinery import get_pipeline

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
AROUND = 6
"""Tokens of the dash, quotes and arrow of an example."""


@dataclass(frozen=True)
class Case:
    """A data set with its prompt."""

    name: str
    prompt: Prompt
    items: pd.DataFrame
    """text, true."""


def cases() -> Iterator[Case]:
    rows = pd.read_excel(ROOT / "examples" / "expenses.xlsx", dtype=str, engine="openpyxl")
    shipped = load_prompt(ROOT / "parameters" / "prompts" / "business_expenses.yaml")
    yield _case("shipped example", rows["LineDescription"], rows["TrueCategory"], shipped)
    for name, file, text, true in (
        ("CompraNet contracts", "compranet_contracts/compranet_contracts.csv", "TITULO_CONTRATO", "TIPO_CONTRATACION"),
        ("SAT sample", "sat_claveprodserv/sample_dev.csv", "description", "division_name"),
        ("COICOP products", "coicop_product_labels/manual_labels_coicop2018.csv", "name", "code"),
    ):
        if (DATA / file).exists():
            rows = pd.read_csv(DATA / file, dtype=str)
            yield _case(name, rows[text], rows[true].str[:4] if true == "code" else rows[true])
        else:
            print(f"{name}: no data, skipped")


def _case(name: str, texts: pd.Series, true: pd.Series, prompt: Prompt | None = None) -> Case:
    items = pd.DataFrame({"text": get_pipeline("v3").clean(texts.fillna("")), "true": true.str.strip()}).dropna()
    items = items[items["text"] != ""].drop_duplicates("text").reset_index(drop=True)
    if prompt is None:
        names = [*sorted(items["true"].unique()), "Otros", "Indeterminado"]
        prompt = Prompt(name="names", categories=list(dict.fromkeys(names)))
    return Case(name, prompt.with_examples([]), items[items["true"].isin(prompt.category_names)].reset_index(drop=True))


def verdicts_of(case: Case, judged: pd.DataFrame) -> pd.DataFrame:
    said = predicted(case.prompt, judged)
    return pd.DataFrame(
        {
            "item_id": judged.index.astype(str),
            "text": judged["text"],
            "category": said,
            "is_correct": said == judged["true"],
            "corrected_category": judged["true"].where(said != judged["true"]),
            "pool": "prompt",
            "iteration": 1,
        }
    )


def predicted(prompt: Prompt, items: pd.DataFrame) -> pd.Series:
    frame = pd.DataFrame({"item_id": items.index.astype(str), "cleanText": items["text"]})
    return classify(frame, prompt, get_provider("lexical"))["category"].set_axis(items.index)


Ordering = Callable[[pd.DataFrame, pd.DataFrame, int], list[int]]


def in_random_order(judged: pd.DataFrame, others: pd.DataFrame, seed: int) -> list[int]:
    return list(np.random.default_rng(seed).permutation(len(judged)))


def nearest_first(judged: pd.DataFrame, others: pd.DataFrame, seed: int) -> list[int]:
    rows = likeness(list(others["text"]), list(judged["text"]))
    votes = Counter(int(row.argmax()) for row in rows if row.max() > 0)
    return sorted(range(len(judged)), key=lambda place: (-votes[place], place))


def filled(case: Case, judged: pd.DataFrame, order: list[int], tokens: int) -> Prompt:
    """Take examples in an order as long as they fit."""
    chosen = []
    for place in order:
        row = judged.iloc[place]
        cost = AROUND + estimate_tokens(row["text"]) + estimate_tokens(row["true"])
        if cost <= tokens:
            tokens -= cost
            chosen.append(Example(text=row["text"], category=row["true"]))
    return case.prompt.with_examples(chosen)


def measure(case: Case, seed: int, options: argparse.Namespace) -> dict[str, float]:
    order = np.random.default_rng(seed).permutation(len(case.items))
    size = min(options.verdicts, len(order) // 3)
    judged, others = case.items.iloc[order[:size]], case.items.iloc[order[size:]]
    others = others[~near_any(list(others["text"]), list(judged["text"]))].head(options.items)
    verdicts = verdicts_of(case, judged)
    ours = refine_prompt(
        case.prompt, verdicts, max_examples=10_000, max_tokens=options.tokens, to_classify=list(others["text"])
    )
    prompts = {
        "before": case.prompt,
        "ours": ours.prompt,
        "random": filled(case, judged, in_random_order(judged, others, seed), options.tokens),
        "nearest": filled(case, judged, nearest_first(judged, others, seed), options.tokens),
    }
    return {name: float((predicted(prompt, others) == others["true"]).mean()) for name, prompt in prompts.items()}


def interval(values: pd.Series) -> str:
    """Write a mean with its 95 % interval (Student's t over the seeds), in per cent."""
    half = float(stats.t.ppf(0.975, len(values) - 1)) * values.std(ddof=1) / math.sqrt(len(values))
    return f"{100 * values.mean():.1f} ± {100 * half:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--verdicts", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--items", type=int, default=500)
    options = parser.parse_args()
    print("| data | before | ours | random | nearest | ours − random | ours − nearest |\n|---|--:|--:|--:|--:|--:|--:|")
    for case in cases():
        found = pd.DataFrame([measure(case, seed, options) for seed in range(options.seeds)])
        columns = [found[name] for name in ("before", "ours", "random", "nearest")]
        columns += [found["ours"] - found["random"], found["ours"] - found["nearest"]]
        print(f"| {case.name} | {' | '.join(map(interval, columns))} |", flush=True)


if __name__ == "__main__":
    main()
