"""Metrics: every cell and margin, intervals where they exist, and words where there is no number."""

from __future__ import annotations

import ast
import inspect
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from ai_dev_tools.benchmark.analysis import metrics as built_in
from ai_dev_tools.benchmark.analysis.metrics import ALL, compute_metrics, wide
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import METRICS, Estimate, catalogue, load_plugins, metric
from support.invented import invent


def cell(metrics: pd.DataFrame, name: str, approach: str = ALL, task: str = ALL, model: str = ALL) -> pd.Series:
    chosen = metrics[
        (metrics["profile"] == ALL)
        & (metrics["model"] == model)
        & (metrics["task"] == task)
        & (metrics["approach"] == approach)
        & (metrics["metric"] == name)
    ]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_no_built_in_metric_is_defined_twice_so_that_none_replaces_another() -> None:
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(built_in))) if isinstance(node, ast.Call)]
    named = [
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id in ("_define", "metric")
        and isinstance(call.args[0], ast.Constant)
    ]
    assert len(named) > 20
    assert sorted(named, key=str) == sorted(set(named), key=str)


def test_what_other_programs_used_is_compared_with_the_time_in_which_it_was_counted() -> None:
    samples = invent(n=2).assign(duration_s=10.0, other_cpu_s=5.0)
    assert cell(compute_metrics(samples), "other_cores")["value"] == pytest.approx(0.5)
    assert cell(compute_metrics(samples.assign(measured_s=20.0)), "other_cores")["value"] == pytest.approx(0.25)


def test_there_is_a_row_for_every_cell_and_every_margin() -> None:
    metrics = wide(compute_metrics(invent(n=2, models=("m1", "m2"))))
    assert len(metrics) == 2 * 3 * 4 * 4  # one profile, two models, three tasks and arms, each with its margin
    assert metrics.loc[(metrics[["profile", "model", "task", "approach"]] == ALL).all(axis=1), "samples"].item() == 36


def test_numbers_of_a_small_table_worked_out_by_hand() -> None:
    table = invent(n=4, tasks=("a",), approaches=("baseline",))
    table["duration_s"] = table["attempts_s"] = [1.0, 2.0, 3.0, 6.0]
    table["started_at"] = [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.5Z",
        "2026-01-01T00:00:10Z",
        "2026-01-01T00:00:20Z",
    ]
    table["total_tokens"], table["input_tokens"], table["output_tokens"] = 120, 100, 20
    table["score"] = [0.0, 0.5, 0.5, 1.0]
    metrics = compute_metrics(table)
    expected = {
        "samples": 4,
        "completed": 4,
        "duration_total": 12,
        "duration_mean": 3,
        "duration_std": np.std([1, 2, 3, 6], ddof=1),
        "duration_min": 1,
        "duration_max": 6,
        "duration_p50": 2.5,
        "tokens_per_second": 480 / 12,
        "throughput": 4 / (2.5 + 3 + 6),
        "peak_concurrency": 2,
        "quality": 0.5,
        "tokens_per_point": 480 / 2,
        "seconds_per_point": 12 / 2,
        "total_tokens_sum": 480,
        "efficiency_score": 0.4 + 0.3 * (4 / 11.5) / 10 + 0.2 * 40 / 1000 + 0.1 * (1 - 3 / 60),
    }
    found = {name: cell(metrics, name)["value"] for name in expected}
    assert found == pytest.approx(expected, rel=1e-12)


def test_rates_have_wilson_intervals_that_agree_with_statsmodels() -> None:
    table = invent(n=10, tasks=("a",), approaches=("baseline",))
    table.loc[:2, "status"] = "failed"
    row = cell(compute_metrics(table), "success_rate")
    assert (row["low"], row["high"]) == pytest.approx(proportion_confint(7, 10, method="wilson"), rel=1e-9)
    assert row["value"] == 0.7


@pytest.mark.parametrize(("n", "present"), [(9, set()), (10, {90}), (20, {90, 95}), (100, {90, 95, 99})])
def test_a_percentile_is_absent_where_n_does_not_support_it(n: int, present: set[int]) -> None:
    metrics = compute_metrics(invent(n=n, tasks=("a",), approaches=("baseline",)))
    found = {q for q in (90, 95, 99) if np.isfinite(cell(metrics, f"duration_p{q}")["value"])}
    assert found == present
    if 99 not in present:
        assert cell(metrics, "duration_p99")["note"] == f"needs 100 samples, has {n}"


def test_percentiles_count_timeouts_as_longer_instead_of_forgetting_them() -> None:
    table = invent(n=20, tasks=("a",), approaches=("baseline",))
    table["duration_s"] = table["attempts_s"] = np.arange(1.0, 21.0)
    table.loc[table["duration_s"] > 15, ["status", "duration_s"]] = ["timeout", 15.0]
    metrics = compute_metrics(table)
    assert cell(metrics, "duration_p50")["value"] == 10.5
    assert cell(metrics, "duration_p90")["note"] == "lies beyond a timeout"
    assert "5 timed out" in cell(metrics, "duration_mean")["note"]


def test_a_percentile_between_what_was_seen_and_a_timeout_is_not_known() -> None:
    table = invent(n=2, tasks=("a",), approaches=("baseline",))
    table["duration_s"] = [1.0, 100.0]
    table.loc[1, "status"] = "timeout"
    assert cell(compute_metrics(table), "duration_p50")["note"] == "lies beyond a timeout"


def test_a_timeout_of_unknown_length_is_longer_than_all_that_was_seen() -> None:
    table = invent(n=5, tasks=("a",), approaches=("baseline",)).assign(duration_s=[1.0, 2.0, 3.0, np.nan, np.nan])
    table.loc[3:, "status"] = "timeout"
    metrics = compute_metrics(table)
    assert cell(metrics, "duration_p50")["value"] == 3.0
    assert cell(metrics, "duration_p75")["note"] == "lies beyond a timeout"


def test_quality_says_which_answers_have_no_score() -> None:
    table = invent(n=4, tasks=("a", "b"), approaches=("baseline",))
    table.loc[table["task"] == "b", "score"] = np.nan
    row = cell(compute_metrics(table), "quality")
    assert row["note"] == "4 answers without a score, not in it"
    assert row["value"] == pytest.approx(table["score"].mean())


@pytest.mark.parametrize("what", ["duration", "time_to_first_token"])
def test_every_percentile_says_which_end_n_does_not_support(what: str) -> None:
    row = cell(compute_metrics(invent(n=10, tasks=("a",), approaches=("baseline",))), f"{what}_p90")
    assert np.isfinite([row["value"], row["low"]]).all()
    assert (np.isnan(row["high"]), row["note"]) == (True, "n is too small for the upper end")


def test_throughput_counts_what_it_knows_the_time_of() -> None:
    table = invent(n=4, tasks=("a",), approaches=("baseline",)).assign(duration_s=1.0)
    table.loc[1:, "started_at"] = None
    row = cell(compute_metrics(table), "throughput")
    assert (row["value"], row["note"]) == (1.0, "start or duration unknown of 3, not in it")


def test_a_rate_without_seconds_says_what_is_wrong_with_them() -> None:
    table = invent(n=4, tasks=("a",), approaches=("baseline",))
    none = compute_metrics(table.assign(eval_s=0.0))
    assert cell(none, "decode_tokens_per_second")["note"] == "eval_s is zero throughout"
    table.loc[:1, "eval_s"], table.loc[2:, "output_tokens"] = None, None
    apart = cell(compute_metrics(table), "decode_tokens_per_second")
    assert apart["note"] == "output_tokens and eval_s are never known in the same sample"


def test_cost_per_point_says_what_it_does_not_know_the_cost_of() -> None:
    table = invent(n=4, tasks=("a",), approaches=("baseline",)).assign(score=0.5)
    table["input_tokens"], table["output_tokens"], table["total_tokens"] = 70, 30, 100
    table.loc[0, ["status", "score", "input_tokens", "output_tokens", "total_tokens"]] = ["timeout", *[None] * 4]
    row = cell(compute_metrics(table), "tokens_per_point")
    assert (row["value"], row["note"]) == (300 / 1.5, "cost unknown of 1, not in it")


def test_an_impossible_tool_time_is_missing_and_a_missing_one_is_none_that_ran() -> None:
    table = invent(n=3, tasks=("a",), approaches=("baseline",)).assign(tool_s=[np.inf, 2.0, 2.0])
    assert cell(compute_metrics(table), "tool_mean")["value"] == 2.0
    table["tool_s"] = [None, 2.0, 2.0]
    assert cell(compute_metrics(table), "tool_mean")["value"] == pytest.approx(4 / 3)


def test_missing_is_never_zero_and_says_why() -> None:
    table = invent(n=3, tasks=("a",), approaches=("baseline",))
    table["status"] = "failed"
    metrics = compute_metrics(table)
    empty = metrics[
        metrics["metric"].isin(
            ["duration_mean", "quality", "tokens_per_second", "input_tokens_sum", "tokens_per_point"]
        )
    ]
    table["score"] = np.nan
    assert cell(compute_metrics(table), "quality")["note"] == "no scored sample"
    assert cell(metrics, "duration_mean")["note"] == "no completed sample"
    assert empty.loc[empty["metric"] == "duration_mean", "value"].isna().all()


def test_the_order_of_rows_and_the_file_format_change_no_byte() -> None:
    table = invent(n=5, models=("m1", "m2"))
    shuffled = table.sample(frac=1, random_state=3)
    from_csv = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    once, again, third = (compute_metrics(t).to_csv(index=False) for t in (table, shuffled, from_csv))
    assert once == again == third


BAD = {
    "no completed sample": {"status": "failed"},
    "zero tokens": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
    "absent tokens": {"input_tokens": None, "output_tokens": None, "total_tokens": None},
    "NaN durations": {"duration_s": float("nan"), "attempts_s": float("nan")},
    "infinite durations": {"duration_s": float("inf"), "attempts_s": float("inf")},
    "negative durations": {"duration_s": -1.0, "attempts_s": -1.0},
    "all equal": {"duration_s": 1.0, "attempts_s": 1.0, "score": 0.5, "total_tokens": 50},
    "no clock": {"started_at": None},
    "unreadable clock": {"started_at": "yesterday"},
}


@pytest.mark.parametrize("what", BAD)
def test_bad_values_give_empty_cells_with_a_reason_and_no_impossible_number(what: str) -> None:
    table = invent(n=3).assign(**BAD[what])
    metrics = compute_metrics(table)
    assert not np.isinf(metrics[["value", "low", "high"]].to_numpy()).any()
    assert (metrics.loc[metrics["value"].isna(), "note"] != "").all()
    if "duration" in what:
        assert np.isnan(cell(metrics, "duration_mean")["value"])


@settings(max_examples=25)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=6, max_size=6),
    st.sampled_from(["duration_s", "score", "total_tokens"]),
)
def test_no_value_of_any_column_crashes_a_metric(values: list[float], column: str) -> None:
    table = invent(n=2, tasks=("a",))
    table[column] = values
    assert np.isfinite(compute_metrics(table)["value"].dropna()).all()


def test_an_empty_table_gives_an_empty_table() -> None:
    assert compute_metrics(invent(n=2).iloc[:0]).empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="cluster"), "has no column cluster"),
        (lambda t: t.assign(status="done"), "status 'done'; known are completed, failed, timeout"),
        (lambda t: t.assign(task=None), "empty task in row 1"),
    ],
)
def test_a_table_that_is_not_of_samples_is_refused_in_one_line(change: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        compute_metrics(change(invent(n=2)))  # type: ignore[operator]
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------------------ plugins


IMPORT = "from ai_dev_tools.benchmark.plugins import check, metric\n"
GOOD = """
from ai_dev_tools.benchmark.plugins import Estimate, check, comparison, metric

@metric("words", unit="words", description="0.75 words per output token")
def words(cell):
    return 0.75 * cell.sum("output_tokens")

@metric("broken", description="raises, as plugins do")
def broken(cell):
    return 1 / 0

@comparison("energy", unit="J", description="65 W while the request ran", outcome="time")
def energy(samples):
    return 65 * samples["duration_s"]

@check("long_answer", voids=["quality"], description="more than 29 tokens")
def long_answer(samples, thresholds):
    return samples["output_tokens"], samples["output_tokens"] > 29
"""


def test_a_plugin_file_is_treated_like_the_built_in_ones(tmp_path: Path) -> None:
    from ai_dev_tools.benchmark.analysis.comparison import compare
    from ai_dev_tools.benchmark.analysis.validity_table import check_samples

    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    assert [plugin.name for _, plugin in load_plugins([path])[0].registered] == [
        "words",
        "broken",
        "energy",
        "long_answer",
    ]
    load_plugins([path])  # again is no conflict
    table = invent(n=6)
    metrics = compute_metrics(table)
    assert cell(metrics, "words")["value"] == 0.75 * 30 * len(table)
    assert "ZeroDivisionError" in cell(metrics, "broken")["note"]
    assert compare(table, "tools", comparisons=["energy"])["value"].notna().all()
    ledger = check_samples(table)
    assert (ledger.loc[ledger["check"] == "long_answer", "status"] == "flagged").all()
    assert "mine.py" in {row["origin"] for row in catalogue()}


def test_whatever_a_custom_metric_gives_no_impossible_number_reaches_the_table() -> None:
    given = {
        "none": None,
        "text": "many",
        "missing": Estimate(pd.NA),  # type: ignore[arg-type]
        "open": Estimate(1.0, -np.inf, np.nan, "as wide as can be"),
    }
    for name, value in given.items():
        metric(name, description="as users may write it")(lambda cell, value=value: value)
    found = compute_metrics(invent(n=2, tasks=("a",)), only=list(given)).groupby("metric").first()
    assert found["value"].notna().to_dict() == {"none": False, "text": False, "missing": False, "open": True}
    assert found[["low", "high"]].isna().all(axis=None)
    assert found.loc["open", "note"] == "as wide as can be"
    assert (found["note"] != "").all()


def test_only_one_metric_can_be_computed_for_a_finished_run() -> None:
    assert set(compute_metrics(invent(n=2), only=["quality"])["metric"]) == {"quality"}
    with pytest.raises(ConfigurationError, match="unknown metric 'qualty', did you mean 'quality'"):
        compute_metrics(invent(n=2), only=["qualty"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "registers nothing"),
        ("raise ValueError('no')", "line 1: ValueError: no"),
        ("def f(:\n", "SyntaxError"),
        (
            IMPORT + "@metric('Bad Name', description='d')\ndef f(c): return 1",
            "lower-case",
        ),
        (
            IMPORT + "@metric('quality', description='d')\ndef f(c): return 1",
            "already taken",
        ),
        (
            IMPORT + "for f in (lambda c: 1, lambda c: 2): metric('mine', description='d')(f)",
            "already taken by bad.py",
        ),
        (
            IMPORT + "@metric('mine', description=' ')\ndef f(c): return 1",
            "no description",
        ),
        (
            IMPORT + "@metric('mine', description='d')\ndef f(a, b): return 1",
            "exactly 1",
        ),
        (
            IMPORT + "@check('mine', voids=['speed'], description='d')\ndef f(a, b): return 1",
            "voids has",
        ),
    ],
)
def test_a_bad_plugin_file_is_one_clear_line_and_registers_nothing(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    before = list(METRICS)
    with pytest.raises(ConfigurationError, match=message) as error:
        load_plugins([path])
    assert "\n" not in str(error.value)
    assert list(METRICS) == before


def test_two_plugin_files_of_one_name_are_refused_because_tables_could_not_tell_them_apart(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "mine.py" for folder in ("a", "b")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        path.write_text(IMPORT + f"@metric('mine{number}', description='d')\ndef f(c): return 1")
    with pytest.raises(ConfigurationError, match=r"two plugin files are called mine\.py"):
        load_plugins(paths)
    assert [plugin.name for _, plugin in load_plugins([paths[0], paths[0]])[0].registered] == ["mine0"]


def test_a_plugin_file_that_is_no_python_file_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(GOOD)
    with pytest.raises(ConfigurationError, match=r"mine\.txt is not a Python file"):
        load_plugins([path])
