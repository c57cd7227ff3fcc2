"""What a model, a server or a file name says is shown as text: it cannot run, break a layout, or forge a verdict."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ai_dev_tools.benchmark._util.text import visible
from ai_dev_tools.benchmark.reporting.browser import MOST_TEXT, browser_data, load_prompts, read_blocks
from ai_dev_tools.benchmark.reporting.document import (
    Column,
    Facts,
    Figure,
    InShort,
    Links,
    Notice,
    Prose,
    Report,
    Section,
    Table,
    Verdict,
    Verdicts,
)
from ai_dev_tools.benchmark.reporting.formats import badge, console, html, junit, markdown, structured
from ai_dev_tools.benchmark.reporting.sections.ranking import COLUMNS as RANKED
from support.report_runs import TRUTH, fail, make_run

NASTY = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!--",
    "-->",
    "]]>",
    "&lt;b&gt;",
    "\x00",
    "\x1b[2J\x1b[31m",
    "\x1b]8;;http://evil\x07click\x1b]8;;\x07",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\u200b",
    "\u2028",
    "\u2029",
    "\ud800",
    "\ufffe",
    "| forged | row |\n| --- | --- |",
    "\n\n# forged heading\n",
    "\n- forged: item",
    "[link](http://evil)",
    "![image](http://evil/x.png)",
    "**saves**",
    "`code`",
    "```",
    "@everyone",
    "https://evil.example",
    "www.evil.example",
    "$x^2$",
    "=HYPERLINK('http://evil')",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r\n",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "[bold red]x[/]",
    ":smile:",
    '"; DROP',
    "'",
    "\\",
    "🦄" * 3,
    "x" * 500,
]
hostile = (
    st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=12)), min_size=1, max_size=6).map("".join).filter(bool)
)
often = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def all_nasty(test: Any) -> Any:
    for text in NASTY:
        test = example(text)(test)
    return test


def report_with(text: str) -> Report:
    """A report in which every foreign place holds `text`."""
    verdict = Verdict(text, "inconclusive", text, text, text, "no estimate", text, text, text, (("ratio", "–"),))
    table = Table(
        "metrics",
        "Errors",
        "What failed.",
        (Column("a", "Class"), Column("b", "N", "number")),
        [{"a": text, "b": 1}, {"a": text, "b": 2}],
    )
    ranked = Table("ranking", "Ranking", "", RANKED, [{"place": 1, "tool": text, "tokens_verdict": text}] * 2)
    empty = Table("none", f"Of {text}", "", (Column("a", text),), [], f"No {text}.")
    figure = Figure("f", f"About {text}", f"On {text}.", f"A plot of {text}.", "dots", pd.DataFrame())
    said = (Prose((f"It says {text}",)), Facts((("Said", text), (f"Of {text}", "said"))), Links(((f"To {text}", "x"),)))
    sections = (
        Section(
            "verdicts",
            "Verdicts",
            (InShort(text, text, f"snakemake {text}"), Notice("warning", text), ranked, Verdicts((verdict,), "")),
        ),
        Section("errors", "Errors", (table, empty)),
        Section("said", f"What {text} is", (figure, *said)),
    )
    info = {"profile": text, "total_tasks": 1, "sample_size": 1, "execution_mode": "async"}
    known = {"token_reduction_percent": None, "time_reduction_percent": None, "efficiency_improvement_percent": None}
    overall = {"success_rate": None, "throughput": None, "efficiency_score": None}
    return Report("Report", (("Profile", text),), sections, info, known, overall, {})


class Page(HTMLParser):
    """Collects what a browser would take for elements and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.comments: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def steers(text: str) -> list[str]:
    """Characters that act unseen: controls, direction marks, invisible formats, halves of surrogate pairs."""
    return [c for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


def fragment(report: Report) -> str:
    return "".join(html.section_html(section, {"f": ""}) for section in report.sections)


@often
@given(hostile)
@all_nasty
def test_html_has_the_same_elements_whatever_is_said(text: str) -> None:
    plain, page = Page(fragment(report_with("harmless"))), Page(fragment(report_with(text)))
    # a long cell is laid out by another class; the elements and attributes stay the same
    assert page.tags == plain.tags
    assert page.attributes == plain.attributes
    assert page.comments == []
    assert not steers(fragment(report_with(text)))


@often
@given(hostile)
@all_nasty
def test_data_inside_a_page_cannot_leave_its_script_and_is_unchanged(text: str) -> None:
    script = html.script_json({text: [text]})
    assert not set("<>&\u2028\u2029") & set(script)
    assert json.loads(script) == {text: [text]}


@often
@given(hostile)
@all_nasty
def test_markdown_keeps_its_shape_whatever_is_said(text: str) -> None:
    def shape(said: str) -> list[tuple[str, str]]:
        parser = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").enable("strikethrough")
        tokens = parser.parse(markdown.render(report_with(said)))
        inner = [child for token in tokens for child in token.children or []]
        return [(t.type, t.tag) for t in tokens] + [
            (t.type, t.tag) for t in inner if t.type not in ("text", "text_special")
        ]

    assert shape(text) == shape("harmless")
    assert not steers(markdown.render(report_with(text)))


def test_markdown_makes_no_link_of_an_address() -> None:
    text = "see https://evil.example and WWW.evil.example"
    shown = markdown.escape(text)
    assert "https:" not in shown
    assert "www." not in shown.lower()
    assert MarkdownIt().render(shown) == f"<p>{text}</p>\n"


@often
@given(hostile)
@all_nasty
def test_csv_has_the_same_rows_and_no_formula_whatever_is_said(text: str) -> None:
    rows = list(csv.reader(io.StringIO(structured.render_csv(report_with(text)), newline="")))
    assert [len(row) for row in rows] == [2, 2, 2]
    assert [row[1] for row in rows] == ["b", "1", "2"]
    for row in rows:
        assert not row[0].lstrip().startswith(("=", "+", "-", "@"))


@often
@given(hostile)
@all_nasty
def test_the_console_shows_no_control_sequence_and_no_forged_line(text: str) -> None:
    report = report_with(text)
    content = structured.render(report, 1)
    for said in (console.render(report, content), console.as_text(console.summary(content))):
        assert not steers(said)
    lines = console.as_text(console.summary(content), width=100_000).splitlines()
    calm = structured.render(report_with("harmless"), 1)
    assert len(lines) == len(console.as_text(console.summary(calm), width=100_000).splitlines())


@often
@given(hostile)
@all_nasty
def test_junit_stays_xml_with_one_case_per_verdict(text: str) -> None:
    root = ET.fromstring(junit.render(report_with(text)))
    assert len(list(root.iter("testcase"))) == 1
    assert {element.tag for element in root.iter()} == {"testsuites", "testsuite", "testcase", "skipped"}


@often
@given(hostile)
@all_nasty
def test_a_badge_stays_a_picture(text: str) -> None:
    verdict = report_with(text).verdicts[0]
    picture = ET.fromstring(badge.render(verdict))
    assert {element.tag.split("}")[-1] for element in picture.iter()} == {"svg", "title", "rect", "path", "g", "text"}
    names = [name for name, _ in badge.file_names([verdict, verdict])]
    assert len({name.lower() for name in names}) == 2, "two verdicts never share a picture"
    assert all("/" not in name and not name.startswith(".") for name in names)


@often
@given(hostile)
def test_json_can_be_read_again_whatever_is_said(text: str) -> None:
    content = structured.render(report_with(text), 1)
    assert json.loads(json.dumps(content, allow_nan=False))["verdicts"][0]["sentence"] == text


@often
@given(st.text())
def test_making_text_visible_leaves_nothing_that_acts_and_keeps_ordinary_text(text: str) -> None:
    assert not steers(visible(text))
    assert visible(visible(text)) == visible(text)
    if text.isprintable():
        assert visible(text) == text


@pytest.mark.parametrize(
    "response", ["<script>alert(1)</script>" * 3, "\x00\x1b[31m", "y" * 1_000_000, "\u202e" * 10, ""]
)
def test_the_browser_carries_a_hostile_answer_as_bounded_text(tmp_path: Path, response: str) -> None:
    run = make_run(tmp_path, tasks=("repo_analysis",), samples=1, response=response, tables=False)
    data = browser_data(read_blocks(run.inputs.blocks), load_prompts(run.inputs.prompts))
    text = html.script_json(data.parts)
    assert "<" not in text
    assert len(text) < 3 * (MOST_TEXT + 10_000)
    one = data.parts["samples-0"][0]
    assert not steers(one["response"])
    assert [field[3] for field in one["fields"]] == [0.0, 0.0]


def test_the_browser_shows_prompt_truth_fields_and_error_of_each_sample(tmp_path: Path) -> None:
    def one_fails(sample: Any) -> Any:
        return fail(sample, message="refused <b>") if sample.sample == 1 else sample

    run = make_run(tmp_path, tasks=("repo_analysis",), samples=2, change=one_fails, tables=False)
    data = browser_data(read_blocks(run.inputs.blocks), load_prompts(run.inputs.prompts))
    index = data.parts["index"]
    assert data.samples == 6
    for row in index["rows"]:
        one = data.parts[f"samples-{row[10]}"][row[11]]
        approach, case = index["words"][row[3]], index["words"][row[2]]
        part, place = one["prompt"]
        assert data.parts[f"prompts-{part}"][place].startswith(f"## Context\n\n{approach} of repo_analysis/{case}")
        assert json.loads(one["truth"]) == TRUTH
        assert (one["error"] == "connection: refused <b>") == (row[5] == 1)
        if one["fields"]:
            weights = [field[2] for field in one["fields"]]
            assert sum(f[2] * f[3] for f in one["fields"]) / sum(weights) == pytest.approx(row[7])
