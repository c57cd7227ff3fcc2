"""A run that was asked in OpenAI's API, replayed: the same samples, the same verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ai_dev_tools.benchmark.analysis.flatten import sample_row
from ai_dev_tools.benchmark.records.sample import Sample
from fakes.openai_api import FakeOpenAI
from support.invented import verdicts
from support.openai_blocks import a_block, run


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def test_a_replay_gives_the_same_samples_again(tmp_path: Path, fake: FakeOpenAI) -> None:
    fake.usage = lambda counted: counted | {"completion_tokens_details": {"reasoning_tokens": 3}}
    first = run(a_block(tmp_path / "first", fake.url, {"api": "openai"}))
    replayed = {"kind": "replay", "replay_from": str(tmp_path / "first"), "api": "openai"}
    again = run(a_block(tmp_path / "again", fake.url, replayed))
    same = ("response", "score", "status", "done_reason", "input_tokens", "output_tokens", "reasoning_tokens", "load_s",
            "prompt_eval_s", "eval_s", "rest_s", "total_s", "model_digest", "request")  # fmt: skip
    for before, after in zip(first, again, strict=True):
        for name in same:
            assert getattr(before, name) == getattr(after, name), name


def judged(samples: list[Sample]) -> list[tuple[Any, ...]]:
    """What the verdicts on tokens of these samples say."""
    table = pd.DataFrame([sample_row(sample) for sample in samples])
    rows = verdicts(table, resamples=199)
    rows = rows[rows["outcome"] == "tokens"]
    wanted = ["task", "verdict", "ratio", "low", "high", "pairs", "flagged", "dropped", "quality_difference", "reasons"]
    return [tuple(row) for row in rows[wanted].fillna(-1).itertuples(index=False)]


@pytest.mark.parametrize("named", [True, False], ids=["named", "found out"])
def test_a_run_that_was_asked_in_openais_api_replays_with_the_same_verdicts(
    tmp_path: Path, fake: FakeOpenAI, named: bool
) -> None:
    fake.usage = lambda counted: (
        counted
        | {
            "prompt_tokens_details": {"cached_tokens": 16},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }
    )
    design: dict[str, Any] = {
        "cases": [f"case{n}" for n in range(8)], "samples": 8, "approaches": ["baseline", "tools", "no_context"]
    }  # fmt: skip
    folder = tmp_path / "lab"
    url = fake.url if named else fake.url.removesuffix("/v1")
    api = {"api": "openai"} if named else {}
    recorded = run(a_block(folder, url, api, **design))
    asked = len(fake.chats)
    player = {"replay_from": str(folder)} | api
    replayed = run(a_block(tmp_path / "lab@replay", "replay", player, **design))
    assert len(fake.chats) == asked
    names = [
        "status",
        "answer",
        "score",
        "input_tokens",
        "output_tokens",
        "prompt_cached_tokens",
        "reasoning_tokens",
        "done_reason",
    ]
    for one, other in zip(recorded, replayed, strict=True):
        assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
    assert judged(replayed) == judged(recorded)
