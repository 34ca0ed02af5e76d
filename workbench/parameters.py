"""The parameters of a run: one YAML file, one section per stage; an unknown key is an error with the nearest name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from workbench.documents import Places, build, parse_yaml, place_of, read_text
from workbench.errors import NotRegistered, ParameterError


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def run_name(name: str) -> str:
    """Give a name that a run may have as it is; raises ValueError, in plain words, for another."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise ValueError(
            f"{name[:80]!r} cannot be the name of a run: it may hold up to 80 letters (without accents), digits,"
            " '-', '_' and '.', and begins with a letter or a digit"
        )
    return name


Texts = Annotated[list[str], BeforeValidator(_as_list)]


def _each_once(values: list[str]) -> list[str]:
    if twice := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
        raise ValueError(f"{', '.join(map(repr, twice))} {'stands' if len(twice) == 1 else 'stand'} there twice")
    return values


class Section(BaseModel):
    """A section of the file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_empty(cls, data: Any) -> Any:
        return {} if data is None else data


class TimeLimit(Section):
    """How long a stage may take, in seconds; 0 = any time."""

    soft: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Then it stops as after Ctrl+C, and can be resumed."""
    hard: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Then it is ended, whatever it does."""

    @model_validator(mode="after")
    def _hard_comes_last(self) -> TimeLimit:
        if self.hard and self.hard <= self.soft:
            raise ValueError("the hard limit must be longer than the soft one")
        return self


class RunSection(Section):
    """What the run is called and how long it goes on."""

    name: Annotated[str, AfterValidator(run_name)] = "run"
    """The start of the run id."""
    iterations: int = Field(default=2, ge=1, le=50)
    """How many times the items are classified."""
    seed: int = 7
    """Fixes every random choice."""
    tracker: Literal["none", "wandb", "mlflow"] = "none"
    """Who else is told the numbers, while they come about."""
    time_limit: TimeLimit = TimeLimit()
    """How long each stage may take."""


class IngestSection(Section):
    """What is read, cleaned and merged."""

    input: Annotated[Texts, Field(min_length=1)]
    """Files, folders, patterns (`*.csv`), ZIP archives or URLs."""
    columns: Annotated[Texts, Field(min_length=1), AfterValidator(_each_once)]
    """The columns that are cleaned and classified."""
    sheet: str | int | None = None
    """Name or number (from 0) of the sheet; null = the first with data."""
    header_row: int | None = Field(default=None, ge=0)
    """Number of the header row (from 0); null = found."""
    encoding: str | None = None
    """Encoding of a text file; null = found."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """Delimiter of a CSV file; null = found."""
    pipeline: str = "v3"
    """The cleaning pipeline: v1, v2 or v3."""
    abbreviations: str | None = None
    """A CSV file of the user's own abbreviations (abbreviation, expansion), on top of the shipped ones."""
    deduplication: str = "content_only"
    """What counts as the same item: content_only, aggressive or preserve_all."""
    filters: dict[str, Annotated[list[str | int | float | bool | None], BeforeValidator(_as_list)]] = {}
    """Column → values of the rows that are kept."""
    amount_column: str | None = None
    """A column whose sum an item stands for."""
    exclude: Texts = []
    """Patterns of files that are left out."""
    on_error: Literal["skip", "stop"] = "skip"
    """What becomes of the others when a file cannot be read: they are read (skip), or the run stops."""
    engine: Literal["local", "dask"] = "local"
    """Who reads and cleans: this process, or a Dask cluster."""
    scheduler: str | None = None
    """Address of a Dask scheduler (`tcp://host:8786`); null = a cluster on this machine."""

    def reading(self) -> dict[str, Any]:
        """Give the options that the readers take."""
        return self.model_dump(include={"sheet", "header_row", "encoding", "delimiter", "columns"})


class JudgeSection(Section):
    """Who gives a second opinion, and on which items."""

    provider: str
    """lexical or openai, as in classify."""
    model: str | None = None
    """The model that answers."""
    base_url: str | None = None
    """Address of its endpoint."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds its key."""
    below: float = Field(default=0.7, ge=0, le=1)
    """It is asked about all items with a score below this."""
    share: float = Field(default=0.05, ge=0, le=1)
    """And about this share of the others, drawn at random."""

    def provider_options(self) -> dict[str, Any]:
        """Give the options that the provider takes; those of an endpoint only where the provider is one."""
        if self.provider == "lexical":
            return {}
        return self.model_dump(include={"model", "base_url", "api_key_env"}, exclude_none=True)


class ClassifySection(Section):
    """Who classifies, with which prompt."""

    prompt: str
    """A prompt file: YAML, or free text (.txt, .md)."""
    provider: str = "lexical"
    """lexical (embedded, no LLM), or openai (any OpenAI-compatible endpoint)."""
    model: str | None = None
    """The model that answers; lexical needs none."""
    base_url: str | None = None
    """Address of the endpoint; null = `OPENAI_BASE_URL`, or OpenAI itself."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; the key itself is never written anywhere."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 = as repeatable as the model can be; null = the model's own."""
    mode: Literal["live", "batch"] = "live"
    """live: call by call; batch: by the provider's Batch API, at half price, within a day."""
    chunk_size: int = Field(default=50, ge=1, le=1000)
    """Items per call."""
    concurrency: int = Field(default=3, ge=1, le=1024)
    """Calls in flight."""
    max_retries: int = Field(default=3, ge=0, le=20)
    """How often a missing or invalid answer is asked for again."""
    reason: Literal["always", "short", "low_confidence", "never"] = "always"
    """When an answer gives its reason; fewer and shorter ones cost less."""
    requests_per_minute: int = Field(default=0, ge=0)
    """Calls that are started in a minute; 0 = any number."""
    tokens_per_minute: int = Field(default=0, ge=0)
    """Tokens, in and out, of the calls that are started in a minute; 0 = any number."""
    budget_usd: float = Field(default=0, ge=0, allow_inf_nan=False)
    """What the run may cost, all iterations together; at the cap it stops and can be resumed; 0 = any amount."""
    cache: bool = True
    """false = ask for everything anew; the new answers replace the kept ones."""
    hedge: bool = False
    """Make a call that is far slower than the others a second time; the first answer counts, both are paid for."""
    second_pass_below: float = Field(default=0, ge=0, le=1)
    """Items with a lower score get up to two more answers in other chunks, and the majority decides; 0 = none."""
    audit_sample: int = Field(default=0, ge=0)
    """So many items, drawn at random, are asked again in other chunks, to see how often the answer changes."""
    keep_raw: bool = False
    """Keep what the model answered, call by call, as it came."""
    sample_size: int = Field(default=0, ge=0)
    """Classify only this many items, drawn at random; 0 = all."""
    judge: JudgeSection | None = None
    """Another model that is asked independently about some of the items; null = none."""

    def limits(self) -> dict[str, Any]:
        """Give how much is asked at once and how often."""
        names = {"chunk_size", "concurrency", "max_retries", "sample_size", "reason", "mode", "hedge"}
        names |= {"second_pass_below", "audit_sample", "requests_per_minute", "tokens_per_minute"}
        return self.model_dump(include=names)

    def provider_options(self) -> dict[str, Any]:
        """Give the options that the provider takes; those of an endpoint only where the provider is one."""
        if self.provider == "lexical":
            return {}
        return self.model_dump(include={"model", "base_url", "api_key_env", "temperature"}, exclude_none=True)


class ValidateSection(Section):
    """How answers are checked."""

    strategy: str = "stratified"
    """How the sample is drawn: stratified, random, neyman, confidence, diversity, disagreement or weighted."""
    sample_size: int = Field(default=100, ge=1)
    """Items that are reviewed in each iteration."""
    confidence_threshold: float = Field(default=0.7, ge=0, le=1)
    """For the confidence strategy: scores below it come first."""
    weight_by: Literal["rows", "amount"] = "rows"
    """For the weighted strategy: what makes an item big."""
    target_precision: float = Field(default=0.95, ge=0.5, le=0.999)
    """How right answers must surely be to be accepted without a review."""
    blind_share: float = Field(default=0, ge=0, le=1)
    """Share of the sample that is shown without the suggestion, to see how far the suggestion sways people."""
    overlap_share: float = Field(default=0, ge=0, le=1)
    """Share of the sample that two reviewers judge, to see how far they agree."""
    gold_column: str | None = None
    """A column with the true category, which then stands in for a reviewer."""
    verdicts: str | None = None
    """A file (XLSX, CSV or JSON) to read verdicts from."""
    reviewer: str | None = Field(default=None, min_length=1)
    """Who filled that file in, where it has no reviewer column; without a name it is "reviewer"."""


class OwnExample(Section):
    """An example of the user's own."""

    text: str
    category: str
    note: str = ""


class RefineSection(Section):
    """What goes into the next prompt."""

    max_examples: int = Field(default=40, ge=0)
    """Upper bound of the examples that verdicts add to the prompt."""
    max_tokens: int = Field(default=4000, ge=0)
    """Upper bound of the tokens that these examples cost, per call."""
    additional_examples: list[OwnExample] = []
    """Examples of the user's own: `{text: …, category: …}`."""
    accept: Literal["all", "none"] | list[str] = "all"
    """Which proposals enter the next prompt: all, none, or those of these ids."""
    strike: Texts = []
    """Ids of proposals that do not enter, and of rules and examples that leave."""
    adopt: Literal["unless_worse", "always"] = "unless_worse"
    """unless_worse: a new prompt that breaks more dev verdicts than it fixes is not taken."""
    llm_rules: bool = False
    """Let the model that classifies write rules for confused categories, by one small call of its own."""

    def own_examples(self) -> list[dict[str, str]]:
        """Give the examples of the user's own as plain data."""
        return [example.model_dump() for example in self.additional_examples]


@dataclass(frozen=True)
class Origin:
    """Where parameters were read; the same parameters are equal wherever they stand."""

    name: str = field(default="parameters", compare=False)
    places: Places = field(default_factory=dict, compare=False)


class Parameters(Section):
    """One run, completely described."""

    run: RunSection = RunSection()
    ingest: IngestSection
    classify: ClassifySection
    validate_: Annotated[ValidateSection, Field(alias="validate")] = ValidateSection()
    refine: RefineSection = RefineSection()

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @contextmanager
    def told_at(self, section: str, key: str) -> Iterator[None]:
        """Put the place of a parameter in front of an error that names a wrong value of it."""
        try:
            yield
        except (NotRegistered, ParameterError) as fault:
            place = place_of((section, key), self._origin.places)
            at = place if isinstance(place, str) else self._origin.name + (f", line {place}" if place else "")
            raise type(fault)(f"{at}: {section}.{key}: {fault.message}", hint=fault.hint) from None

    def to_dict(self) -> dict[str, Any]:
        """Give the parameters as plain data, as they stand in a YAML file."""
        return self.model_dump(mode="json", by_alias=True)


def load_parameters(path: str | Path, overrides: Iterable[str] = ()) -> Parameters:
    """Read a parameters file (YAML, or the run.json of a run) and apply `section.key=value` overrides.

    Raises ParameterError with every mistake of the file at once.
    """
    path = Path(path)
    data, lines = parse_yaml(read_text(path, ParameterError), str(path), ParameterError)
    if path.suffix == ".json" and isinstance(data.get("parameters"), dict):
        data, lines = data["parameters"], {}
    for override in overrides:
        changed, said = _apply(data, override), f"command line, {override}"
        lines = {where: line for where, line in lines.items() if where[: len(changed)] != changed}
        lines |= {changed[:end]: said for end in range(1, len(changed) + 1) if changed[:end] not in lines}
    return parse_parameters(data, str(path), lines)


def parse_parameters(data: dict[str, Any], name: str = "parameters", places: Places | None = None) -> Parameters:
    """Check plain data, of which `places` says where each field stands; raises ParameterError."""
    parameters = build(Parameters, data, name, ParameterError, places)
    parameters._origin = Origin(name, places or {})
    return parameters


def _apply(data: dict[str, Any], override: str) -> tuple[str, ...]:
    keys, equals, value = override.partition("=")
    *sections, key = keys.split(".")
    if not equals or not sections:
        raise ParameterError(f"--set {override!r} is not understood.", hint="write --set section.key=value.")
    for section in sections:
        inner = data[section] = {} if data.get(section) is None else data[section]
        if not isinstance(inner, dict):
            raise ParameterError(f"--set {override!r}: {section!r} is not a section.")
        data = inner
    try:
        data[key] = yaml.safe_load(value)
    except yaml.YAMLError:
        data[key] = value
    return (*sections, key)


def dump_parameters(parameters: Parameters) -> str:
    """Give the parameters as JSON text, sorted as in the file."""
    return json.dumps(parameters.to_dict(), ensure_ascii=False, indent=2)
