"""The pipelines v1, v2 and v3 as data: tuples of step names. Once published they never change (golden files hold them).

>>> get_pipeline("v3").clean("INSTALACIÓN VINIL   COCA-COLA")
'instalacion vinil coca cola'
>>> get_pipeline("v2").clean("INSTALACIÓN VINIL   COCA-COLA")
'instalacion vinil cocacola'
>>> get_pipeline("v1").clean("INSTALACIÓN VINIL   COCA-COLA")
'instalación vinil coca-cola'
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple, overload

import pandas as pd
import pyarrow as pa

from workbench.errors import UsageError
from workbench.records import clean_name
from workbench.refinery import blocks, steps
from workbench.refinery.abbreviations import SHIPPED, OwnAbbreviations, build_table, read_entries, read_words
from workbench.refinery.steps import CharacterStep, PatternStep, Step, TokenStep
from workbench.refinery.values import as_names, require_columns, texts_of
from workbench.registry import Registry
from workbench.values import TEXT, coded, codes_of, is_coded, spell_out, with_texts

ABBREVIATIONS = "abbreviations"

STEPS = Registry[Step]("cleaning step")
"""Every step by name; the step `abbreviations` gets its table when a pipeline is made."""

PIPELINES = Registry[tuple[str, ...]]("pipeline")
"""Every pipeline by name, as the names of its steps."""


class StepTrace(NamedTuple):
    """What one step did to a text."""

    step: str
    before: str
    after: str
    why: str


def _register_steps() -> None:
    new_words, old_words = (dict.fromkeys(read_words(f"stop_words_es{old}.txt"), "") for old in ("", "_v2"))
    for step in (
        CharacterStep("valid_unicode", "half characters replaced", steps.valid_character),
        CharacterStep("lower_case", "written small", steps.lower_case),
        CharacterStep("plain_letters", "accents and typography taken off", steps.plain_letter),
        CharacterStep("fold_case", "written small", steps.fold_case),
        CharacterStep("punctuation_to_space", "signs became spaces", steps.punctuation_to_space),
        CharacterStep("punctuation_deleted", "signs deleted, which glues words", steps.delete_punctuation),
        PatternStep("initials", "dotted initials joined", steps.INITIALS, ""),
        PatternStep("number_word", "number sign spelt out", steps.NUMBER_WORD, "numero "),
        PatternStep("number_sign", "number sign spelt out", steps.NUMBER_SIGN, "umero "),
        TokenStep(ABBREVIATIONS, "abbreviations spelt out"),
        TokenStep("stop_words", "stop words left out", new_words, keeps_something=True),
        TokenStep("old_stop_words", "stop words left out", old_words, keeps_something=True),
        TokenStep("single_spaces", "spaces tidied"),
    ):
        STEPS.register(step.name, step)


_register_steps()

PIPELINES.register("v1", ("valid_unicode", "lower_case", "single_spaces"))
PIPELINES.register("v2", ("plain_letters", "fold_case", "punctuation_deleted", "old_stop_words", "single_spaces"))
PIPELINES.register(
    "v3",
    (
        *("plain_letters", "fold_case", "initials", "number_word", "number_sign", "punctuation_to_space"),
        *(ABBREVIATIONS, "stop_words", "single_spaces"),
    ),
)


@dataclass(frozen=True)
class Pipeline:
    """Steps in their order; cleaning is idempotent and takes any Unicode text."""

    name: str
    steps: tuple[Step, ...]

    @cached_property
    def version_fingerprint(self) -> str:
        """Give a hash of the steps and their tables, for lineage: 16 hexadecimal digits."""
        content = [self.name, *([step.name, getattr(step, "table", {})] for step in self.steps if _has_words(step))]
        content += [step.name for step in self.steps]
        text = json.dumps(content, sort_keys=True, ensure_ascii=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @cached_property
    def _plan(self) -> blocks.Plan | None:
        return blocks.plan(self.steps)

    @overload
    def clean(self, text: str) -> str: ...

    @overload
    def clean(self, text: None) -> None: ...

    @overload
    def clean(self, text: pd.Series[Any]) -> pd.Series[str]: ...

    def clean(self, text: str | pd.Series[Any] | None) -> str | pd.Series[str] | None:
        """Clean one text, or a column: a Series of dtype str with the same index and name. Null stays null.

        Values of other types in a column are written as text first (5.0 is "5"); of every distinct text the work is
        done once. A coded column (see `workbench.values`) stays coded. Raises UsageError for anything but a text, a
        Series or None.
        """
        if isinstance(text, pd.Series):
            return self._clean_series(text)
        if text is None:
            return None
        if not isinstance(text, str):
            kind = type(text).__name__
            raise UsageError(f"cannot clean a {kind}.", hint="give a text or a Series, or use clean_frame.")
        for step in self.steps:
            text = step(text)
        return text

    def _clean_series(self, series: pd.Series[Any]) -> pd.Series[Any]:
        if is_coded(series):
            return with_texts(series, self._clean_distinct(codes_of(series).dictionary))
        texts = coded(texts_of(series).to_frame("text"), ["text"])["text"]
        cleaned = spell_out(self._clean_series(texts))
        return pd.Series(cleaned.array, index=series.index, name=series.name)

    def _clean_distinct(self, texts: pa.Array) -> pa.Array:
        if self._plan is not None:
            return self._plan.run(texts, self.clean)
        return pa.array([self.clean(text) for text in texts.to_pylist()], pa.large_string())

    def clean_frame(self, df: pd.DataFrame, columns: str | list[str]) -> pd.DataFrame:
        """Give a copy with a `clean<Column>` column per column, after the originals.

        A clean column that is there already is made anew. Raises ColumnNotFound.
        """
        names = as_names(columns)
        require_columns(df, names)
        return df.assign(**{clean_name(name): self.clean(df[name]) for name in names})

    def explain(self, text: str) -> list[StepTrace]:
        """Tell what each step did: one trace per step that changed something, then one named `final`.

        >>> for trace in get_pipeline("v3").explain("PZA. de vinil"):
        ...     print(trace.step, "|", trace.after, "|", trace.why)
        fold_case | pza. de vinil | written small
        punctuation_to_space | pza  de vinil | signs became spaces: . → space
        abbreviations | pieza de vinil | abbreviations spelt out: pza → pieza
        stop_words | pieza vinil | stop words left out: de
        final | pieza vinil | 4 steps changed it
        """
        traces: list[StepTrace] = []
        current = text
        for step in self.steps:
            after = step(current)
            if after != current:
                traces.append(StepTrace(step.name, current, after, _why(step, current)))
            current = after
        count = "nothing changed it" if not traces else f"{len(traces)} step{'s' * (len(traces) > 1)} changed it"
        emptied = "; nothing is left of it" if text and not current else ""
        return [*traces, StepTrace("final", text, current, count + emptied)]

    def preview(self, df: pd.DataFrame, columns: str | list[str], rows: int = 10, seed: int = 7) -> pd.DataFrame:
        """Give random rows before and after cleaning, in table order.

        Columns: each column and its clean twin, then `changes`, which says step by step what happened.
        """
        names = as_names(columns)
        require_columns(df, names)
        drawn = df[names].iloc[sorted(_draw(len(df), rows, seed))]
        cleaned = self.clean_frame(drawn, names)
        pairs = [part for name in names for part in (name, clean_name(name))]
        texts = {name: texts_of(drawn[name]).tolist() for name in names}
        told = [self._tell({name: texts[name][row] for name in names}) for row in range(len(drawn))]
        return cleaned[pairs].assign(changes=pd.Series(told, index=drawn.index, dtype=TEXT))

    def _tell(self, row: Mapping[str, Any]) -> str:
        texts = {name: text for name, text in row.items() if isinstance(text, str)}
        told = {name: "; ".join(trace.why for trace in self.explain(text)[:-1]) for name, text in texts.items()}
        lines = {name: line for name, line in told.items() if line}
        return " | ".join(f"{name}: {line}" if len(row) > 1 else line for name, line in lines.items())


def _draw(available: int, rows: int, seed: int) -> list[int]:
    return pd.Series(range(available)).sample(n=min(max(rows, 0), available), random_state=seed).tolist()


def _has_words(step: Step) -> bool:
    return isinstance(step, TokenStep) and bool(step.table)


def _why(step: Step, text: str) -> str:
    detail = step.detail(text)
    return f"{step.why}: {detail}" if detail else step.why


def get_pipeline(name: str, *, abbreviations: OwnAbbreviations | None = None) -> Pipeline:
    """Find a pipeline by name: v1, v2 or v3, or one that was registered in PIPELINES.

    `abbreviations` adds the user's own on top of the shipped ones: a CSV file with the columns `abbreviation` and
    `expansion`, or a mapping. An abbreviation that stands for itself is left alone. Raises NotRegistered, and
    UsageError for a faulty list or a pipeline that has no abbreviations.
    """
    names = PIPELINES.get(name)
    if ABBREVIATIONS not in names:
        if abbreviations is not None:
            raise UsageError(f"pipeline {name!r} has no abbreviations to extend.", hint="use v3.")
        return Pipeline(name, tuple(STEPS.get(step) for step in names))
    table = _shipped_table(names) if abbreviations is None else _table(names, abbreviations)
    return Pipeline(name, tuple(_step(step, table) for step in names))


def _step(name: str, table: Mapping[str, str]) -> Step:
    step = STEPS.get(name)
    return TokenStep(step.name, step.why, table) if name == ABBREVIATIONS else step


@cache
def _shipped_table(names: tuple[str, ...]) -> dict[str, str]:
    return _table(names, {})


def _table(names: tuple[str, ...], own: OwnAbbreviations) -> dict[str, str]:
    """Build the table as the pipeline's other steps see words."""
    position = names.index(ABBREVIATIONS)
    before = [STEPS.get(name) for name in names[:position]]
    after = [STEPS.get(name) for name in names[position + 1 :]]
    left_out = {word for step in after if isinstance(step, TokenStep) for word, kept in step.table.items() if not kept}
    return build_table([*read_entries(SHIPPED), *read_entries(own)], _chain(before), left_out)


def _chain(parts: list[Step]) -> Callable[[str], str]:
    def prepare(text: str) -> str:
        for step in parts:
            text = step(text)
        return text

    return prepare
