"""How many verdicts each sampling strategy needs: accuracy on never-shown items against the number of verdicts.

The true category is the reviewer, the embedded `lexical` provider classifies, every verdict becomes an example. Rounds
of classify, draw, judge, put into the prompt are run for every strategy and seed on one random part of a table; items
of another part, which is never drawn from, measure.

    python benchmarks/labels_needed.py [--seeds 10] [--rounds 5] [--per-round 40] [--shared FOLDER]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from workbench import llm, sampling
from workbench.llm.prompt import Category, Example, Prompt
from workbench.llm.providers.lexical import PromptReader
from workbench.refinery import get_pipeline

ROOT = Path(__file__).parents[1]
LEARNT_FROM, MEASURED_ON = 600, 400


def tables(shared: Path) -> Iterator[tuple[str, Prompt, pd.DataFrame]]:
    """Give each data set as name, prompt and items (text, true)."""
    prompt = llm.load_prompt(ROOT / "parameters" / "prompts" / "business_expenses.yaml")
    yield "example", prompt, _items(ROOT / "examples" / "expenses.csv", "LineDescription", "TrueCategory")
    files = {
        "CompraNet contracts": ("compranet_contracts/compranet_contracts.csv", "TITULO_CONTRATO", "TIPO_CONTRATACION"),
        "SAT sample": ("sat_claveprodserv/sample_dev.csv", "description", "division_name"),
        "COICOP products": ("coicop_product_labels/manual_labels_coicop2018.csv", "name", "code"),
    }
    for name, (file, text, truth) in files.items():
        if (shared / file).exists():
            items = _items(shared / file, text, truth)
            yield name, _plain_prompt(items["true"]), items


def _items(path: Path, text: str, truth: str) -> pd.DataFrame:
    rows = pd.read_csv(path, dtype="str")[[text, truth]].dropna().set_axis(["text", "true"], axis=1)
    cleaned = get_pipeline("v3").clean(rows["text"])
    return rows.assign(text=cleaned).dropna().query("text != ''").drop_duplicates("text", ignore_index=True)


def _plain_prompt(true: pd.Series) -> Prompt:
    """Write a prompt that knows nothing but the names of the categories."""
    names = [*true.value_counts().index, "Otros", "Indeterminado"]
    categories = [Category(name=name) for name in dict.fromkeys(names)]
    return Prompt(name="plain", role="You sort items.", task="Give every item one category.", categories=categories)


def predict(reader: PromptReader, items: pd.DataFrame) -> pd.DataFrame:
    """Classify every text as the lexical provider does."""
    answers = [reader.answer({"clean": text}) for text in items["text"]]
    return items.assign(
        category=[answer.category for answer in answers], score=[answer.score for answer in answers], status="ok"
    )


def loop(prompt: Prompt, items: pd.DataFrame, strategy: str, seed: int, options: argparse.Namespace) -> list[float]:
    """Give the accuracy on the other half after 0, 1, 2 … rounds of verdicts."""
    shuffled = items.sample(frac=1, random_state=seed, ignore_index=True)
    half = min(len(shuffled) // 2, LEARNT_FROM)
    known, unseen = shuffled[:half], shuffled[half : half + MEASURED_ON]
    judged: dict[str, Example] = {}
    before = pd.Series(dtype="str")
    accuracies = []
    for number in range(options.rounds + 1):
        current = PromptReader(prompt.with_examples([*prompt.examples, *judged.values()]))
        measured = predict(current, unseen)
        accuracies.append(float((measured["category"] == measured["true"]).mean()))
        if number == options.rounds:
            break
        drawn = _draw(predict(current, known), before, judged, strategy, seed + number, options.per_round)
        before = drawn.attrs["said"]
        for row in drawn.itertuples():
            judged[row.item_id] = Example(text=row.text, category=row.true, item_id=row.item_id)
    return accuracies


def _draw(
    said: pd.DataFrame, before: pd.Series, judged: dict[str, Example], strategy: str, seed: int, size: int
) -> pd.DataFrame:
    """Draw the next items as `workflow.validate` does."""
    said = said.assign(item_id=said.index.map("{:06d}".format))
    helped = said.assign(
        error_rate=np.nan,
        weight=said["text"].str.len().astype(float) if strategy == "weighted" else 1.0,
        previous_category=said["item_id"].map(before) if len(before) else None,
    )
    drawn = sampling.draw(helped, strategy=strategy, size=size, seed=seed, exclude=judged)
    drawn = drawn.drop(columns="text", errors="ignore").merge(said[["item_id", "text"]], on="item_id")
    drawn.attrs["said"] = said.set_index("item_id")["category"]
    return drawn


def told(values: np.ndarray) -> str:
    """Write a mean with its 95 % interval over the seeds."""
    half = 2.262 * values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{100 * values.mean():.1f} ± {100 * half:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--per-round", type=int, default=40)
    parser.add_argument("--only", default="")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args()
    steps = [options.per_round * number for number in range(options.rounds + 1)]
    print(f"| data | strategy | {' | '.join(f'{n} verdicts' for n in steps)} | verdicts for random's last |")
    print(f"|---|---|{'--:|' * (len(steps) + 1)}", flush=True)
    for name, prompt, items in tables(options.shared):
        if options.only not in name:
            continue
        found = {}
        for strategy in dict.fromkeys(["random", "stratified", *sampling.STRATEGIES]):
            seeds = range(options.seeds)
            found[strategy] = np.array([loop(prompt, items, strategy, seed, options) for seed in seeds])
            means = found[strategy].mean(axis=0)
            goal = found["random"].mean(axis=0)[-1]
            reached = next((step for step, mean in zip(steps, means, strict=True) if mean >= goal), None)
            cells = " | ".join(told(found[strategy][:, number]) for number in range(len(steps)))
            print(f"| {name} | {strategy} | {cells} | {reached if reached is not None else '–'} |", flush=True)


if __name__ == "__main__":
    main()
