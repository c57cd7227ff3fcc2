"""The samples table as every analysis wants it: typed, complete in its columns, in one fixed order.

Order matters because floating-point sums depend on it: after `prepare`, the same rows in any order give the same bytes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.prices import PRICES
from ai_dev_tools.benchmark.records.sample import RENAMED


def words(text: str) -> list[str]:
    """A long list of names, readable as one text."""
    return text.split()


ALL = "(all)"
LOOP = "loop"
LIMIT = "limit"
CUT_OFF = ("length", LOOP, LIMIT)
"""Done reasons of answers that were cut: at the output cap, by a server that gave up on one that went in circles, or by a
limit of an episode, which made the agent answer before it wanted to."""
REQUIRED = ("profile", "model", "task", "case", "cluster", "approach", "status")
TEXT = words(
    "run profile instance model task case cluster size approach session status error_class done_reason "
    "flags model_digest endpoint_kind endpoint_version plan prompt_sha256 stratum"
)
NUMBERS = words(
    "sample repeat seed order score input_tokens output_tokens total_tokens duration_s time_to_first_token_s "
    "load_s prompt_eval_s eval_s rest_s total_s tool_s tool_other_cpu_s prompt_cached_tokens attempts attempts_s in_flight "
    "server_cpu_s server_peak_rss_bytes other_cpu_s protocol num_ctx num_predict "
    "turns tool_calls most_turn_tokens most_turn_load_s first_cached_tokens limit_tokens limit_seconds "
    "opening_tokens file_tokens tool_result_tokens own_message_tokens"
)
_ZERO_IF_MISSING = ("repeat", "tool_s")
_TIMES = [name for name in NUMBERS if name.endswith("_s")]
_TOKENS = ["input_tokens", "output_tokens", "total_tokens"]
_NEUTRAL = {
    "run": "",
    "instance": "",
    "size": "",
    "session": "",
    "error_class": "",
    "done_reason": "",
    "flags": "",
    "stratum": "",
}
_ORDER = words("profile run instance model task approach case repeat sample start session order")
STATUSES = ("completed", "failed", "timeout")


def prepare(samples: pd.DataFrame) -> pd.DataFrame:
    """Give the samples table its types, missing columns and canonical order; the input is not changed.

    Adds `start` (seconds since the epoch, NaN when unknown), `span_s` (for how long CPU time was counted) and `implausible` (a time
    or token count that cannot be: infinite, negative, or zero for a completed sample; the value itself becomes NaN).

    Raises:
        ConfigurationError: a column that identifies a sample is missing or empty, or a status is unknown.
    """
    if missing := [name for name in REQUIRED if name not in samples.columns]:
        raise ConfigurationError(f"the samples table has no column {', '.join(missing)}", remedy="Make the table again")
    samples = samples.rename(columns={old: new for old, new in RENAMED.items() if new not in samples.columns})
    columns: dict[str, pd.Series | NDArray[np.float64]] = {name: _text(samples, name) for name in TEXT}
    columns |= {name: _number(samples, name) for name in NUMBERS}
    columns["parsed"] = _truth(samples)
    table = pd.DataFrame(columns, index=pd.RangeIndex(len(samples)))
    extra = [name for name in samples.columns if name not in columns]
    if extra:
        table = pd.concat([table, samples[extra].reset_index(drop=True)], axis=1)
    for name in (name for name in (*PRICES, "reasoning_tokens", "measured_s") if name in extra):  # where they are known
        table[name] = _number(samples, name)
    _refuse_unknown(table)
    _mark_implausible(table)
    _complete(table)
    keys = [table[name].cat.codes if name in TEXT else table[name].fillna(-1.0) for name in reversed(_ORDER)]
    table = table.iloc[np.lexsort([np.asarray(key) for key in keys])].reset_index(drop=True)
    return table


def _text(samples: pd.DataFrame, name: str) -> pd.Series:
    neutral = _NEUTRAL.get(name)
    if name not in samples.columns:
        return pd.Series([neutral] * len(samples), dtype=pd.CategoricalDtype([] if neutral is None else [neutral]))
    column = samples[name].reset_index(drop=True)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.rename_categories(list(column.cat.categories.astype(str))).cat.remove_unused_categories()
    else:
        column = column.astype("string").astype("category")
    if neutral is None and "" in column.cat.categories:
        column = column.cat.remove_categories(
            [""]
        )  # CSV cannot tell an empty text from none, so nothing may depend on it
    if neutral is not None and column.isna().any():
        column = (column if neutral in column.cat.categories else column.cat.add_categories([neutral])).fillna(neutral)
    # plain sorted str categories: codes then order rows the same way for any order of the input
    categories = sorted(map(str, column.cat.categories))
    return column.cat.rename_categories(lambda value: str(value)).cat.set_categories(categories)


def _number(samples: pd.DataFrame, name: str) -> NDArray[np.float64]:
    if name not in samples.columns:
        return np.full(len(samples), 0.0 if name in _ZERO_IF_MISSING else np.nan)
    numbers = pd.to_numeric(samples[name], errors="coerce")
    # no entry means that no tool ran; an impossible one is found later, and is not 0 seconds
    missing = 0.0 if name in _ZERO_IF_MISSING else np.nan
    return np.array(numbers.astype("Float64").fillna(missing).to_numpy(dtype=np.float64), dtype=np.float64)


def _truth(samples: pd.DataFrame) -> pd.Series:
    if "parsed" not in samples.columns:
        return pd.Series([pd.NA] * len(samples), dtype="boolean")
    column = samples["parsed"].reset_index(drop=True)
    if column.dtype == bool:
        return column.astype("boolean")
    words = column.astype("string").str.lower()
    return words.map({"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}).astype("boolean")


def _refuse_unknown(table: pd.DataFrame) -> None:
    for name in REQUIRED:
        if table[name].isna().any():
            row = int(np.argmax(table[name].isna().to_numpy()))
            raise ConfigurationError(
                f"the samples table has an empty {name} in row {row + 1}", remedy="Make the table again"
            )
    if unknown := sorted(set(table["status"].cat.categories) - set(STATUSES)):
        raise ConfigurationError(f"the samples table has status {unknown[0]!r}; known are {', '.join(STATUSES)}")


def _mark_implausible(table: pd.DataFrame) -> None:
    done = (table["status"] == "completed").to_numpy()
    known = "implausible" in table.columns  # a table that was prepared before has no such values any more
    wrong = table["implausible"].to_numpy(dtype=bool, copy=True) if known else np.zeros(len(table), dtype=bool)
    for name in [*_TIMES, *_TOKENS, "score"]:
        values = table[name].to_numpy(copy=True)
        bad = np.isinf(values) | (values < 0)
        if name == "duration_s" or name in ("input_tokens", "total_tokens"):
            bad |= done & (values == 0)
        if name == "score":
            bad |= values > 1
        if bad.any():
            values[bad] = np.nan
            table[name] = values
            wrong |= bad
    table["implausible"] = wrong


def _complete(table: pd.DataFrame) -> None:
    """Fill in what other columns determine.

    Total tokens, the times of a sample with one attempt, the span in which CPU time was counted, the start in seconds.
    """
    both = table["input_tokens"] + table["output_tokens"]
    table["total_tokens"] = table["total_tokens"].where(
        table["total_tokens"].notna() & ~(table["total_tokens"] < both), both
    )
    spent = table["attempts_s"].where(table["attempts_s"].notna(), table["duration_s"])
    table["attempts_s"] = np.fmax(spent, table["duration_s"])
    measured = (
        table["measured_s"] if "measured_s" in table.columns else pd.Series(np.nan, table.index)
    )  # not in old samples
    table["span_s"] = measured.where(measured > 0, table["duration_s"])
    if "started_at" in table.columns:
        moments = pd.to_datetime(table["started_at"].astype("string"), format="ISO8601", utc=True, errors="coerce")
        since = (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
        table["start"] = since.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        table["start"] = np.nan


def levels(column: pd.Series) -> list[str]:
    """The values of a prepared text column that occur, sorted."""
    return [str(column.cat.categories[code]) for code in np.unique(column.cat.codes) if code >= 0]


def codes(table: pd.DataFrame, names: list[str]) -> NDArray[np.int64]:
    """One integer per row that is equal exactly where all the named columns are equal.

    Sorted as the columns sort.
    """
    combined, room = np.zeros(len(table), dtype=np.int64), 1
    for name in names:
        column = table[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            part, size = column.cat.codes.to_numpy().astype(np.int64) + 1, len(column.cat.categories) + 1
        else:
            levels, part = np.unique(column.to_numpy(), return_inverse=True)
            size = max(len(levels), 1)
        if room * size > 2**62:
            combined = np.unique(combined, return_inverse=True)[1].astype(np.int64)
            room = len(table)
        combined, room = combined * size + part, room * size
    if room <= 4 * len(table) + 1024:
        present = np.zeros(room, dtype=np.int64)
        present[combined] = 1
        return (np.cumsum(present) - 1)[combined]
    return np.unique(combined, return_inverse=True)[1].astype(np.int64)
