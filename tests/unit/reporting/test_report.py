"""The report says the same in every format, in the words that its users know, and says what is missing."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from ai_dev_tools.benchmark._util.text import number
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.reporting import console_summary
from ai_dev_tools.benchmark.reporting import figures as plots
from ai_dev_tools.benchmark.reporting.build import SCHEMA_VERSION
from ai_dev_tools.benchmark.reporting.document import Column, Report, Section, Table
from ai_dev_tools.benchmark.reporting.formats import badge, console, html, junit, markdown, structured
from ai_dev_tools.benchmark.reporting.render import render_report
from support.report_runs import Run, everything


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
    schema = json.loads(resources.files("ai_dev_tools.benchmark.reporting").joinpath("report.schema.json").read_text())
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
    names = {name: task for task, name in run.about.tasks.items()} | {"all tasks": "(all)"}
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
        if row not in table.main:
            continue  # only in the page and the CSV file
        shown = replace(table, rows=table.main).shown
        line = " | ".join(markdown.escape(c.show(row)) if not c.numeric else c.show(row) for c in shown)
        assert f"| {line} |" in text
        assert re.search(r"\s+".join(re.escape(c.show(row)) for c in shown), page)
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
        (c, row) for table in section.blocks if isinstance(table, Table) for row in table.rows for c in table.shown
    ]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
    assert cells == [column.show(row) for column, row in shown]
    exact = [value for value in re.findall(r'data-v="([^"]*)"', page) if value]
    known = [column.value(row) for column, row in shown if column.numeric and column.value(row) is not None]
    assert [float(value) for value in exact] == [float(value) for value in known]


def test_columns_without_a_value_and_tables_that_know_nothing_are_left_out_for_people(report: Report) -> None:
    columns = (
        Column("task", "Task"),
        Column("mean", "Mean", "number"),
        Column("p99", "p99", "number"),
        Column("note", "Note"),
    )
    row = {"task": "bugs", "mean": 1.0, "p99": None, "note": ""}
    some = Table("some", "Some", "What it says.", columns, [row, row | {"p99": float("nan")}])
    none = Table("none", "None", "What it would say.", columns, [row | {"mean": None}])
    section = Section("all", "All", (some, none))
    small = replace(report, sections=(section,))
    text = console.render(small, structured.render(small, SCHEMA_VERSION))
    for said in (markdown.render(small), html.section_html(section, {}), text):
        assert "Mean" in said
        assert "Nothing is known of 1 row." in said
        assert "p99" not in said
        assert "Note" not in said.replace("Note.", "")
    assert structured.render(small, SCHEMA_VERSION)["tables"]["none"]["rows"], "files for machines have every row"


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
        assert {child.tag for child in cases[verdict.claim]} == {junit.OUTCOMES.get(verdict.word, "system-out")}
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
