"""How results grow with the size of a model: where a size is known from, and what is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ai_dev_tools.benchmark.records.model_size import parameters, recorded_size
from support.overviews import LARGE, SMALL, compare, rows
from support.report_runs import make_stored


def test_scaling_uses_the_size_that_the_server_recorded(content: dict[str, Any], comparison: Path) -> None:
    assert {(row["model"], row["size"], row["source"]) for row in rows(content, "sizes")} == {
        (SMALL, 1.2, "server"), (LARGE, 3.2, "server")
    }  # fmt: skip
    drawn = pd.read_csv(comparison / "figures" / "scaling.csv")
    assert set(drawn["panel"]) == {
        "quality (0 to 1)", "tokens written per second", "tokens per request", "seconds per request"
    }  # fmt: skip
    assert set(drawn["size"]) == {1.2, 3.2}


def test_scaling_needs_two_sizes_and_says_whose_size_is_unknown(tmp_path: Path) -> None:
    before, after = (
        make_stored(tmp_path, "light", models=("mystery",), samples=2),
        make_stored(tmp_path, "medium", samples=2),
    )
    content = compare(tmp_path, before, after)
    page = (tmp_path / "comparison" / "overview.html").read_text()
    assert "The size of mystery is neither recorded nor in the name" in page
    assert "Scaling needs models of two sizes or more; 1 size is here" in page
    assert "scaling" not in content["page"]["figures"]


@pytest.mark.parametrize(
    ("tag", "size"),
    [
        ("llama3.2:1b", 1.0), ("smollm2:135m", 0.135), ("llama3.2:1b-instruct-q4_0", 1.0), ("mixtral:8x7b", 56.0),
        ("qwen2.5-0.5b", 0.5), ("phi3:mini", None), ("llama3.2", None), ("", None),
    ],
)  # fmt: skip
def test_a_size_is_read_from_a_models_name(tag: str, size: float | None) -> None:
    assert parameters(tag) == size


def test_what_a_server_recorded_of_a_size_is_taken_as_it_is_or_not_at_all() -> None:
    sessions: list[dict[str, Any]] = [{"model": None}, {"model": {"tag": "a"}},
                                      {"model": {"tag": "b", "parameter_size": "134.52M"}},
                                      {"model": {"tag": "c", "parameter_size": "large"}}]  # fmt: skip
    assert [recorded_size(tag, sessions) for tag in "abcd"] == [None, pytest.approx(0.13452), None, None]
