"""Batches as pages: every member, the time it took; and what is said when little is there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.comparison import write_batch_report
from ai_dev_tools.benchmark.comparison.run import StoredRun
from ai_dev_tools.benchmark.config.batches import BATCHES, Batch
from ai_dev_tools.benchmark.planning.estimate import DurationEstimate, announcement
from ai_dev_tools.benchmark.records.sample import Sample
from support.overviews import LARGE, SMALL, compare, rows, said
from support.report_runs import fail, make_stored

BATCH = Batch(description="Two sizes", profiles=("light", "medium"), samples=8, nominal_minutes=(1, 2))


def test_a_batch_shows_every_members_verdicts_the_time_it_took_and_the_way_to_their_reports(
    members: tuple[StoredRun, StoredRun], tmp_path: Path
) -> None:
    write_batch_report("two", BATCH, members, tmp_path, "baseline")
    content = json.loads((tmp_path / "overview.json").read_text())
    assert (content["batch"], content["requests"], content["incomplete"]) == ("two", 3 * 2 * 8 * 3, 0)
    assert {(v["profile"], v["model"]) for v in content["verdicts"]} == {
        ("light", SMALL), ("medium", SMALL), ("medium", LARGE)
    }  # fmt: skip
    taken = {row["run"]: row for row in rows(content, "time-taken")}
    samples = members[0].samples
    assert taken["light"]["minutes"] == pytest.approx(samples["duration_s"].sum() / 60, rel=0.02)
    page = (tmp_path / "overview.html").read_text()
    assert "1 to 2 minutes nominal" in page
    assert f'<span class="muted">on {SMALL}, light</span>' in page
    assert 'href="../../light/report/report.html"' in page
    assert "(../../medium/report/report.html)" in (tmp_path / "overview.md").read_text()


@pytest.mark.parametrize(
    ("guess", "words"),
    [
        (
            DurationEstimate(54, 54, None, ()),
            "54 of 54 requests to ask; estimate none: nothing was measured on this machine",
        ),
        (DurationEstimate(54, 9, 95.0, ()), "9 of 54 requests to ask; estimate about 2 min; nominal 5-10 min"),
        (DurationEstimate(54, 9, 95.0, ("a:3b",)), "about 2 min (never measured here, scaled by size: a:3b); nominal"),
    ],
)
def test_a_batch_states_its_estimate_next_to_the_nominal_time(guess: DurationEstimate, words: str) -> None:
    assert words in announcement("quick", BATCHES["quick"], guess)
    assert announcement("scaling", BATCHES["scaling"], guess).endswith("nominal none given")


def only_one_case(sample: Sample) -> Sample | None:
    return sample if sample.sample == 0 else None


@pytest.mark.parametrize(
    ("settings", "both", "words"),
    [
        ({"change": fail}, True, "All 9 requests failed: connection (9)"),
        ({"change": fail}, False, "All 9 requests failed: connection (9)"),
        ({"change": only_one_case}, False, "Unfinished: 3 of 9 planned samples are there"),
        ({"approaches": ("baseline",)}, True, "Single approach: only baseline was run"),
        ({"samples": 1, "approaches": ("baseline",)}, True, "Single sample"),
    ],
    ids=["all failed", "one side failed", "half-finished", "one approach", "one sample"],
)
def test_a_run_with_little_in_it_still_gives_pages_that_say_so(
    tmp_path: Path, settings: dict[str, Any], words: str, both: bool
) -> None:
    poor = make_stored(tmp_path, "light", **settings)
    other = make_stored(tmp_path, "medium", **(settings if both else {}))
    content = compare(tmp_path, poor, other)
    write_batch_report("two", BATCH, [poor, other], tmp_path / "batch", "baseline")
    assert words in said(content)
    assert (f"light: {words}" not in said(content)) is both  # what holds of every run is said once
    for page in ("comparison", "batch"):
        text = (tmp_path / page / "overview.html").read_text()
        assert words in text
        assert "nan" not in re.sub(r"<script.*?</script>|<style.*?</style>|<svg.*?</svg>", "", text, flags=re.DOTALL)


def test_a_table_without_plan_verdicts_or_identity_can_be_compared(tmp_path: Path) -> None:
    light = make_stored(tmp_path, "light", samples=2)
    content = compare(tmp_path, StoredRun("table", light.samples), light)
    assert {row["change"] for row in rows(content, "verdicts-changed")} == {"only light"}
    entries = {row["what"]: row for row in rows(content, "identity")}
    assert entries["Plan"]["before"] == "none declared"
