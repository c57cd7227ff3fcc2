"""Prices in the settings: what a million tokens of a model cost, or an hour of your own machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from ai_dev_tools.benchmark._util.model_names import full_name
from ai_dev_tools.benchmark.config.parsing import StrictModel, nearest
from ai_dev_tools.benchmark.records.prices import CURRENCY_FORM, MONEY

LIST = "list"
LIST_CURRENCY = "USD"
"""The currency of the price list."""
MOST = 1e12
"""More than any price or budget, in any currency: sums of what is larger would overflow."""


def _as_amount(value: object) -> object:
    """A number as it is written, but not `true`, and not with a comma, which may mean a point or thousands."""
    if isinstance(value, bool) or (isinstance(value, str) and "," in value):
        raise ValueError(f"{value!r} is not an amount: write a number with a point and without commas, like 1.5")
    return value


Amount = Annotated[float, Field(ge=0, le=MOST), BeforeValidator(_as_amount)]
BudgetAmount = Annotated[float, Field(gt=0, le=MOST), BeforeValidator(_as_amount)]


class PriceSettings(StrictModel):
    """What requests to one model cost."""

    list: str | None = Field(
        None, min_length=1, description="name in the price list, instead of prices: gpt-4o-mini, or openai/gpt-4o-mini"
    )
    input: Amount | None = Field(None, description="price of a million prompt tokens")
    cached_input: Amount | None = Field(
        None,
        description="price of a million prompt tokens that the server reports as cached, at most that of `input`, the default",
    )
    output: Amount | None = Field(None, description="price of a million generated tokens")
    per_hour: Amount | None = Field(None, description="price of an hour of measuring, for your own machine")
    currency: Annotated[str, Field(pattern=CURRENCY_FORM)] = Field(LIST_CURRENCY, description="like USD or EUR")

    @model_validator(mode="after")
    def _complete(self) -> PriceSettings:
        of_tokens = (self.input, self.cached_input, self.output)
        if self.list is not None:
            if any(price is not None for price in (*of_tokens, self.per_hour)):
                raise ValueError("'list' cannot be combined with other prices")
            if self.currency != LIST_CURRENCY:
                raise ValueError(f"the price list is in {LIST_CURRENCY}, not {self.currency}")
            return self
        if (self.input is None) != (self.output is None) or (self.input is None and self.cached_input is not None):
            raise ValueError("give input and output, both for a million tokens")
        if not max((price for price in (*of_tokens, self.per_hour) if price is not None), default=0.0) > 0:
            raise ValueError("there is no price above 0: set input and output, or per_hour")
        if self.input is not None and (self.cached_input or 0.0) > self.input:
            raise ValueError(f"cached_input is {self.cached_input:g}, which is more than input, {self.input:g}")
        return self


def _as_price(value: object) -> object:
    """`list` means the model's own name in the price list."""
    return {"list": LIST} if value == LIST else value


Prices = dict[str, Annotated[PriceSettings, BeforeValidator(_as_price)]]


def check_prices(
    prices: Mapping[str, PriceSettings] | None, budget: float | None, outcomes: Sequence[str], known: Sequence[str]
) -> None:
    """Refuse prices that no run can have.

    Args:
        outcomes: what is claimed.
        known: models and instances of all profiles.

    Raises:
        ValueError: one line.
    """
    if not prices:
        for named, setting in ((budget, "budget"), (MONEY in outcomes or None, "plan.outcomes")):
            if named is not None:
                raise ValueError(f"'{setting}' needs prices: say in 'prices' what a request to each model costs")
        return
    for name in prices:
        if name not in known and full_name(name) not in map(full_name, known):
            raise ValueError(f"'prices' names '{name}', which is not a model of any profile, {nearest(name, known)}")
    one_currency(prices.items())


def one_currency(prices: Iterable[tuple[str, PriceSettings]]) -> str | None:
    """The currency of all prices; None if there are none. Raises ValueError if there are several."""
    found: dict[str, str] = {}
    for name, price in prices:
        found.setdefault(price.currency, name)
    if len(found) > 1:
        (one, first), (other, second), *_ = found.items()
        raise ValueError(f"'prices' mixes currencies: {one} for '{first}' and {other} for '{second}'; a run has one")
    return next(iter(found), None)
