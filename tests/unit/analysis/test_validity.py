"""Fault injection: each check is triggered by its fault, says what it voids, and leaves clean runs alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.validity import ValidityThresholds
from ai_dev_tools.benchmark.analysis.validity_table import check_samples, summarise
from ai_dev_tools.benchmark.config.parsing import parse
from ai_dev_tools.benchmark.errors import ConfigurationErrors
from ai_dev_tools.benchmark.plugins import CHECKS
from support.invented import invent


def _set(**values: object) -> Callable[[pd.DataFrame, int], None]:
    def apply(table: pd.DataFrame, row: int) -> None:
        for name, value in values.items():
            table[name] = table[name].astype(object) if isinstance(value, str) else table[name]
            table.loc[row, name] = value

    return apply


def _truncated(table: pd.DataFrame, row: int) -> None:
    same = table["prompt_sha256"] == table.loc[row, "prompt_sha256"]
    table.loc[same, ["input_tokens", "total_tokens"]] = [2000, 2030]
    table.loc[row, ["input_tokens", "total_tokens"]] = [1000, 1030]


FAULTS: dict[str, Callable[[pd.DataFrame, int], None]] = {
    "prompt_truncated": _truncated,
    "token_counts_missing": _set(input_tokens=np.nan, total_tokens=np.nan),
    "implausible_value": _set(duration_s=-3.0),
    "output_capped": _set(done_reason="length"),
    "timed_out": _set(status="timeout", duration_s=30.0),
    "cache_hit": _set(prompt_cached_tokens=500),
    "model_loaded": _set(load_s=4.2),
    "queued": _set(total_s=40.0, duration_s=40.0, attempts_s=40.0),
    "offload_changed": _set(flags="offload_changed"),
    "retried": _set(attempts=2),
    "cpu_contention": _set(other_cpu_s=20.0),
    "tool_contention": _set(tool_s=1.0, tool_other_cpu_s=2.0),
    "other_session": _set(session="yesterday"),
    "not_adjacent": _set(order=999),
    "others_in_flight": _set(in_flight=4),
    "clock_backwards": _set(started_at="2001-01-01T00:00:00+00:00"),
    "model_digest_changed": _set(model_digest="sha256:2"),
    "server_version_changed": _set(endpoint_version="0.2"),
    "protocol_mixed": _set(protocol=2),
    "options_changed": _set(num_ctx=4096),
}
VOIDS = {
    "prompt_truncated": {"tokens", "time", "quality"},
    "token_counts_missing": {"tokens"},
    "implausible_value": {"tokens", "time", "quality"},
    "output_capped": set(),
    "timed_out": set(),
    "cpu_contention": {"time"},
    "tool_contention": {"time"},
    "cache_hit": {"time"},
    "queued": {"time"},
    "model_loaded": {"time"},
    "others_in_flight": {"time"},
    "model_digest_changed": {"tokens", "time", "quality"},
}


def clean() -> pd.DataFrame:
    return invent(n=8, cases=4, tasks=("a",))


def flagged(table: pd.DataFrame) -> set[str]:
    ledger = check_samples(table)
    return set(ledger.loc[ledger["status"] == "flagged", "check"].astype(str))


def test_there_is_a_fault_for_every_check() -> None:
    assert set(FAULTS) == {plugin.name for plugin in CHECKS.values() if plugin.built_in}


def test_what_others_used_during_an_episode_is_compared_with_all_of_it_and_not_its_requests_alone() -> None:
    """The tool ran for as long as the requests; the CPU time of others was counted over both."""
    table = clean().assign(duration_s=10.0, attempts_s=10.0, other_cpu_s=4.0)
    assert "cpu_contention" in flagged(table), "in samples that do not say how long was measured, the requests count"
    assert "cpu_contention" not in flagged(table.assign(measured_s=20.0))
    assert "cpu_contention" in flagged(table.assign(measured_s=20.0, other_cpu_s=6.0))


def test_a_clean_run_is_flagged_in_at_most_one_percent() -> None:
    ledger = check_samples(invent(n=12, models=("m1", "m2")))
    assert (ledger["status"] == "flagged").mean() <= 0.01
    assert (summarise(ledger)["share"].fillna(0) <= 0.01).all()


@pytest.mark.parametrize("check", FAULTS)
def test_each_check_is_triggered_by_its_fault(check: str) -> None:
    table = clean()
    row = table.index[(table["approach"] == "tools") & (table["sample"] == 5)][0]
    FAULTS[check](table, row)
    found = flagged(table)
    assert check in found
    # a fault may show in a second way (a sample from another session also has another clock), but not in many
    assert len(found) <= 2


@pytest.mark.parametrize("check", VOIDS)
def test_a_flag_voids_only_the_outcomes_it_matters_to(check: str) -> None:
    table = clean()
    row = table.index[(table["approach"] == "tools") & (table["sample"] == 5)][0]
    FAULTS[check](table, row)
    assessed = Samples.prepare(table).frame
    one = assessed[(assessed["approach"] == "tools") & (assessed["sample"] == 5)].iloc[0]
    assert {name for name in ("tokens", "time", "quality") if one[f"void_{name}"]} == VOIDS[check]


@pytest.mark.parametrize(
    ("tokens", "context", "truncated"),
    [
        ((600, 241), 840, False),  # an answer that reached the context's end, as a real Ollama counts it
        ((600, 240), 840, False),
        ((600, 242), 840, True),
        ((512, 6), 512, True),  # a prompt that was cut to the context
        ((512, 1), 512, True),
    ],
)
def test_an_answer_that_reaches_the_contexts_end_has_a_whole_prompt(
    tokens: tuple[int, int], context: int, truncated: bool
) -> None:
    table = clean()
    row = table.index[(table["approach"] == "tools") & (table["sample"] == 5)][0]
    _set(input_tokens=tokens[0], output_tokens=tokens[1], total_tokens=sum(tokens), num_ctx=context)(table, row)
    _set(done_reason="length", prompt_sha256="a prompt of its own")(table, row)
    assert ("prompt_truncated" in flagged(table)) == truncated


def test_an_answer_that_looped_is_bounded_and_voids_nothing() -> None:
    table = clean()
    row = table.index[(table["approach"] == "tools") & (table["sample"] == 5)][0]
    _set(done_reason="loop", input_tokens=np.nan, total_tokens=np.nan, output_tokens=40, eval_s=np.nan)(table, row)
    assert flagged(table) == {"output_capped"}
    one = Samples.prepare(table).frame.query("approach == 'tools' and sample == 5").iloc[0]
    assert not one[["void_tokens", "void_time", "void_quality"]].any()


def test_without_a_baseline_the_other_arms_are_compared_with_each_other() -> None:
    table = invent(n=8, tasks=("a",), approaches=("tools-a", "tools-b"))
    assert not Samples.prepare(table).frame["void_time"].any()
    table.loc[table["approach"] == "tools-b", "session"] = "yesterday"
    pairs = Samples.prepare(table).frame.groupby("sample", observed=True)
    assert (pairs["void_time"].sum() == 1).all()


def test_void_pairs_are_left_out_of_comparisons_and_counted() -> None:
    table = clean()
    table.loc[(table["approach"] == "tools") & (table["sample"] == 5), "load_s"] = 9.0
    rows = compare(table, "tools").set_index(["model", "task", "stratum", "comparison"])
    assert rows.loc[("m1", "a", "(all)", "time"), ["pairs", "flagged"]].tolist() == [7, 1]
    assert rows.loc[("m1", "a", "(all)", "tokens"), ["pairs", "flagged"]].tolist() == [8, 0]


def test_the_ledger_has_a_row_per_sample_and_check() -> None:
    table = clean()
    ledger = check_samples(table)
    assert len(ledger) == len(table) * len(list(CHECKS))
    assert not ledger.duplicated(["task", "approach", "sample", "check"]).any()


def test_what_cannot_be_checked_is_unknown_and_not_ok() -> None:
    ledger = check_samples(clean().assign(other_cpu_s=None, prompt_cached_tokens=None))
    for check in ("cpu_contention", "cache_hit"):
        assert set(ledger.loc[ledger["check"] == check, "status"]) == {"unknown"}


def test_own_concurrency_matters_only_where_the_arms_differ_in_it() -> None:
    assert "others_in_flight" not in flagged(clean().assign(in_flight=4))


def test_thresholds_are_parameters() -> None:
    table = clean()
    table.loc[3, "load_s"] = 0.3
    assert "model_loaded" not in flagged(table)
    ledger = check_samples(Samples.prepare(table, ValidityThresholds(load_s=0.1)))
    assert (ledger.loc[ledger["check"] == "model_loaded", "status"] == "flagged").sum() == 1
    with pytest.raises(ConfigurationErrors, match="did you mean 'load_s'"):
        parse(ValidityThresholds, {"loads": 1}, "config validity")


def test_row_order_changes_no_byte_of_the_ledger() -> None:
    table = clean()
    assert check_samples(table).to_csv() == check_samples(table.sample(frac=1, random_state=1)).to_csv()


@pytest.mark.parametrize(
    ("size", "prompts", "asked_for", "cut"),
    [(4096, 3, None, True), (4096, 2, None, False), (512, 3, None, False), (4096, 3, 8192, False)],
)
def test_different_prompts_of_the_one_largest_size_were_cut_where_no_window_was_asked_for(
    size: int, prompts: int, asked_for: int | None, cut: bool
) -> None:
    """As an Ollama's `/v1` does without a word."""
    table = clean()
    table[["num_ctx", "input_tokens", "total_tokens"]] = [asked_for, 300.0, 330.0]
    longest = table["prompt_sha256"].isin(table["prompt_sha256"].drop_duplicates().head(prompts))
    table.loc[longest, ["input_tokens", "total_tokens"]] = [size, size + 30]
    ledger = check_samples(table)
    found = ledger[(ledger["check"] == "prompt_truncated") & (ledger["status"] == "flagged")]
    assert len(found) == (longest.sum() if cut else 0)
