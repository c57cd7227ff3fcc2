"""From samples to pairs: what each sample cost, and which two belong together.

The cost of a sample that was cut off is an interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.analysis.money import has_prices, with_money
from ai_dev_tools.benchmark.analysis.money import wasted as wasted_money
from ai_dev_tools.benchmark.analysis.pair_columns import Pairs, Rows
from ai_dev_tools.benchmark.analysis.samples_table import CUT_OFF, LIMIT, LOOP, codes
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import (
    AGENT,
    AGENT_FLOOR,
    BASELINE,
    COMPARISONS,
    OUTCOMES,
    Comparison,
    comparison,
    is_agent,
)
from ai_dev_tools.benchmark.records.prices import MONEY

Floats = NDArray[np.float64]
By = Literal["approach", "model", "profile", "run"]
FALLBACK, FLOOR = BASELINE, "no_context"
"""The arm that a user falls back to when another fails: its cost is added and its answer counts. The floor has no user."""
FALLBACKS = {FALLBACK: FLOOR, AGENT: AGENT_FLOOR}
"""Each with its floor: who uses an agent with a tool falls back to the same agent without it."""
OWN_FAILURES = ("tool", "context_overflow", "model", "malformed_response")
"""Error classes that an arm brings about itself; others (connection, overload, …) say nothing about it."""
_KEY = ["run", "profile", "instance", "model", "task", "case", "repeat", "approach"]
_COSTS = ("tokens_low", "tokens_high", "tokens_open", "time_low", "time_high", "time_open")
_MONEY = ("money_low", "money_high", "money_open")


def costs(table: pd.DataFrame) -> pd.DataFrame:
    """The prepared samples with their costs, quality and what happened to them.

    Adds `tokens_low/high/open`, `time_low/high/open`, `quality`, `censored`, `fell_back` and `dropped`.

    A completed sample's ends are equal: an answer that was cut at the user's cap costs what was paid. A timed-out one
    spans what was seen up to what it could still have become: tokens to `num_ctx`, time by the slowest rates of its
    block. `open` is that upper end for capped answers too, as a sensitivity. Where an arm failed by its own making, the
    user falls back to the baseline: its cost is added, and its answer counts. `dropped` names why a sample says nothing
    of its arm (infrastructure), "" otherwise.
    """
    table = table.copy(deep=False)
    status, reason = table["status"], table["done_reason"]
    completed, timeout = (status == "completed").to_numpy(), (status == "timeout").to_numpy()
    capped = completed & reason.isin(CUT_OFF).to_numpy()
    censored = capped | timeout
    read = _read_tokens(table, uncounted := timeout | (reason == LOOP).to_numpy())
    tokens_low, tokens_open = _tokens(table, censored, uncounted, read)
    time_low = table["attempts_s"].to_numpy() + table["tool_s"].to_numpy()
    time_open = np.where(censored, time_low + _rest(table, tokens_low), time_low)
    quality = np.where(timeout & table["score"].isna().to_numpy(), 0.0, table["score"].to_numpy())
    table = table.assign(
        tokens_low=tokens_low,
        tokens_high=np.where(capped, tokens_low, tokens_open),
        tokens_open=tokens_open,
        time_low=time_low,
        time_high=np.where(capped, time_low, time_open),
        time_open=time_open,
        quality=quality,
        censored=censored,
        fell_back=False,
        place=_places(table),
        dropped=np.where(status == "failed", "failed: " + table["error_class"].astype(str).replace("", "unknown"), ""),
    )
    if priced := has_prices(table):
        table = with_money(table, read)
    costed = (*_COSTS, *(_MONEY if priced else ()))
    lost = (status == "failed").to_numpy()
    wasted = dict(_wasted(table, priced))
    for name in (*costed, "quality"):
        table[name] = table[name].where(~lost)
    table = _fall_back(table, costed, wasted)
    table["dropped"] = table["dropped"].astype("category")
    return table


def _places(table: pd.DataFrame) -> Floats:
    """Which of the arms of its case and repeat a sample was asked as, from 0.

    NaN if that was not recorded.
    """
    group, order = codes(table, _KEY[:-1]), table["order"].to_numpy()
    by = np.lexsort([order, group])
    first = np.concatenate([[True], np.diff(group[by]) != 0]) if len(by) else np.empty(0, dtype=bool)
    place = np.empty(len(by))
    place[by] = np.arange(len(by)) - np.maximum.accumulate(np.where(first, np.arange(len(by)), 0))
    return np.where(np.isfinite(order), place, np.nan)


def _read_tokens(table: pd.DataFrame, uncounted: NDArray[np.bool_]) -> Floats:
    """Prompt tokens of each sample; where they were not counted, those of the same prompt elsewhere."""
    known_input = table["input_tokens"].to_numpy(copy=True)
    if (uncounted & np.isnan(table["total_tokens"].to_numpy())).any():
        for names in (["run", "model", "prompt_sha256"], ["run", "model", "task", "case", "approach"]):
            if table[names[-1]].notna().all():
                known_input = np.where(np.isnan(known_input), _group_max(known_input, codes(table, names)), known_input)
    return known_input


def _tokens(
    table: pd.DataFrame, censored: NDArray[np.bool_], uncounted: NDArray[np.bool_], known_input: Floats
) -> tuple[Floats, Floats]:
    total = table["total_tokens"].to_numpy(copy=True)
    if (uncounted & np.isnan(total)).any():
        seen = known_input + np.nan_to_num(table["output_tokens"].to_numpy())
        # nothing counted: one token is the least a request can have been, so the lower end stays harmless
        seen = np.where(np.isnan(seen), np.fmax(table["output_tokens"].to_numpy(), 1.0), seen)
        total = np.where(uncounted & np.isnan(total), seen, total)
    window = np.where(table["num_ctx"].isna(), np.inf, table["num_ctx"].to_numpy())
    # an episode that broke off could have gone on to its limit and one turn more; one that was made to answer, for ever
    most = np.where(table["turns"].isna(), window, table["limit_tokens"].to_numpy() + window)
    most = np.where(table["done_reason"] == LIMIT, np.inf, most)
    return total, np.where(censored & ~np.isnan(total), np.fmax(most, total), total)


def _group_max(values: Floats, group: NDArray[np.int64]) -> Floats:
    best = np.full(int(group.max()) + 1, -np.inf)
    np.maximum.at(best, group[~np.isnan(values)], values[~np.isnan(values)])
    best[np.isinf(best)] = np.nan
    return np.asarray(best[group])


def _rest(table: pd.DataFrame, seen: Floats) -> Floats:
    """Seconds that a cut-off sample could still have taken.

    That is the rest of its context at the slowest rates of the block.
    """
    block = codes(table, ["run", "profile", "instance", "model", "task"])
    done = (table["status"] == "completed").to_numpy()
    slowest = {}
    for phase, tokens, seconds in (("read", "input_tokens", "prompt_eval_s"), ("write", "output_tokens", "eval_s")):
        time, count = table[seconds].to_numpy(), table[tokens].to_numpy()
        usable = done & (count > 0) & (time > 0)
        pace = np.where(usable, time / np.where(usable, count, 1.0), np.nan)
        slowest[phase] = _group_max(pace, block) if len(pace) else pace
    started = table["time_to_first_token_s"].notna() | table["prompt_eval_s"].notna()
    unread = np.where(~started, np.nan_to_num(table["input_tokens"].to_numpy(), nan=np.inf), 0.0)
    unread = np.where(np.isinf(unread), seen, unread)
    # an unknown window leaves the rest unknown: not a number, which must not become 0
    unwritten = np.maximum(table["num_ctx"].to_numpy() - np.nan_to_num(seen), 0.0)
    with np.errstate(invalid="ignore"):
        rest = np.where(unread > 0, unread * slowest["read"], 0.0) + unwritten * slowest["write"]
    rest = np.where(np.isnan(rest), np.inf, rest)
    # of an episode, what its limit leaves and one turn more; without a limit where it was made to answer
    left = np.maximum(table["limit_seconds"].to_numpy() - np.nan_to_num(table["attempts_s"].to_numpy()), 0.0)
    rest = np.where(table["turns"].isna(), rest, left + rest)
    return np.where(table["done_reason"] == LIMIT, np.inf, rest)


def _wasted(table: pd.DataFrame, priced: bool) -> Iterator[tuple[str, Floats]]:
    """What a failed request took: what it read and wrote is mostly not told; its time is."""
    yield "tokens", np.nan_to_num(table["total_tokens"].to_numpy())
    yield "time", np.nan_to_num(table["attempts_s"].to_numpy()) + table["tool_s"].to_numpy()
    if priced:
        yield "money", wasted_money(table)


def _fall_back(table: pd.DataFrame, costed: Sequence[str], wasted: Mapping[str, Floats]) -> pd.DataFrame:
    """Charge what an arm brought on itself: tool, failed request and the baseline's, whose answer counts."""
    exempt = [name for arms in FALLBACKS.items() for name in arms]
    own = table["error_class"].isin(OWN_FAILURES) & ~table["approach"].isin(exempt)
    failed = own.to_numpy() & (table["status"] == "failed").to_numpy()
    if not failed.any():
        return table
    helper = _helpers(table)
    use = failed & (helper >= 0)
    table = table.copy(deep=False)
    for name in (*costed, "quality"):
        values = table[name].to_numpy(copy=True)
        extra = wasted[name.partition("_")[0]][use] if name != "quality" else 0.0
        values[use] = values[helper[use]] + extra
        table[name] = values
    dropped, censored = table["dropped"].to_numpy(dtype=object, copy=True), table["censored"].to_numpy(copy=True)
    dropped[use] = dropped[helper[use]]
    censored[use] = censored[helper[use]]
    table = table.assign(dropped=dropped, censored=censored, fell_back=use)
    for outcome in (name.removeprefix("void_") for name in table.columns if name.startswith("void_")):
        void, why = table[f"void_{outcome}"].to_numpy(copy=True), table[f"why_{outcome}"].to_numpy(copy=True)
        taken = use & ~void
        void[taken], why[taken] = void[helper[taken]], why[helper[taken]]
        table[f"void_{outcome}"] = void
        table[f"why_{outcome}"] = pd.Categorical(why, table[f"why_{outcome}"].cat.categories)
    return table


def _helpers(table: pd.DataFrame) -> NDArray[np.int64]:
    """Row of the sample that a user of each arm falls back to; -1 where there is none."""
    group = codes(table, _KEY[:-1])
    agents = table["approach"].isin([name for name in table["approach"].cat.categories if is_agent(name)]).to_numpy()
    helper = np.full(len(table), -1, dtype=np.int64)
    for fallback in FALLBACKS:
        rows = np.full(int(group.max()) + 1, -1, dtype=np.int64)
        plain = np.flatnonzero((table["approach"] == fallback).to_numpy())
        rows[group[plain]] = plain
        helper = np.where(agents == is_agent(fallback), rows[group], helper)
    return helper


# ------------------------------------------------------------------------------------------------- quantities compared


@comparison(
    "tokens", unit="tokens", outcome="tokens", description="Input and output tokens of a sample; interval when cut off"
)
def _compare_tokens(samples: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    return samples["tokens_low"], samples["tokens_high"]


@comparison(
    "time", unit="s", outcome="time", description="All attempts and the tools' own run time; interval when cut off"
)
def _compare_time(samples: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    return samples["time_low"], samples["time_high"]


@comparison(
    MONEY, unit=MONEY, outcome=MONEY, description="What a sample cost at the prices of the run; interval when cut off"
)
def _compare_money(samples: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    return samples["money_low"], samples["money_high"]


@comparison(
    "quality", unit="0..1", outcome="quality", kind="difference", description="Score of the answer; 0 when timed out"
)
def _compare_quality(samples: pd.DataFrame) -> pd.Series:
    return samples["quality"]


@comparison("input_tokens", unit="tokens", outcome="tokens", description="Prompt tokens of a sample")
def _compare_input(samples: pd.DataFrame) -> pd.Series:
    return samples["input_tokens"].where(samples["status"] == "completed")


@comparison("output_tokens", unit="tokens", outcome="tokens", description="Generated tokens of a sample, as seen")
def _compare_output(samples: pd.DataFrame) -> pd.Series:
    return samples["output_tokens"].where(samples["status"] == "completed")


@comparison("request_time", unit="s", outcome="time", description="The last attempt of the request, without tools")
def _compare_request(samples: pd.DataFrame) -> pd.Series:
    return samples["duration_s"].where(samples["status"] == "completed")


@comparison(
    "time_to_first_token", unit="s", outcome="time", description="From sending to the first piece of the answer"
)
def _compare_first(samples: pd.DataFrame) -> pd.Series:
    return samples["time_to_first_token_s"].where(samples["status"] == "completed")


@comparison("server_cpu", unit="s", outcome="time", description="CPU time of the server process during the request")
def _compare_cpu(samples: pd.DataFrame) -> pd.Series:
    return samples["server_cpu_s"].where(samples["status"] == "completed")


def quantity(plugin: Comparison, table: pd.DataFrame) -> tuple[Floats, Floats]:
    """Lower and upper end of a compared quantity for every sample; impossible values become NaN."""
    try:
        result = plugin.function(table)
        low, high = result if isinstance(result, tuple) else (result, result)
        ends = [
            pd.to_numeric(pd.Series(end), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            for end in (low, high)
        ]
    except Exception as error:
        raise ConfigurationError(
            f"comparison '{plugin.name}' ({plugin.origin}) failed: {type(error).__name__}: {error}"
        ) from None
    if any(len(end) != len(table) for end in ends):
        raise ConfigurationError(f"comparison '{plugin.name}' ({plugin.origin}) must give one value per sample")
    low_end, high_end = ends
    bad = ~np.isfinite(low_end) | np.isnan(high_end) | (high_end < low_end)
    if plugin.scale == "ratio":
        bad |= low_end <= 0
    return np.where(bad, np.nan, low_end), np.where(bad, np.nan, high_end)


def pair_up(
    table: pd.DataFrame,
    approach: str,
    reference: str,
    names: Sequence[str],
    by: By = "approach",
    columns: Sequence[str] = (),
) -> Pairs:
    """Join the samples of two approaches (or models, profiles, runs) case by case and repeat by repeat.

    Args:
        table: the frame of prepared `Samples`, or a part of it.
        names: comparisons wanted; each gives `NAME_low`, `NAME_high`, `NAME_low_ref`, `NAME_high_ref`.
        columns: further sample columns wanted, as `COLUMN` and `COLUMN_ref`.

    Returns:
        One row per pair in fixed order: the key columns, cluster, size, stratum, `dropped` ("" when usable, else why;
        `lost` says whether), the wanted columns, and from validity `void_OUTCOME` (either side) and `why_OUTCOME`.
    """
    # what the two sides must agree in: a profile or run may name its instances as it likes
    free = {"approach": [], "model": ["instance"], "profile": ["instance"], "run": ["instance", "profile"]}[by]
    key = [name for name in _KEY if name != by and name not in free]
    sides = [np.flatnonzero((table[by] == value).to_numpy()) for value in (approach, reference)]
    left, right, unpaired = _match(codes(table, key), *sides)
    keys = [*dict.fromkeys([*key, "profile", "model", "instance"]), "cluster", "size", "stratum", "sample"]
    pairs = table.iloc[left][keys].reset_index(drop=True)
    dropped = table["dropped"].to_numpy(dtype=object)
    why = np.where(dropped[left] == "", dropped[right], dropped[left])
    added: dict[str, Any] = {"dropped": pd.Series(why, dtype="category"), "lost": why != ""}
    for name in ("censored", "fell_back"):
        added[name] = table[name].to_numpy()[left] | table[name].to_numpy()[right]
    for name in names:
        low, high = quantity(COMPARISONS.find(name), table)
        for suffix, rows in (("", left), ("_ref", right)):
            added[f"{name}_low{suffix}"], added[f"{name}_high{suffix}"] = low[rows], high[rows]
    for name in columns:
        for suffix, rows in (("", left), ("_ref", right)):
            added[f"{name}{suffix}"] = table[name].iloc[rows].reset_index(drop=True)
    for name, parts in (
        ("unit", ["cluster"]),
        ("task_number", ["task"]),
        ("case_number", ["model", "instance", "task", "case"]),
    ):
        added[name] = codes(pairs, parts)
    added |= _flags(table, left, right)
    # added at once: pandas takes long for each column that is set alone
    return Pairs(pd.concat([pairs, pd.DataFrame(added, index=pairs.index)], axis=1), unpaired)


def _flags(table: pd.DataFrame, left: Rows, right: Rows) -> dict[str, NDArray[np.bool_] | pd.Categorical[str]]:
    """Which pairs are void for each outcome, by which side, and by which check first."""
    found: dict[str, NDArray[np.bool_] | pd.Categorical[str]] = {}
    for outcome in (*OUTCOMES, *([MONEY] if "void_money" in table else [])):
        name, why = f"void_{outcome}", table[f"why_{outcome}"].cat
        void, check = table[name].to_numpy(), why.codes.to_numpy()
        found |= {name: void[left] | void[right], f"{name}_own": void[left], f"{name}_ref": void[right]}
        which = np.where(void[left], check[left], check[right])
        found[f"why_{outcome}"] = pd.Categorical.from_codes(which, why.categories)
    return found


def _match(key: NDArray[np.int64], left: Rows, right: Rows) -> tuple[Rows, Rows, int]:
    """Rows of both sides with equal key.

    Of duplicates the last one (the table is sorted, so the latest) counts.
    """
    lasts = []
    for rows in (left, right):
        last = np.full(int(key.max(initial=-1)) + 1, -1, dtype=np.int64)
        last[key[rows]] = rows
        lasts.append(last)
    both = (lasts[0] >= 0) & (lasts[1] >= 0)
    either = (lasts[0] >= 0) | (lasts[1] >= 0)
    return lasts[0][both], lasts[1][both], int(either.sum() - both.sum())
