"""Long episodes in the sample browser: a page holds only so much of them, and says where the rest is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util.text import visible
from ai_dev_tools.benchmark.records.episode import EpisodeLimits, Turn
from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.benchmark.reporting import render
from ai_dev_tools.benchmark.reporting.browser import MOST_OF_A_TURN, browser_data
from ai_dev_tools.benchmark.reporting.formats.html import script_json
from support.making import sample
from support.report_runs import make_run, report_of

MOST_BYTES_OF_A_CHARACTER = 12
"""As JSON in a page: a pair of escapes."""


def episode(*turns: Turn, number: int = 0) -> Sample:
    return sample(approach="agent", sample=number, model="fake:1b", turns=list(turns), limits=EpisodeLimits())


def shown(*turns: Turn) -> dict[str, Any]:
    found: dict[str, Any] = browser_data([episode(*turns)], {}).parts["samples-0"][0]
    return found


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 30_000), st.integers(0, 30_000)), min_size=1, max_size=3))
def test_the_bytes_of_a_turn_in_a_page_are_bounded_whatever_is_said(said: list[tuple[str, int, int]]) -> None:
    turns = [
        Turn(text=word * times, asked=word * times, result=word * back, result_bytes=len((word * back).encode("utf-8", "replace")))
        for word, times, back in said
    ]  # fmt: skip
    found = shown(*turns)
    most = MOST_OF_A_TURN + 60  # a note says how much was left out
    for turn in found["turns"]:
        assert len(script_json(turn)) <= 3 * most * MOST_BYTES_OF_A_CHARACTER + 1000
    cut = any(len(visible(word * times)) > MOST_OF_A_TURN for word, *counts in said for times in counts)
    assert (found["rest"] is not None) == cut


def test_what_is_shortened_says_how_much_is_missing_and_which_file_has_it() -> None:
    turn = shown(Turn(text="x" * 50_000, result="y" * 2000, result_bytes=90_000))
    assert turn["turns"][0]["said"].endswith("… (47,000 more characters)")
    assert turn["rest"] == "samples/fake-1b/colours/agent/0.json"
    assert shown(Turn(text="short", result="y" * 2000, result_bytes=2000))["rest"] is None
    assert shown(Turn(text="short", result="y" * 2000, result_bytes=2001))["rest"] is not None


def test_transcripts_that_are_too_much_for_one_page_lie_next_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = report_of(make_run(tmp_path / "light", tasks=("repo_analysis",), samples=2))
    long = browser_data([episode(Turn(text="é" * 3000), number=number) for number in range(10)], {})
    whole = render.page_payload(report, long, tmp_path)
    assert not whole.side_files and "browser-samples-0" in whole.scripts
    monkeypatch.setattr(render, "MOST_INLINE_BYTES", 100_000)
    page = render.page_payload(report, long, tmp_path)
    assert page.side_files and len(page.scripts) < 100_000 < len(whole.scripts)
    (file,) = (tmp_path / render.FOLDER).glob("samples-*.js")
    part = json.loads(file.read_text().partition(",")[2].rstrip(");\n"))
    assert len(part) == 10
