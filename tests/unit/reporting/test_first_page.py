"""The first page: a ranking of the tools, what is folded away, and figures; nothing stands in the way."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ai_dev_tools.benchmark.records.sample import Sample
from ai_dev_tools.benchmark.reporting import figures as plots
from ai_dev_tools.benchmark.reporting.document import Report
from ai_dev_tools.benchmark.reporting.formats import structured
from support.report_runs import Run, everything, in_short, make_run, report_of, shown

SIX = (
    "safety_assessment",
    "pattern_detection",
    "context_analysis",
    "tensorflow_context",
    "repo_analysis",
    "systematic_fix",
)


def of_its_own_project(sample: Sample) -> Sample:
    """No two tasks ask about the same project."""
    sample.cluster = f"{sample.task}/{sample.case}"
    return sample


# ------------------------------------------------------------------------------------------------------------ ranking

TOOLS = {"tools-ctags": 0.9, "tools-repomix": 0.4, "tools-lizard": 1.5}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three tools: one saves a lot, one a little, one costs."""
    arms = ("baseline", *TOOLS, "no_context")
    return make_run(
        tmp_path_factory.mktemp("three"), tasks=("repo_analysis",), approaches=arms, samples=30, ratios=TOOLS
    )


def test_tools_are_ranked_and_every_figure_is_the_one_of_its_tool(three: Run) -> None:
    report = report_of(three)
    table = next(table for table in report.tables if table.id == "ranking")
    assert [row["tool"] for row in table.rows] == ["repomix", "ctags", "lizard"]
    assert [row["place"] for row in table.rows] == [1, 2, 3]
    verdicts = pd.read_csv(three.inputs.tables / "verdicts.csv")
    paid = pd.read_csv(three.inputs.tables / "break_even.csv")
    compared = pd.read_csv(three.inputs.tables / "comparisons.csv")
    for row in table.rows:
        arm = f"tools-{row['tool']}"
        for thing in ("tokens", "time"):
            (judged,) = verdicts[(verdicts.claim == f"{thing}:{arm}") & (verdicts.task == "(all)")].to_dict("records")
            assert (row[thing], row[f"{thing}_low"], row[f"{thing}_high"]) == pytest.approx(
                (judged["ratio"], judged["low"], judged["high"])
            )
            assert str(row[f"{thing}_verdict"]).endswith(judged["verdict"])
        chosen = (compared.approach == arm) & (compared.comparison == "quality") & (compared.task == "(all)")
        (quality,) = compared[chosen & (compared.model == "llama3.2:1b") & (compared.stratum == "(all)")].to_dict(
            "records"
        )
        assert row["quality"] == pytest.approx(quality["value"])
        (cost,) = paid[(paid.approach == arm) & (paid.task == "(all)") & (paid.model == "llama3.2:1b")].to_dict(
            "records"
        )
        assert row["tool_s"] == pytest.approx(cost["tool_s"])


def test_the_ranking_stands_before_the_cards_and_in_every_text(three: Run) -> None:
    report = report_of(three)
    names = [type(block).__name__ for block in report.section("verdicts").blocks]
    assert names.index("InShort") < names.index("Table") < names.index("Verdicts")
    texts = everything(report)
    for name in ("md", "txt", "json"):
        assert "Ranking of the tools" in texts[name]
    for tool in ("ctags", "repomix", "lizard"):
        assert tool in in_short(report).text
    assert json.loads(texts["json"])["tables"]["ranking"]["rows"][0]["tool"] == "repomix"


def test_of_one_tool_there_is_no_ranking(tmp_path: Path) -> None:
    report = report_of(make_run(tmp_path, tasks=("repo_analysis",), samples=3))
    assert not [table for table in report.tables if table.id == "ranking"]
    assert "ranking" not in in_short(report).text


# ------------------------------------------------------------------------------------------------- folding, and sizes


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run like the default one: six tasks, three arms, three samples."""
    return make_run(
        tmp_path_factory.mktemp("usual"),
        tasks=SIX,
        samples=3,
        models=("smollm2:135m",),
        profile="embedded",
        change=of_its_own_project,
    )


@pytest.fixture(scope="module")
def usual_report(usual: Run) -> Report:
    return report_of(usual)


def test_rows_that_settle_nothing_are_folded_away_and_none_is_lost(usual: Run, usual_report: Report) -> None:
    page = shown(usual)
    block = page[page.index('id="table-comparisons"') :]
    block = block[: block.index("</table>")]
    quiet = re.findall(r'<tr class="quiet">(.*?)</tr>', block, re.DOTALL)
    loud = re.findall(r"<tr>(<td.*?)</tr>", block, re.DOTALL)
    assert f"also show the {len(quiet)} rows that settle nothing" in block
    assert all("describes these files only" in row or 'data-v=""' in row or "∞" in row for row in quiet)
    assert not any("describes these files only" in row or "∞" in row for row in loud)
    table = next(table for table in usual_report.tables if table.id == "comparisons")
    assert len(quiet) > 50
    assert (
        len(quiet) + len(loud) == len(table.rows) == structured.csv_tables(usual_report)["comparisons"].count("\n") - 1
    )


def test_where_no_row_settles_anything_the_page_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path, tasks=("repo_analysis",), samples=2)
    table = next(table for table in report_of(run).tables if table.id == "comparisons")
    assert len(table.rows) == table.quiet > 5
    assert "No row of this table settles anything yet." in shown(run)


def test_the_texts_of_a_usual_run_are_short_and_name_the_files_with_the_rest(usual_report: Report) -> None:
    texts = everything(usual_report)
    assert len(texts["md"].encode()) <= 12_000
    assert len(texts["txt"].encode()) <= 20_000
    files = set(structured.csv_tables(usual_report)) - {"verdicts"}
    for name in ("md", "txt"):
        told = " ".join(texts[name].replace("\\", "").split())
        assert set(re.findall(r"tables/([a-z-]+)\.csv", told)) <= files
        for table in usual_report.tables:
            if len(table.main) < len(table.rows):
                assert f"tables/{table.id}.csv" in told, f"{table.id} in report.{name}"


# ------------------------------------------------------------------------------------------------------------ figures

HOSTILE = '</title><script>alert(1)</script><g id="tip-0"> & "x" \x1b[31m \u202e #1c2024 url(#a) '


def test_every_figure_has_values_under_the_pointer_and_untrusted_names_in_them_are_text(usual: Run) -> None:
    about = replace(usual.about, tasks=dict.fromkeys(SIX, HOSTILE) | {SIX[0]: "Plain"})
    report = report_of(Run(usual.folder, about))
    for figure in report.figures:
        picture = plots.svg(plots.draw(figure.plot, figure.data, figure.options))
        inside = plots.inline_svg(picture, figure.id, "title", "alt")
        for text in (picture[picture.index("<svg") :], f"{inside}"):
            root = ET.fromstring(text)
            titles = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]
            assert len(titles) > 3, figure.id
            assert all(any(sign.isdigit() for sign in title) for title in titles), figure.id
            assert not [e for e in root.iter() if e.tag.endswith("script")]
            assert not {"\x1b", "\u202e"} & set(text)
            assert "var(--ink" not in "".join(titles)
    assert any("url(#a)" in title for title in titles) or figure.id == "cost"
