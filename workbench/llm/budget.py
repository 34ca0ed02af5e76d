"""What calls cost: the price list, and the budget that is never overdrawn."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from workbench.documents import build, parse_yaml, read_text
from workbench.errors import ParameterError, nearest
from workbench.llm.limits import BATCH
from workbench.llm.providers import Usage
from workbench.settings import find_file

PRICES = "parameters/prices.yaml"
"""The price list: in the working directory, else the one that travels with the package."""


FREE = "lexical-1"
"""The embedded model costs nothing, whatever a price list says or leaves out."""


class Price(BaseModel):
    """What a model costs, in US dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0, allow_inf_nan=False)
    cached: float = Field(ge=0, allow_inf_nan=False)
    """Input tokens that the service had seen before."""
    output: float = Field(ge=0, allow_inf_nan=False)

    def cost(self, usage: Usage) -> float:
        """Give what calls cost, in US dollars.

        >>> Price(input=2, cached=1, output=8).cost(Usage(1, 1_000_000, 500_000, 250_000))
        3.5
        """
        fresh = usage.input_tokens - usage.cached_tokens
        return (fresh * self.input + usage.cached_tokens * self.cached + usage.output_tokens * self.output) / 1e6

    def halved(self) -> Price:
        """Give the price of a call in a batch."""
        return Price(input=self.input / 2, cached=self.cached / 2, output=self.output / 2)


class PriceList(BaseModel):
    """Prices and the exchange rate of a day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    as_of: datetime.date
    mxn_per_usd: float = Field(gt=0, allow_inf_nan=False)
    models: dict[str, Price]

    def price(self, model: str) -> Price | None:
        """Find the price of a model, also under its dated name (`gpt-4o-mini-2024-07-18`); None if it is unknown."""
        if model == FREE:
            return Price(input=0, cached=0, output=0)
        return self.models.get(model) or self.models.get(re.sub(r"-\d{4}-?\d\d-?\d\d$", "", model))


def load_prices(path: str | Path = PRICES) -> PriceList:
    """Read a price list; raises ParameterError with every mistake of the file at once."""
    found = find_file(path)
    data, lines = parse_yaml(read_text(found, ParameterError), str(found), ParameterError)
    return build(PriceList, data, str(found), ParameterError, lines)


def price_in_mode(prices: PriceList, model: str, mode: str) -> Price | None:
    """Find the price of a model, halved for the Batch API; None if it is unknown."""
    price = prices.price(model)
    return price.halved() if price and mode == BATCH else price


class Budget:
    """Money that may be spent: it is set aside before a call, and what was not used comes back after it."""

    def __init__(self, usd: float, model: str, mode: str = "live") -> None:
        """Have so many dollars, 0 = any amount; raises ParameterError if they cannot be counted for want of a price."""
        prices = load_prices()
        price = price_in_mode(prices, model, mode)
        if usd and price is None:
            raise ParameterError(
                f"a budget needs the price of {model!r}, which {PRICES} does not have.",
                hint=f"add it there, or leave budget_usd out; {nearest(model, prices.models)}",
            )
        self._usd, self._price = usd, price
        self._reserved = 0.0
        self._spent = 0.0

    @property
    def is_limited(self) -> bool:
        """Say whether there is a limit at all."""
        return self._usd > 0

    @property
    def spent(self) -> float | None:
        """What was spent so far, in US dollars; None where the model's price is unknown."""
        return self._spent if self._price else None

    def reserve(self, forecast: Usage) -> bool:
        """Set money aside for a call; False if there is not enough."""
        cost = self._price.cost(forecast) if self._price else 0.0
        if self.is_limited and self._spent + self._reserved + cost > self._usd:
            return False
        self._reserved += cost
        return True

    def settle(self, forecast: Usage, actual: Usage) -> None:
        """Pay for a call, and take back what was set aside for it."""
        if self._price:
            self._reserved -= self._price.cost(forecast)
            self._spent += self._price.cost(actual)
