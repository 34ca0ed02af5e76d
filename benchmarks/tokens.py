"""Tokens per 1,000 items: our formats against the reference's and against one row per call, counted with cl100k_base.

`python benchmarks/tokens.py [--items N] [--json]` prints a markdown table. The texts are the shipped example, cleaned
by v3. The reference echoes the text of every item and names its category twice (`category`, `clase`); its data are
`{"entries": [{"cleanField": "text"}]}`. Both ways give the same reason: a sentence where ours is `always`, a few words
where it is `short`. The prompt, which every call repeats, is shown apart. The encoding is the one that litellm carries.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import llm, refinery
from workbench.llm.chunks import number

CHUNK = 50
FIELD = "cleanLineDescription"
SENTENCE = "La descripción menciona {words}, que corresponde a {category}."

Item = tuple[str, str, float]


def counter() -> Callable[[str], int]:
    """Give what counts tokens, from the files that litellm ships: nothing is downloaded."""
    found = importlib.util.find_spec("litellm")
    assert found is not None and found.submodule_search_locations, "pip install 'datainspector-workbench[bench]'"
    folder = Path(found.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base")
    return lambda text: len(encoding.encode(text, disallowed_special=()))


def example_items(count: int, prompt: llm.Prompt) -> list[Item]:
    """Give distinct clean texts of the shipped example with a category and a score each."""
    table = pd.read_csv(Path(__file__).parents[1] / "examples" / "expenses.csv")
    texts = refinery.get_pipeline("v3").clean(table["LineDescription"].astype("str")).drop_duplicates().head(count)
    items = pd.DataFrame({"item_id": [str(n) for n in range(len(texts))], FIELD: texts.tolist()})
    said = llm.classify(items, prompt, llm.get_provider("lexical"))
    return list(zip(texts.tolist(), said["category"].tolist(), said["score"].round(1).tolist(), strict=True))


def reason_of(item: Item, style: str) -> str:
    words = " ".join(item[0].split()[:3])
    return SENTENCE.format(words=words, category=item[1]) if style == "always" else words


def reference(chunk: list[Item], style: str) -> tuple[str, str]:
    entries = [{FIELD: text} for text, _, _ in chunk]
    results = [
        {FIELD: item[0], "category": item[1], "reason": reason_of(item, style), "score": item[2], "clase": item[1]}
        for item in chunk
    ]
    return (json.dumps({"entries": entries}, ensure_ascii=False), json.dumps({"results": results}, ensure_ascii=False))


def ours(chunk: list[Item], style: str, prompt: llm.Prompt) -> tuple[str, str]:
    rows: list[list[Any]] = []
    for place, item in enumerate(chunk, start=1):
        reason = [reason_of(item, style)]
        if style in ("always", "short"):
            rows.append([place, reason, item[1], item[2]])
        else:
            rows.append([place, item[1], item[2], *([reason] if style == "low_confidence" and item[2] < 0.7 else [])])
    request = llm.Request(prompt, number([{FIELD: text} for text, _, _ in chunk]), style)
    return request.data, json.dumps({"results": rows}, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    count = counter()
    prompt = llm.load_prompt(Path(__file__).parents[1] / "parameters" / "prompts" / "business_expenses.yaml")
    items = example_items(options.items, prompt)
    assert all(llm.parse_answer(ours(items[:CHUNK], style, prompt)[1], prompt, range(1, CHUNK + 1)).faults == {}
               for style in ("always", "short", "low_confidence", "never"))  # fmt: skip
    ways: list[tuple[str, int, str, Callable[[list[Item]], tuple[str, str]]]] = [
        ("reference, a sentence", CHUNK, "always", lambda chunk: reference(chunk, "always")),
        ("reference, a few words", CHUNK, "short", lambda chunk: reference(chunk, "short")),
        ("one row per call, a few words", 1, "short", lambda chunk: ours(chunk, "short", prompt)),
    ]
    for style in ("always", "short", "low_confidence", "never"):
        ways.append((f"ours, {style}", CHUNK, style, lambda chunk, style=style: ours(chunk, style, prompt)))  # type: ignore[misc]
    results = []
    for name, size, style, say in ways:
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        said = [say(chunk) for chunk in chunks]
        per = 1000 / len(items)
        into, out = (round(per * sum(count(text) for text in side)) for side in zip(*said, strict=True))
        prefix = round(per * len(chunks) * count(prompt.render(style)))
        results.append({"way": name, "input": into, "output": out, "total": into + out, "prefix": prefix})
    print(json.dumps(results, indent=2) if options.json else table(results))


def table(results: list[dict[str, Any]]) -> str:
    sentence, words = results[0]["total"], results[1]["total"]
    lines = [
        "| way | input | output | both | of the reference with a sentence | with a few words | prompt, repeated |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for it in results:
        shares = f"{it['total'] / sentence:.0%} | {it['total'] / words:.0%}"
        numbers = f"{it['input']:,} | {it['output']:,} | {it['total']:,}"
        lines.append(f"| {it['way']} | {numbers} | {shares} | {it['prefix']:,} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
