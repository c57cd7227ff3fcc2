"""Tables of samples that nothing can be said about: no crash, no number that pretends, and every empty cell says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.decomposition import break_even, decompose, efficiency_change
from ai_dev_tools.benchmark.analysis.metrics import compute_metrics
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from support.invented import decide, declare, invent, tools, verdicts

TOKENS = ("input_tokens", "output_tokens", "total_tokens")
TIMES = ("duration_s", "attempts_s")
ANSWER = (*TOKENS, *TIMES, "score", "time_to_first_token_s", "prompt_eval_s", "eval_s", "rest_s", "load_s")


def none_completed(samples: pd.DataFrame) -> pd.DataFrame:
    samples = samples.assign(server_cpu_s=samples["server_cpu_s"].where(~tools(samples)))
    samples.loc[tools(samples), list(ANSWER)] = np.nan
    samples.loc[tools(samples), ["status", "error_class"]] = ["failed", "connection"]
    return samples


def backwards(times: pd.Series) -> dict[str, str]:
    """For each time another one, ten seconds earlier for each that came before it."""
    start = pd.Timestamp("2026-01-01", tz="UTC")
    return {time: (start - pd.Timedelta(10 * n, "s")).isoformat() for n, time in enumerate(sorted(set(times)))}


@dataclass(frozen=True)
class Bad:
    """What is done to good samples, and the words with which tables must say so.

    Attributes:
        verdicts: by outcome, a reason of the verdict that is no more than inconclusive; "" = this outcome is not harmed.
        compared: note on the comparison of each outcome.
        paid_back, efficiency: notes in the tables of break-even and of the composite score.
        metric: a metric of the tools arm, and the note on its cell; `shown` when the number stands beside it.
    """

    change: Callable[[pd.DataFrame], pd.DataFrame]
    verdicts: dict[str, str]
    compared: dict[str, str]
    paid_back: str
    efficiency: str
    metric: tuple[str, str] = ("", "")
    shown: bool = False


def both(text: str) -> dict[str, str]:
    return {"tokens": text, "time": text}


IMPOSSIBLE = "every pair is flagged by a validity check: implausible_value"
CASES = {
    "no completed sample in an arm": Bad(
        none_completed, both("lost to infrastructure, mostly failed: connection"),
        both("every pair was dropped: failed: connection"), "no pair completed in both arms",
        "no request completed in one of the arms", ("duration_mean", "no completed sample"),
    ),
    "one case only": Bad(
        lambda s: s[(s["sample"] == 0) & (s["task"] == "a")], both("one cluster only"), both("no interval: one cluster only"),
        "no tool ran", "no interval: one cluster only", ("duration_p25", "needs 4 samples, has 1"),
    ),
    "one case in each task": Bad(
        lambda s: s[s["sample"] == 0], both("one cluster in each task"), both("no interval: one cluster in each task"),
        "no tool ran", "", ("duration_p25", "needs 4 samples, has 1"),
    ),
    "all values equal": Bad(
        lambda s: s.assign(input_tokens=70, output_tokens=30, total_tokens=100, duration_s=1.0, attempts_s=1.0,
                           time_to_first_token_s=0.1),
        both("all clusters give the same value"), both("no interval: all clusters give the same value"),
        "no tool ran", "no interval: the scores rest on one cluster, or all clusters give the same value",
        ("duration_mean", "no interval: all values are equal"), shown=True,
    ),
    "zero tokens": Bad(
        lambda s: s.assign(**dict.fromkeys(TOKENS, 0)),
        {"tokens": "mostly by the check token_counts_missing", "time": "mostly by the check implausible_value"},
        {"tokens": "every pair is flagged by a validity check: token_counts_missing", "time": IMPOSSIBLE},
        IMPOSSIBLE, IMPOSSIBLE, ("tokens_per_second", "total_tokens is missing or impossible throughout"),
    ),
    "absent tokens": Bad(
        lambda s: s.assign(**dict.fromkeys(TOKENS)), {"tokens": "mostly by the check token_counts_missing"},
        {"tokens": "every pair is flagged by a validity check: token_counts_missing"}, "no tool ran",
        "every pair is flagged by a validity check: token_counts_missing",
        ("total_tokens_mean", "total_tokens is missing or impossible throughout"),
    ),
    "NaN durations": Bad(
        lambda s: s.assign(**dict.fromkeys(TIMES, np.nan)), {"time": "time is missing or impossible in every usable pair"},
        {"time": "time is missing or impossible in every pair"}, "time is missing or impossible in every pair",
        "needs start, duration and tokens in both arms", ("throughput", "start or duration unknown"),
    ),
    "infinite durations": Bad(
        lambda s: s.assign(**dict.fromkeys(TIMES, np.inf)), both("mostly by the check implausible_value"),
        both(IMPOSSIBLE), IMPOSSIBLE, IMPOSSIBLE, ("duration_std", "duration_s is missing or impossible throughout"),
    ),
    "a single approach": Bad(
        lambda s: s[s["approach"] == "baseline"], both("no case was answered in both tools and baseline"),
        both("no case was asked in both tools and baseline"), "no case was asked in both tools and baseline",
        "no case was asked in both tools and baseline",
    ),
    "an approach missing for some cases": Bad(
        lambda s: s[~tools(s) | (s["sample"] % 2 == 0)], both("60 of 72 planned samples are there"), {}, "no tool ran", "",
    ),
    "mixed protocol versions": Bad(
        lambda s: s.assign(protocol=np.where(s["sample"] < 5, 1, 2)), both("mostly by the check protocol_mixed"), {},
        "no tool ran", "", ("quality", "holds samples of another protocol version"), shown=True,
    ),
    "mixed model digests": Bad(
        lambda s: s.assign(model_digest=np.where(s["sample"] < 5, "a", "b")), both("mostly by the check model_digest_changed"),
        {}, "no tool ran", "", ("quality", "holds samples of another model digest"), shown=True,
    ),
    "arms with different model digests": Bad(
        lambda s: s.assign(model_digest=np.where(tools(s), "a", "b")), both("mostly by the check model_digest_changed"),
        both("every pair is flagged by a validity check: model_digest_changed"),
        "every pair is flagged by a validity check: model_digest_changed",
        "every pair is flagged by a validity check: model_digest_changed",
        ("duration_mean", "holds samples of another model digest"), shown=True,
    ),
    "clocks that ran backwards": Bad(
        lambda s: s.assign(started_at=s["started_at"].map(backwards(s["started_at"]))),
        {"time": "mostly by the check clock_backwards"},
        {"time": "every pair is flagged by a validity check: clock_backwards"},
        "every pair is flagged by a validity check: clock_backwards",
        "every pair is flagged by a validity check: clock_backwards", ("throughput", "a clock ran backwards"),
    ),
    "duplicated rows": Bad(lambda s: pd.concat([s, s]), {}, {}, "no tool ran", ""),
    "no scores": Bad(
        lambda s: s.assign(score=None), both("quality unknown: no pair has two scores"),
        {"quality": "quality is missing or impossible in every pair"}, "no tool ran", "", ("quality", "no scored sample"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def good() -> pd.DataFrame:
    return invent(n=12, tasks=("a", "b"))


@pytest.mark.parametrize("what", CASES)
def test_a_verdict_says_no_more_than_it_can(what: str, good: pd.DataFrame) -> None:
    bad = CASES[what]
    table = verdicts(bad.change(good.copy()), [declare(good)])
    for row in table[table["task"] == ALL].to_dict("records"):
        if reason := bad.verdicts.get(row["outcome"]):
            assert row["verdict"] in ("inconclusive", "invalid")
            assert reason in row["reasons"]
            assert reason in row["sentence"]


@pytest.mark.parametrize("what", CASES)
def test_comparisons_say_why_a_cell_is_empty(what: str, good: pd.DataFrame) -> None:
    table = compare(CASES[what].change(good.copy()), "tools")
    empty = table[table[["value", "low", "high"]].isna().any(axis=1)]
    assert (empty["note"] != "").all()
    ends = ["low", "high", "change_low", "change_high"]  # which a cut-off value may leave open
    assert not np.isinf(table.select_dtypes("number").drop(columns=ends).to_numpy(dtype=float)).any()
    whole = table[(table["task"] == ALL) & (table["model"] == ALL) & (table["stratum"] == ALL)].set_index("comparison")
    for name, note in CASES[what].compared.items():
        assert whole.loc[name, "note"] == note
        assert pd.isna(whole.loc[name, ["low", "high", "p"]]).all()


@pytest.mark.parametrize("what", CASES)
def test_secondary_tables_say_why_a_cell_is_empty(what: str, good: pd.DataFrame) -> None:
    samples = CASES[what].change(good.copy())
    for table, value, note in (
        (break_even(samples, "tools"), "uses", CASES[what].paid_back),
        (efficiency_change(samples, "tools"), "change_percent", CASES[what].efficiency),
    ):
        whole = table[(table["task"] == ALL) & (table["model"] == ALL)].iloc[0]
        assert whole["note"] == note
        assert (table.loc[table[value].isna(), "note"] != "").all()
        assert (table.loc[table["low" if "low" in table else "uses_low"].isna(), "note"] != "").all()
    parts = decompose(samples, "tools")
    assert (parts.loc[parts["low"].isna(), "note"] != "").all()
    assert not np.isinf(parts.select_dtypes("number").to_numpy()).any()


@pytest.mark.parametrize("what", CASES)
def test_metrics_say_why_a_cell_is_empty(what: str, good: pd.DataFrame) -> None:
    table = compute_metrics(CASES[what].change(good.copy()))
    assert (table.loc[table["value"].isna(), "note"] != "").all()
    assert not np.isinf(table[["value", "low", "high"]].to_numpy()).any()
    name, note = CASES[what].metric
    if name:
        here = table[(table["metric"] == name) & (table["approach"] == "tools") & (table["task"] == "a")]
        row = here[here["model"] == "m1"].iloc[0]
        assert note in row["note"]
        assert np.isnan(row["value"]) != CASES[what].shown


def test_rows_that_are_there_twice_count_once_in_pairs(good: pd.DataFrame) -> None:
    once, twice = (decide(table, plans=[declare(good)]) for table in (good, pd.concat([good, good])))
    pd.testing.assert_series_equal(once, twice)


def test_a_good_table_has_no_such_notes(good: pd.DataFrame) -> None:
    assert set(compare(good, "tools", comparisons=["tokens", "time", "quality"])["note"]) == {""}
    assert set(efficiency_change(good, "tools")["note"]) == {""}
    whole = compute_metrics(good).query("task == 'a' and model == 'm1' and approach == 'tools'")
    assert set(whole.loc[whole["value"].isna(), "metric"]) <= {
        f"{what}_{p}" for what in ("duration", "time_to_first_token") for p in ("p95", "p99")
    }
