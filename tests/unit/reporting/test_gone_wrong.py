"""Runs that failed, are half finished or hold next to nothing still have a report, and it says so first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.benchmark.reporting.build import SCHEMA_VERSION
from ai_dev_tools.benchmark.reporting.document import Verdicts
from ai_dev_tools.benchmark.reporting.formats import console, html, junit, markdown, structured
from ai_dev_tools.benchmark.reporting.render import render_report
from support.report_runs import everything, fail, make_run, notices, report_of, shown


def test_the_embedded_models_report_says_that_it_cannot_judge_quality(tmp_path: Path) -> None:
    run = make_run(tmp_path, profile="embedded", models=("smollm2:135m",), samples=3)
    said = everything(report_of(run))
    assert all("too small to judge quality" in said[name] for name in ("json", "md", "txt"))


def test_a_run_in_which_everything_failed_says_so_first(tmp_path: Path) -> None:
    run = make_run(tmp_path, samples=3, change=lambda s: fail(s, message="connection refused"))
    report = report_of(run)
    assert "All 18 requests failed: connection (18)" in notices(report)
    assert "All 18 requests failed" in console.as_text(console.summary(structured.render(report, SCHEMA_VERSION)))
    assert report.overall_metrics["success_rate"] == 0
    assert report.comparison_metrics["token_reduction_percent"] is None
    assert not [v for v in report.verdicts if v.word in ("saves", "costs")]
    render_report(run.inputs, tmp_path / "report", tmp_path / "figures")
    assert "All 18 requests failed" in (tmp_path / "report" / "report.html").read_text()


def test_a_half_finished_run_says_how_much_is_missing(tmp_path: Path) -> None:
    def only_first_half(sample: Sample) -> Sample | None:
        return sample if sample.task == "safety_assessment" else None

    report = report_of(make_run(tmp_path, samples=4, change=only_first_half))
    assert "Unfinished: 12 of 24 planned samples are there" in notices(report)
    assert "No sample of Repo Analysis" in notices(report)
    assert not [v for v in report.verdicts if v.word in ("saves", "costs")]


def test_a_run_of_one_approach_says_that_nothing_can_be_compared(tmp_path: Path) -> None:
    report = report_of(make_run(tmp_path, approaches=("baseline",), samples=3))
    assert "Single approach: only baseline was run" in notices(report)
    empty = next(block.empty for _, block in report.blocks() if isinstance(block, Verdicts))
    assert empty.startswith("No verdict: only the approach baseline was run")
    assert "only the approach baseline" in junit.render(report)


def test_a_run_of_one_sample_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path, approaches=("baseline",), tasks=("repo_analysis",), samples=1)
    report = report_of(run)
    assert "Single sample: the numbers below describe one request" in notices(report)
    assert "describe one request" in shown(run)


def test_a_run_without_any_sample_still_has_a_report(tmp_path: Path) -> None:
    run = make_run(tmp_path, samples=2, change=lambda sample: None)
    report = report_of(run)
    assert "no samples yet" in notices(report)
    assert "no samples yet" in shown(run)


def test_missing_tables_are_tolerated(tmp_path: Path) -> None:
    run = make_run(tmp_path, samples=2)
    for name in ("metrics", "comparisons", "verdicts", "checks", "skipped"):
        (run.inputs.tables / f"{name}.csv").unlink()
    (run.inputs.tables / "validity.parquet").unlink()
    assert everything(report_of(run))["md"]


def test_the_machine_that_measured_is_named_first_and_not_the_one_that_rendered(tmp_path: Path) -> None:
    run = make_run(tmp_path, samples=2)
    assert "not recorded" in everything(report_of(run))["md"]
    machine = {"cpu": "Abacus 3000", "cores": 64, "ram_bytes": 2**36, "gpus": [{"name": "Etch 9"}], "os": "Linux 6"}
    model = {"tag": "llama3.2:1b", "quantization": "Q8_0", "offload_share": 1.0}
    block = tmp_path / "identity" / "llama3.2-1b" / "repo_analysis.json"
    block.parent.mkdir(parents=True)
    entry = {"session": "s1", "hardware": machine, "model": model, "server_on_this_machine": False}
    entry["slots"] = [{"url": "http://gpu.example:11434", "at_once": 1, "wanted": 4}]
    block.write_text(json.dumps({"sessions": [entry]}))
    report = report_of(run)
    assert ("Machine", "Abacus 3000, 64 cores, 64.0 GiB, Etch 9, Linux 6") in report.header
    said = markdown.render(report)
    assert "quantisation Q8\\_0, on an accelerator 100 %" in said
    assert "on another machine" in said
    assert "1 instead of 4, as many as http" in said


def test_failed_and_timed_out_requests_are_listed_and_counted(tmp_path: Path) -> None:
    def sometimes(sample: Sample) -> Sample:
        return fail(sample, "timeout", "timeout", "took longer than 30 s") if sample.sample == 1 else sample

    report = report_of(make_run(tmp_path, samples=6, change=sometimes))
    rows = next(t for t in report.tables if t.id == "errors").rows
    assert sum(row["count"] for row in rows) == 6
    assert {row["error_class"] for row in rows} == {"timeout"}
    assert {row["message"] for row in rows} == {"took longer than 30 s"}
    assert {row["rerun"] for row in rows} == {"keeps it"}
    assert "6 of 36 requests were not completed (16.7 %)" in notices(report)


def test_an_error_shows_its_most_frequent_message_shortened_and_leads_to_its_samples(tmp_path: Path) -> None:
    def fails(sample: Sample) -> Sample:
        if sample.approach != "tools":
            return sample
        return fail(sample, message="refused <b>\x1b[31m" + "y" * 5000 if sample.sample else "something else")

    run = make_run(tmp_path, tasks=("repo_analysis",), samples=4, change=fails)
    report = report_of(run)
    (row,) = next(t for t in report.tables if t.id == "errors").rows
    assert row["message"].startswith("refused <b>␛[31myyy")
    assert row["message"].endswith("more characters) (and 1 other message)")
    assert len(row["message"]) < 300
    assert row["rerun"] == "asks again"
    page = html.section_html(report.section("errors"), {})
    assert "refused &lt;b&gt;␛[31m" in page
    wanted = "#filter=status=failed&amp;model=llama3.2%3A1b&amp;task=repo_analysis&amp;approach=tools"
    assert f'<a href="{wanted}">4</a>' in page


def test_without_block_files_errors_are_listed_without_their_messages(tmp_path: Path) -> None:
    run = make_run(tmp_path, samples=2, change=lambda s: fail(s, message="refused"))
    shutil.rmtree(tmp_path / "blocks")
    rows = next(t for t in report_of(run).tables if t.id == "errors").rows
    assert {row["message"] for row in rows} == {""}
    assert sum(row["count"] for row in rows) == 12


def test_a_damaged_block_file_is_one_clear_line(tmp_path: Path) -> None:
    run = make_run(tmp_path, tasks=("repo_analysis",), samples=1)
    run.inputs.blocks[0].write_bytes(b'{"status": 1}\n')
    with pytest.raises(ConfigurationError, match=r"repo_analysis\.jsonl cannot be read"):
        report_of(run)
