"""Money: what each sample cost at the prices of its run.

Prices are columns of the samples table.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.clusters import Floats
from ai_dev_tools.benchmark.records.prices import CURRENCY, HOUR_S, MILLION, MONEY, PRICES, Parts, Rates

NEED_PRICES = (MONEY, "money_sum", "money_mean", "money_per_point")
THOUGHTS = "reasoning_tokens"
"""A column of samples tables in which any model thought and its server counted that."""
NEED_THOUGHTS = ("reasoning_tokens_mean",)
PARTS = {"input": "prompt tokens", "cached": "cached prompt tokens", "output": "generated tokens",
         "machine": "time of the machine", "tool": "time of the tools"}  # fmt: skip
"""What money is made of, as columns `money_NAME` of prepared samples."""


def unavailable(table: pd.DataFrame) -> frozenset[str]:
    """Built-in metrics and comparisons that do not apply to these samples, and are in no table."""
    money = () if is_priced(table) else NEED_PRICES
    return frozenset((*money, *(() if THOUGHTS in table.columns else NEED_THOUGHTS)))


def has_prices(table: pd.DataFrame) -> bool:
    """Whether any sample has a price."""
    return bool(_currencies(table))


def is_priced(table: pd.DataFrame) -> bool:
    """Whether samples have prices in one currency, so that their money can be compared."""
    return len(_currencies(table)) == 1


def _currencies(table: pd.DataFrame) -> list[str]:
    return list(table[CURRENCY].replace("", None).dropna().unique()) if CURRENCY in table.columns else []


def currency_of(table: pd.DataFrame) -> str:
    """The currency of priced samples."""
    return str(_currencies(table)[0])


def with_prices(table: pd.DataFrame, rates: Mapping[str, Rates], currency: str) -> pd.DataFrame:
    """A samples table with the prices of each model and the cost of each sample, if known."""
    of_row = [rates.get(str(model)) for model in table["model"]]
    columns = [rate.columns if rate else (None,) * len(PRICES) for rate in of_row]
    prices = pd.DataFrame(columns, columns=list(PRICES), index=table.index, dtype="Float64")
    known = pd.Series([currency if rate else None for rate in of_row], index=table.index, dtype="string")
    priced = pd.concat([table, prices], axis=1).assign(**{CURRENCY: known})
    return priced.assign(**{MONEY: pd.Series(parts_of(priced).total, index=table.index).round(12).astype("Float64")})


def parts_of(table: pd.DataFrame, read: Floats | None = None, written: Floats | None = None) -> Parts:
    """What each sample's money is made of; NaN where it is not known.

    Args:
        read, written: prompt and generated tokens, where the table does not hold them.
    """
    price_in, price_cached, price_out, price_hour = (_numbers(table, name) for name in PRICES)
    read = _numbers(table, "input_tokens") if read is None else read
    written = _numbers(table, "output_tokens") if written is None else written
    # cached tokens cost what cached ones do only where the server says that they were
    cached = np.clip(np.nan_to_num(_numbers(table, "prompt_cached_tokens")), 0.0, np.nan_to_num(read, nan=np.inf))
    seconds, tool_s = _numbers(table, "attempts_s") / shared(table), np.nan_to_num(_numbers(table, "tool_s"))
    tokens, hours = pays_tokens(table), price_hour > 0
    return Parts.of(
        price_in, price_cached, price_out, price_hour,
        np.where(tokens, read, 0.0), np.where(tokens, cached, 0.0), np.where(tokens, written, 0.0),
        np.where(hours, seconds, 0.0), np.where(hours, tool_s, 0.0),
    )  # fmt: skip


def pays_tokens(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether a sample's tokens cost anything."""
    return np.asarray(np.maximum.reduce([np.nan_to_num(_numbers(table, name)) for name in PRICES[:3]]) > 0)


def pays_hours(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether a sample's time costs anything."""
    return np.asarray(np.nan_to_num(_numbers(table, PRICES[3])) > 0)


def shared(table: pd.DataFrame) -> Floats:
    """Among how many requests the machine's time was shared while a sample was asked."""
    return np.asarray(np.fmax(_numbers(table, "in_flight"), 1.0))


def with_money(table: pd.DataFrame, read: Floats) -> pd.DataFrame:
    """Prepared samples with what they cost in money, its parts, and which are void for it.

    Adds `money_low/high/open`, `money` and, from the checks, `void_money` and `why_money`.

    What could still have become of a cut-off sample is priced as generated tokens, and as time of the machine. Money is void
    where what it is computed from is: tokens, or time where that costs something.

    Args:
        read: prompt tokens, where they are known.
    """
    low = table["tokens_low"].to_numpy()
    read = np.nan_to_num(read)
    found = parts_of(table, read, low - read)
    _, _, price_out, price_hour = (_numbers(table, name) for name in PRICES)
    more_tokens = _grown(table["tokens_open"].to_numpy() - low, price_out / MILLION)
    more_time = (table["time_open"].to_numpy() - table["time_low"].to_numpy()) / shared(table)
    upper = found.total + more_tokens + _grown(more_time, price_hour / HOUR_S)
    capped = table["tokens_high"].to_numpy() != table["tokens_open"].to_numpy()
    capped |= table["time_high"].to_numpy() != table["time_open"].to_numpy()
    columns = {f"money_{name}": getattr(found, name) for name in PARTS}
    columns |= {"money": found.total, "money_low": found.total, "money_open": upper}
    return table.assign(**columns, money_high=np.where(capped, found.total, upper), **_void(table))


def wasted(table: pd.DataFrame) -> Floats:
    """What a failed request cost, where that is known."""
    return np.asarray(sum(np.nan_to_num(table[f"money_{name}"].to_numpy()) for name in PARTS))


def _grown(more: Floats, price: Floats) -> Floats:
    """The price of an amount that may have no upper limit; what costs nothing is 0 even then."""
    with np.errstate(invalid="ignore"):
        return np.where((price > 0) & (more != 0), more * price, 0.0)


def _void(table: pd.DataFrame) -> dict[str, NDArray[np.bool_] | pd.Categorical[str]]:
    tokens = table["void_tokens"].to_numpy() & pays_tokens(table)
    hours = table["void_time"].to_numpy() & pays_hours(table)
    why = np.where(hours, table["why_time"].cat.codes.to_numpy(), 0)
    why = np.where(tokens, table["why_tokens"].cat.codes.to_numpy(), why)
    return {"void_money": tokens | hours,
            "why_money": pd.Categorical.from_codes(why, table["why_tokens"].cat.categories)}  # fmt: skip


def _numbers(table: pd.DataFrame, name: str) -> Floats:
    values = pd.to_numeric(table[name], errors="coerce")
    return np.asarray(values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan))
