"""The samples table: one flat row per sample, the same whatever the order of files; what is missing stays missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.flatten import COLUMNS, OF_EPISODES, WHERE_KNOWN, sample_row, samples_table
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.sample import Attempt, Resources, SampleError, write_block
from support.making import sample

FAILED: dict[str, Any] = {
    "status": "failed",
    "error": SampleError("overloaded", "busy"),
    "response": None,
    "answer": None,
    "score": None,
    "input_tokens": None,
    "output_tokens": None,
    "total_tokens": None,
}


def test_a_row_has_the_tables_columns() -> None:
    assert set(sample_row(sample())) == {*COLUMNS, *WHERE_KNOWN}
    assert len(COLUMNS) == len(set(COLUMNS))


def test_what_a_row_says() -> None:
    tries = [Attempt("t", 1.0, SampleError("overloaded", "busy"), 0.5), Attempt("t", 2.0)]
    resources = Resources(server_cpu_s=1.5, server_peak_rss_bytes=7, other_cpu_s=0.25)
    row = sample_row(
        sample(attempts=tries, flags=["output_capped", "retried"], resources=resources), "tool_states_answer"
    )
    assert (row["attempts"], row["attempts_s"]) == (2, 3.5)
    assert (row["flags"], row["stratum"], row["parsed"], row["error_class"]) == (
        "output_capped;retried",
        "tool_states_answer",
        True,
        None,
    )
    assert (row["server_cpu_s"], row["server_peak_rss_bytes"], row["other_cpu_s"]) == (1.5, 7, 0.25)


def test_a_failed_sample_is_a_row_with_its_class_and_without_zeros(tmp_path: Path) -> None:
    write_block(tmp_path / "b.jsonl", [sample(), sample(sample=1, **FAILED)])
    table = samples_table([tmp_path / "b.jsonl"], {})
    assert list(table["status"]) == ["completed", "failed"]
    assert table["error_class"][1] == "overloaded"
    assert table.loc[1, ["score", "input_tokens", "output_tokens", "total_tokens"]].isna().all()
    assert not table["parsed"][1]


def test_an_answer_that_could_not_be_parsed_is_told_from_a_wrong_one() -> None:
    assert not sample_row(sample(answer=None, score=0.0))["parsed"]
    assert sample_row(sample(answer={}, score=0.0))["parsed"]


def test_the_order_of_files_and_of_finishing_does_not_show(tmp_path: Path) -> None:
    one = [sample(sample=n, approach=arm) for n in (1, 0) for arm in ("tools", "baseline")]
    other = [sample(model="a:1b", sample=n) for n in range(3)]
    for name, rows in (("a", one), ("b", other), ("c", one[::-1])):
        write_block(tmp_path / name, rows)
    forward = samples_table([tmp_path / "a", tmp_path / "b"], {})
    pd.testing.assert_frame_equal(forward, samples_table([tmp_path / "b", tmp_path / "c"], {}))
    assert list(forward["model"])[:3] == ["a:1b"] * 3


def test_two_instances_of_one_model_come_in_one_order(tmp_path: Path) -> None:
    for name in ("east", "west"):
        write_block(tmp_path / name, [sample(instance=name, sample=n) for n in range(3)])
    forward = samples_table([tmp_path / "east", tmp_path / "west"], {})
    pd.testing.assert_frame_equal(forward, samples_table([tmp_path / "west", tmp_path / "east"], {}))


def test_what_only_some_samples_know_is_a_column_where_one_does(tmp_path: Path) -> None:
    resources = Resources(server_cpu_s=1.0, other_cpu_s=0.5, measured_s=4.0)
    for name, rows in (("plain", [sample()]), ("measured", [sample(), sample(sample=1, resources=resources)])):
        write_block(tmp_path / name, rows)
    assert not {*WHERE_KNOWN} & {*samples_table([tmp_path / "plain"], {}).columns}
    assert samples_table([tmp_path / "measured"], {})["measured_s"].tolist()[1] == 4.0


def test_strata_are_those_of_task_and_case(tmp_path: Path) -> None:
    write_block(tmp_path / "b", [sample(), sample(case="two", sample=1)])
    table = samples_table([tmp_path / "b"], {("colours", "two"): "tool_states_answer"})
    assert list(table["stratum"]) == ["", "tool_states_answer"]


def test_no_samples_are_an_empty_table_with_all_columns() -> None:
    assert list(samples_table([], {}).columns) == [name for name in COLUMNS if name not in OF_EPISODES]


def test_a_damaged_block_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("{}\n")
    with pytest.raises(ConfigurationError, match="line 1 is not a sample"):
        samples_table([tmp_path / "b"], {})
