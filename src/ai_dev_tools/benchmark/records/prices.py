"""What requests cost: prices of tokens and of a machine's hours, and the money that they come to.

The same arithmetic for one sample and for columns of many. Light imports: block jobs use this where a run has a budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Amount: TypeAlias = "float | NDArray[np.float64]"
"""A number of one sample, or those of a column of samples."""
MILLION, HOUR_S = 1e6, 3600.0
MONEY: Final = "money"
"""The outcome; also the unit of what tables show in the run's currency."""
PRICES = ("price_input", "price_cached_input", "price_output", "price_per_hour")
CURRENCY = "currency"
CURRENCY_FORM = r"^[A-Z]{3}$"


class Rates(msgspec.Struct, frozen=True, omit_defaults=True):
    """Prices of one model.

    Attributes:
        input, output: of a million tokens.
        cached_input: of a million prompt tokens that the server says were cached; None: they cost what others do.
        per_hour: of an hour of measuring.
    """

    input: float = 0.0
    output: float = 0.0
    cached_input: float | None = None
    per_hour: float = 0.0

    @property
    def cached(self) -> float:
        """What a million cached prompt tokens cost."""
        return self.input if self.cached_input is None else self.cached_input

    @property
    def columns(self) -> tuple[float, float, float, float]:
        """The values of `PRICES`."""
        return self.input, self.cached, self.output, self.per_hour

    def money(self, input_tokens: float, cached_tokens: float, output_tokens: float, seconds: float) -> float:
        """What a request costs."""
        return float(Parts.of(*self.columns, input_tokens, cached_tokens, output_tokens, seconds, 0.0).total)


@dataclass(frozen=True)
class Parts:
    """What money is made of, of one sample or of a column of them.

    Attributes:
        input, cached, output: prompt tokens that were not cached, cached ones, generated ones.
        machine, tool: time of the machine for the request, and for the tools.
    """

    input: Amount
    cached: Amount
    output: Amount
    machine: Amount
    tool: Amount

    @classmethod
    def of(
        cls, input_price: Amount, cached_price: Amount, output_price: Amount, hour_price: Amount,
        input_tokens: Amount, cached_tokens: Amount, output_tokens: Amount, seconds: Amount, tool_s: Amount,
    ) -> Parts:  # fmt: skip
        """From prices as `Rates` has them.

        Args:
            input_tokens: all prompt tokens, `cached_tokens` among them.
            seconds: the share of the machine's time that the request took.
        """
        return cls(
            (input_tokens - cached_tokens) * input_price / MILLION,
            cached_tokens * cached_price / MILLION,
            output_tokens * output_price / MILLION,
            seconds * hour_price / HOUR_S,
            tool_s * hour_price / HOUR_S,
        )

    @property
    def total(self) -> Amount:
        """All of it."""
        return self.input + self.cached + self.output + self.machine + self.tool


class Budget(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run may cost.

    Attributes:
        rates: by model, of all models of the run: all of it is paid from one budget.
    """

    amount: float
    currency: str
    rates: dict[str, Rates]


def money(value: float, currency: str) -> str:
    """Money for people: `12.50 USD`, and where it is less than a unit, three digits of it."""
    if abs(value) >= 1 or value == 0:
        return f"{value:,.2f} {currency}"
    digits = 2
    while abs(value) < 10 ** (2 - digits) and digits < 9:
        digits += 1
    return f"{value:.{digits}f} {currency}"
