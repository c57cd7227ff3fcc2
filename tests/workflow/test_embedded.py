"""The main job on the real embedded model, from an empty results folder to the report."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.records.sample import Sample, read_sample
from support.workflow_project import Project

ARMS = {"baseline", "tools", "no_context"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Project]:
    project = Project.create(tmp_path_factory.mktemp("clone"), weights)
    project.printed = project.run(tasks="systematic_fix", samples=1)
    yield project
    project.clean_up()


def samples(project: Project) -> list[Sample]:
    found = [read_sample(path) for path in (project.folder / "results/embedded/samples").rglob("[0-9]*.json")]
    assert all(isinstance(sample, Sample) for sample in found)
    return found  # type: ignore[return-value]


def test_every_arm_was_really_asked(project: Project) -> None:
    found = samples(project)
    assert {sample.approach for sample in found} == ARMS
    for sample in found:
        assert sample.status == "completed"
        assert sample.input_tokens and sample.output_tokens, "token counts come from the server"
        assert sample.total_tokens == sample.input_tokens + sample.output_tokens
        assert sample.model_digest and len(sample.model_digest) == 64
        assert sample.endpoint.kind == "embedded"
        assert sample.prompt_cached_tokens == 0, "the nonce defeats prefix caching"
        assert sample.duration_s and sample.time_to_first_token_s and sample.time_to_first_token_s <= sample.duration_s
        parts = [sample.rest_s, sample.load_s, sample.prompt_eval_s, sample.eval_s]
        assert sum(part or 0 for part in parts) == pytest.approx(sample.duration_s, abs=0.02)
        assert sample.resources.server_cpu_s and sample.resources.server_peak_rss_bytes


def test_the_tools_arm_shows_less_and_the_floor_nothing(project: Project) -> None:
    tokens = {sample.approach: sample.input_tokens or 0 for sample in samples(project)}
    assert tokens["no_context"] < tokens["tools"] < tokens["baseline"]


def test_only_the_tools_arm_pays_for_the_tool(project: Project) -> None:
    assert {sample.approach: sample.tool_s > 0 for sample in samples(project)} == {
        "baseline": False,
        "tools": True,
        "no_context": False,
    }


def test_the_plan_was_declared_before_the_first_request(project: Project) -> None:
    (line,) = (project.folder / "results/embedded/plans.jsonl").read_text().splitlines()
    plan = json.loads(line)
    for sample in samples(project):
        assert sample.plan == plan["plan"]
        assert plan["declared_at"] <= sample.started_at


def test_tables_and_report_are_there(project: Project) -> None:
    results = project.folder / "results/embedded"
    rows = list(csv.DictReader((results / "tables/samples.csv").open()))
    assert len(rows) == 3
    for name in ("metrics", "comparisons", "verdicts"):
        assert list(csv.DictReader((results / f"tables/{name}.csv").open()))
    for ending in ("html", "md", "json", "csv", "txt", "ipynb"):
        assert (results / f"report/report.{ending}").stat().st_size > 500
    html = (results / "report/report.html").read_text()
    assert "too small to judge quality" in html
    assert "http://" not in html.split("<body", 1)[0], "the page loads nothing from a network"


def test_a_run_so_small_never_says_saves(project: Project) -> None:
    rows = csv.DictReader((project.folder / "results/embedded/tables/verdicts.csv").open())
    assert {row["verdict"] for row in rows} <= {"inconclusive", "invalid", "costs", ""}


def test_the_console_says_what_happens_and_where_the_report_is(project: Project) -> None:
    assert "systematic_fix on smollm2:135m: asking 3 of 3 requests" in project.printed
    assert "about" in project.printed and "left" in project.printed
    assert "results/embedded/report/report.html" in project.printed


def test_a_second_run_executes_nothing(project: Project) -> None:
    assert "Nothing to be done" in project.run(tasks="systematic_fix", samples=1)
    assert project.wait_until_quiet() == []
