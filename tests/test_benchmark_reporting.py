"""The report says the same in every format, in the words that its users know, and says what is missing."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from report_runs import ROOT, Run, fail, make_run

from ai_dev_tools.benchmark import plots
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.report.build import SCHEMA_VERSION, build_report
from ai_dev_tools.benchmark.report.data import RunData, read_run
from ai_dev_tools.benchmark.report.formats import badge, console, html, junit, markdown, own, structured
from ai_dev_tools.benchmark.report.model import Notice, Report, Table, Verdicts
from ai_dev_tools.benchmark.report.notebook import open_report
from ai_dev_tools.benchmark.report.render import execute_notebook, render_report
from ai_dev_tools.benchmark.report.text import number
from ai_dev_tools.benchmark.reporting import console_summary
from ai_dev_tools.benchmark.samples import Sample

EXAMPLES = ROOT / "docs" / "examples"


def report_of(run: Run) -> Report:
    return build_report(read_run(run.inputs.tables, run.about, run.inputs.plans))


def notices(report: Report) -> str:
    return " ".join(block.text for _, block in report.blocks() if isinstance(block, Notice))


def shown(run: Run) -> str:
    """All sections as HTML, figures drawn, without a kernel."""
    return str(open_report(str(run.inputs.tables), run.about, str(run.inputs.plans)).show().data)


def everything(report: Report) -> dict[str, str]:
    """The report in every format that needs no notebook."""
    content = structured.render(report, SCHEMA_VERSION)
    return {
        "json": json.dumps(content, allow_nan=False),
        "md": markdown.render(report),
        "csv": structured.render_csv(report),
        "txt": console.render(report, content),
        "xml": junit.render(report),
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def report(run: Run) -> Report:
    return report_of(run)


@pytest.fixture(scope="module")
def rendered(run: Run) -> Path:
    """The run's report as files, made once through the notebook."""
    render_report(run.inputs, run.folder / "report", run.folder / "figures")
    return run.folder / "report"


# ------------------------------------------------------------------------------------------- what existing users know


def test_the_module_can_be_imported_alone_and_is_cheap() -> None:
    code = "import sys, ai_dev_tools.benchmark.reporting; print('pandas' in sys.modules, 'papermill' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_json_has_the_known_blocks_and_follows_its_published_schema(report: Report) -> None:
    content = structured.render(report, SCHEMA_VERSION)
    schema = json.loads(resources.files("ai_dev_tools.benchmark.report").joinpath("report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema)
    assert schema["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    info = content["benchmark_info"]
    assert (info["profile"], info["total_tasks"], info["sample_size"], info["execution_mode"]) == (
        "light",
        2,
        8,
        "async",
    )
    assert content["overall_metrics"]["success_rate"] == 1
    assert set(content["comparison_metrics"]) == {
        "token_reduction_percent",
        "time_reduction_percent",
        "efficiency_improvement_percent",
    }


def test_markdown_has_the_known_title_header_and_section(report: Report) -> None:
    text = markdown.render(report)
    assert text.startswith("# AI Development Tools Benchmark Report\n\n**Profile:** LIGHT  \n**Generated:** ")
    assert "**Tasks:** 2  \n**Sample Size:** 8  \n" in text
    section = text[text.index("## Baseline vs Tools Comparison") :]
    assert re.search(r"- \*\*Token Reduction:\*\* \d+\.\d%\n- \*\*Time Reduction:\*\* ", section)


@pytest.mark.parametrize(
    "label", ["Success Rate: 100.0%", "Throughput: ", "Efficiency Score: ", "Token Reduction: ", "Time Reduction: "]
)
def test_the_console_has_the_known_lines(report: Report, label: str) -> None:
    content = structured.render(report, SCHEMA_VERSION)
    assert label in console.as_text(console.summary(content))


def test_reduction_is_of_the_geometric_mean_ratio_and_positive_when_cheaper(run: Run, report: Report) -> None:
    table = pd.read_csv(run.inputs.tables / "comparisons.csv")
    row = table[
        (table.approach == "tools")
        & (table.comparison == "tokens")
        & (table.task == "(all)")
        & (table.model == "(all)")
        & (table.stratum == "(all)")
    ].iloc[0]
    assert report.comparison_metrics["token_reduction_percent"] == pytest.approx(100 * (1 - row["value"]))
    assert report.comparison_metrics["token_reduction_percent"] > 30


def test_efficiency_improvement_is_the_relative_change_of_the_score(run: Run, report: Report) -> None:
    table = pd.read_csv(run.inputs.tables / "metrics.csv")
    whole = table[(table.metric == "efficiency_score") & (table.model == "(all)") & (table.task == "(all)")]
    score = whole[whole.profile == "light"].set_index("approach")["value"]
    expected = 100 * (score["tools"] / score["baseline"] - 1)
    assert report.comparison_metrics["efficiency_improvement_percent"] == pytest.approx(expected)


# -------------------------------------------------------------------------------------------------- formats agree


def test_every_printed_number_is_the_tables_number_to_the_last_digit(run: Run, report: Report) -> None:
    metrics = pd.read_csv(run.inputs.tables / "metrics.csv").set_index(
        ["model", "task", "approach", "metric", "profile"]
    )
    names = {name: task for task, name in run.about["tasks"].items()} | {"all tasks": "(all)"}
    table = next(t for t in report.tables if t.id == "metrics")
    text, page = markdown.render(report), console.render(report, structured.render(report, SCHEMA_VERSION))
    compared = 0
    for row in table.rows:
        for column in table.columns[4:]:
            key = (row["model"], names[row["task"]], row["approach"].replace("all", "(all)"), column.key, "light")
            value = metrics.loc[key, "value"]
            scale = 100 if column.kind == "percent" else 1
            printed = column.show(row).removesuffix(" %")
            assert printed == number(scale * value, column.digits)
            compared += printed != "–"
        line = " | ".join(markdown.escape(c.show(row)) if not c.numeric else c.show(row) for c in table.columns)
        assert f"| {line} |" in text
        assert re.search(r"\s+".join(re.escape(c.show(row)) for c in table.columns), page)
    assert compared > 100


def test_latency_percentiles_are_those_of_the_metrics_table_and_empty_where_samples_are_too_few(
    run: Run, report: Report
) -> None:
    metrics = pd.read_csv(run.inputs.tables / "metrics.csv")
    whole = metrics[(metrics.task == "(all)") & (metrics.profile == "light")].set_index(["model", "approach", "metric"])
    names = {"whole request": "duration", "until the first token": "time_to_first_token"}
    rows = next(t for t in report.tables if t.id == "latency").rows
    assert len(rows) == 3 * 2
    for row in rows:
        for key in ("mean", "p50", "p90", "p95", "p99"):
            value = whole.loc[(row["model"], row["approach"], f"{names[row['latency']]}_{key}"), "value"]
            assert row[key] == value or (row[key] is None and pd.isna(value))
        assert row["p90"] is not None  # 16 samples
        assert row["p99"] is None


def test_tables_in_the_page_print_the_same_cells_as_every_other_format(report: Report) -> None:
    section = report.section("metrics")
    page = html.section_html(section, {})
    shown = [
        (c, row) for table in section.blocks if isinstance(table, Table) for row in table.rows for c in table.columns
    ]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
    assert cells == [column.show(row) for column, row in shown]
    exact = [value for value in re.findall(r'data-v="([^"]*)"', page) if value]
    known = [column.value(row) for column, row in shown if column.numeric and column.value(row) is not None]
    assert [float(value) for value in exact] == [float(value) for value in known]


def test_csv_and_json_hold_the_same_numbers_as_the_tables(report: Report) -> None:
    content = structured.render(report, SCHEMA_VERSION)
    rows = list(csv.DictReader(io.StringIO(structured.render_csv(report))))
    assert len(rows) == len(content["tables"]["metrics"]["rows"]) > 5
    for written, known in zip(rows, content["tables"]["metrics"]["rows"], strict=True):
        for key, value in known.items():
            assert written[key] == ("" if value is None else str(value))


def test_verdicts_are_the_same_everywhere(report: Report) -> None:
    assert {v.claim for v in report.verdicts} == {"tokens:tools", "time:tools"}
    texts = everything(report)
    for verdict in report.verdicts:
        assert f"**{verdict.claim}: {verdict.word}**" in texts["md"]
        assert re.search(rf"{verdict.word}.*{verdict.claim} on ", texts["txt"])
        cases = {case.get("name"): case for case in ET.fromstring(texts["xml"]).iter("testcase")}
        assert {child.tag for child in cases[verdict.claim]} == {junit.ELEMENTS.get(verdict.word, "system-out")}
        picture = ET.fromstring(badge.render(verdict))
        assert verdict.word in "".join(picture.itertext())


def test_junit_counts_what_it_holds(report: Report) -> None:
    root = ET.fromstring(junit.render(report))
    found = [child.tag for case in root.iter("testcase") for child in case]
    assert int(root.attrib["tests"]) == len(report.verdicts)
    assert int(root.attrib["failures"]) == found.count("failure")
    assert int(root.attrib["skipped"]) == found.count("skipped")
    assert int(root.attrib["errors"]) == found.count("error")


# ------------------------------------------------------------------------------------------- what stands in a page


def test_every_figure_says_what_to_conclude_has_a_text_for_those_who_cannot_see_it_and_its_data(report: Report) -> None:
    assert {f.plot for f in report.figures} == set(plots.registered()) - {"scaling"}  # one model has one size
    for figure in report.figures:
        assert len(figure.caption) > 60
        assert len(figure.alt) > 40
        assert len(figure.data)


def test_the_page_is_whole_and_asks_nothing_of_a_network(rendered: Path, report: Report) -> None:
    page = (rendered / "report.html").read_text()
    for section in report.sections:
        assert f'<section id="{section.id}"' in page
    assert page.index('id="verdicts"') < page.index('id="comparison"') < page.index('id="provenance"')
    links = re.findall(r'(?:src|href|xlink:href)="([^"]+)"', page)
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "run.show(" not in page  # the notebook's code
    assert page.count("<svg ") == len(report.figures)


def test_every_id_of_the_page_stands_once_and_every_link_into_it_has_a_target(rendered: Path) -> None:
    page = re.sub(r"<script.*?</script>", "", (rendered / "report.html").read_text(), flags=re.DOTALL)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'<a [^>]*href="#([a-z-]+)"', page)) <= set(ids)


def test_all_files_are_made(rendered: Path, run: Run, report: Report) -> None:
    names = {path.name for path in rendered.iterdir()}
    assert {f"report.{end}" for end in ("html", "md", "json", "csv", "txt", "xml", "ipynb")} <= names
    assert len(list((rendered / "badges").glob("*.svg"))) == len(report.verdicts)
    tables = {"verdicts", *(table.id for table in report.tables if table.rows)}
    for end in ("csv", "html"):
        assert {path.stem for path in (rendered / "tables").glob(f"*.{end}")} == tables
    for figure in report.figures:
        for end in ("svg", "png", "csv"):
            assert (run.folder / "figures" / f"{figure.id}.{end}").stat().st_size > 100


def test_figures_of_the_same_data_are_the_same_bytes(report: Report) -> None:
    for figure in report.figures:
        first, second = (plots.svg(plots.draw(figure.plot, figure.data, figure.options)) for _ in range(2))
        assert first == second


@pytest.mark.parametrize("output_format", ["json", "markdown", "csv", "console"])
def test_the_console_prints_the_chosen_format_and_the_reports_place(rendered: Path, output_format: str) -> None:
    text = console_summary(rendered, output_format)
    assert text.endswith(f"Report: {rendered / 'report.html'}")
    assert {"json": '"benchmark_info"', "markdown": "# AI Dev", "csv": "model,task", "console": "Profile: LIGHT"}[
        output_format
    ] in text
    assert "\x1b" not in text


def test_colour_only_where_it_is_wanted(rendered: Path) -> None:
    assert "\x1b[" in console_summary(rendered, "console", colour=True)


def test_an_unknown_format_is_one_clear_line(rendered: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown output_format 'yaml', known: json"):
        console_summary(rendered, "yaml")


def test_a_notebook_that_fails_names_the_cell_and_the_error(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "id": "a", "execution_count": None, "metadata": {}, "outputs": [], "source": "1 / 0"}
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "own.ipynb").write_text(json.dumps(book))
    with pytest.raises(BenchmarkError, match="a cell failed: ZeroDivisionError: division by zero"):
        execute_notebook(tmp_path / "own.ipynb", tmp_path / "out.ipynb", {})


# ------------------------------------------------------------------------------------------- runs that went wrong


def test_the_embedded_models_report_says_that_it_cannot_judge_quality(tmp_path: Path) -> None:
    run = make_run(tmp_path, profile="embedded", models=("smollm2:135m",), samples=3)
    said = everything(report_of(run))
    assert all("too small to judge quality by" in said[name] for name in ("json", "md", "txt"))


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
    assert "Half-finished: 12 of 24 planned samples are there" in notices(report)
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
    (tmp_path / "identity" / "m").mkdir(parents=True)
    entry = {"session": "s1", "hardware": machine, "model": model, "server_on_this_machine": False}
    (tmp_path / "identity" / "m" / "t.json").write_text(json.dumps({"sessions": [entry]}))
    report = report_of(run)
    assert ("Machine", "Abacus 3000, 64 cores, 64.0 GiB, Etch 9, Linux 6") in report.header
    said = markdown.render(report)
    assert "quantisation Q8\\_0, on an accelerator 100 %" in said
    assert "on another machine" in said


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


# ------------------------------------------------------------------------------------------- reports of one's own


def test_the_example_template_gets_the_same_data(run: Run, report: Report, tmp_path: Path) -> None:
    data = read_run(run.inputs.tables, run.about, run.inputs.plans)
    text = own.render(EXAMPLES / "summary.md.j2", report, structured.render(report, SCHEMA_VERSION), data)
    assert own.output_name(EXAMPLES / "summary.md.j2") == "summary.md"
    assert "# light: 2 claims" in text
    assert f"token reduction {number(report.comparison_metrics['token_reduction_percent'], 1)} %" in text
    for verdict in report.verdicts:
        assert f"**{verdict.word}**" in text


def test_the_example_notebook_and_a_template_are_made_beside_the_known_files(run: Run, tmp_path: Path) -> None:
    inputs = replace(run.inputs, notebook=EXAMPLES / "own_report.ipynb", templates=[EXAMPLES / "summary.md.j2"])
    render_report(inputs, tmp_path / "report", tmp_path / "figures")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Our own report" in page
    assert "total_tokens" in page
    assert 'id="verdicts"' in page
    assert "## Baseline vs Tools Comparison" in (tmp_path / "report" / "report.md").read_text()
    assert (tmp_path / "report" / "summary.md").exists()


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("x.md.j2", "{% if %}", r"x\.md\.j2 line 1: "),
        ("x.md.j2", "{{ nothing }}", "'nothing' is undefined"),
        ("x.md.j2", "{{ report.__class__.__mro__ }}", "unsafe"),
        ("x.md", "text", "has no usable name"),
        ("report.html.j2", "text", "has no usable name"),
    ],
)
def test_a_wrong_template_is_one_clear_line(
    report: Report, tmp_path: Path, name: str, source: str, message: str
) -> None:
    (tmp_path / name).write_text(source)
    with pytest.raises(ConfigurationError, match=message) as caught:
        own.render(tmp_path / name, report, structured.render(report, SCHEMA_VERSION), RunData({}, pd.DataFrame()))
    assert "\n" not in str(caught.value)


def test_an_html_template_escapes_foreign_text_by_itself(report: Report, tmp_path: Path) -> None:
    (tmp_path / "x.html.j2").write_text("{{ '<script>' }}")
    assert own.render(tmp_path / "x.html.j2", report, {}, RunData({}, pd.DataFrame())) == "&lt;script&gt;"
