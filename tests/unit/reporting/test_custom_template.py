"""A user's own template and notebook get the same data as the report, and a mistake in them is one clear line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from ai_dev_tools.benchmark._util.text import number
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.reporting.build import SCHEMA_VERSION
from ai_dev_tools.benchmark.reporting.data import RunData, read_run
from ai_dev_tools.benchmark.reporting.document import Report
from ai_dev_tools.benchmark.reporting.formats import custom_template, structured
from ai_dev_tools.benchmark.reporting.notebook import (
    INJECTED,
    OPENING,
    OpenReport,
    executed,
    only_shows,
    tags,
    with_parameters,
)
from ai_dev_tools.benchmark.reporting.render import converted, execute_notebook, render_report, shown_html
from ai_dev_tools.benchmark.tasks import templating
from support.report_runs import Run
from support.repository import ROOT

EXAMPLES = ROOT / "docs" / "examples"


def test_the_example_template_gets_the_same_data(run: Run, report: Report, tmp_path: Path) -> None:
    data = read_run(run.inputs.tables, run.about, run.inputs.plans)
    text = custom_template.render(EXAMPLES / "summary.md.j2", report, structured.render(report, SCHEMA_VERSION), data)
    assert custom_template.output_name(EXAMPLES / "summary.md.j2") == "summary.md"
    assert "# light: 2 claims" in text
    assert f"token reduction {number(report.comparison_metrics['token_reduction_percent'], 1)} %" in text
    for verdict in report.verdicts:
        assert f"**{verdict.word}**" in text


def test_the_example_notebook_and_a_template_are_made_next_to_the_known_files(run: Run, tmp_path: Path) -> None:
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
        custom_template.render(
            tmp_path / name, report, structured.render(report, SCHEMA_VERSION), RunData(RunAbout(), pd.DataFrame())
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ content.missing|default('x') * 3000000000 }}",
        "{{ 9 ** (9 ** 9) }}",
    ],
)
def test_a_template_that_takes_too_much_is_one_clear_line(
    report: Report, tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templating, "CPU_S", 1)
    (tmp_path / "x.md.j2").write_text(source)
    with pytest.raises(ConfigurationError, match=r"x\.md\.j2 uses too much: it (takes|needs) more than 1 ") as caught:
        custom_template.render(tmp_path / "x.md.j2", report, {}, RunData(RunAbout(), pd.DataFrame()))
    assert "\n" not in str(caught.value)


def test_a_template_writes_no_file(report: Report, tmp_path: Path) -> None:
    (tmp_path / "x.md.j2").write_text("{{ data.to_csv('" + str(tmp_path / "left") + "') }}")
    with pytest.raises(ConfigurationError, match=r"x\.md\.j2: .*File too large"):
        custom_template.render(tmp_path / "x.md.j2", report, {}, pd.DataFrame({"a": [1]}))  # type: ignore[arg-type]


def test_an_html_template_escapes_untrusted_text_by_itself(report: Report, tmp_path: Path) -> None:
    (tmp_path / "x.html.j2").write_text("{{ '<script>' }}")
    assert (
        custom_template.render(tmp_path / "x.html.j2", report, {}, RunData(RunAbout(), pd.DataFrame()))
        == "&lt;script&gt;"
    )


@pytest.mark.parametrize("text", ["no notebook", "{}", "[]", '{"cells": 3, "metadata": {}, "nbformat": 4}'])
def test_a_file_that_is_no_notebook_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.ipynb").write_text(text)
    with pytest.raises(ConfigurationError, match=r"own\.ipynb is not a notebook \(") as caught:
        execute_notebook(tmp_path / "own.ipynb", tmp_path / "out.ipynb", {})
    assert "\n" not in str(caught.value)


def test_a_notebook_that_fails_names_the_cell_and_the_error(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "id": "a", "execution_count": None, "metadata": {}, "outputs": [], "source": "1 / 0"}
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "own.ipynb").write_text(json.dumps(book))
    with pytest.raises(BenchmarkError, match="a cell failed: ZeroDivisionError: division by zero"):
        execute_notebook(tmp_path / "own.ipynb", tmp_path / "out.ipynb", {})


def book(*sources: str) -> Any:
    code = [{"cell_type": "code", "id": f"c{n}", "execution_count": None, "metadata": {}, "outputs": [], "source": s}
            for n, s in enumerate(sources)]  # fmt: skip
    return nbformat.from_dict({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def test_the_packages_own_notebook_needs_no_kernel_and_one_with_code_of_its_own_has_one() -> None:
    assert only_shows(nbformat.read(ROOT / "notebooks/report.ipynb", as_version=4))
    assert only_shows(book('tables = "x"\nabout = {}', OPENING, 'run.show("cost", "errors")'))
    for more in (
        "print(1)",
        "import os",
        'run.show("cost"); print(1)',
        "tables = open('x')",
        "run.show(x)",
        "%matplotlib inline",
    ):
        assert not only_shows(book(OPENING, more)), more


def test_a_section_that_does_not_exist_is_one_clear_line_without_a_kernel(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.ipynb").write_text(nbformat.writes(book(OPENING, 'run.show("no such part")')))
    data = read_run(run.inputs.tables, run.about, run.inputs.plans)
    with pytest.raises(BenchmarkError, match=r"own\.ipynb: a cell failed: .*no such part") as caught:
        execute_notebook(tmp_path / "own.ipynb", tmp_path / "out.ipynb", {}, OpenReport(data))
    assert "\n" not in str(caught.value)


def test_the_shipped_notebook_is_shown_as_nbconvert_would(run: Run) -> None:
    data = read_run(run.inputs.tables, run.about, run.inputs.plans)
    cells, failed = executed(nbformat.read(ROOT / "notebooks/report.ipynb", as_version=4), OpenReport(data), {"a": 1})
    assert not failed
    assert shown_html(cells) == converted(cells)
    note = nbformat.from_dict({"cell_type": "markdown", "id": "n", "metadata": {}, "source": "# My *note*"})
    cells.cells.append(note)
    assert shown_html(cells) is None
    assert "<em>note</em>" in converted(cells)


def test_parameters_are_put_behind_their_cell_once_and_mean_what_was_given() -> None:
    notebook = book("tables = ''", OPENING)
    notebook.cells[0].metadata["tags"] = ["parameters"]
    given = {"tables": 'it\'s "x"\n', "about": {"n": [1, 2.5, None, True], "é": "\\"}}
    for _ in range(2):
        notebook = with_parameters(notebook, given)
    assert [tags(cell) for cell in notebook.cells] == [["parameters"], [INJECTED], []]
    found: dict[str, object] = {}
    exec(notebook.cells[1].source, found)
    assert {name: found[name] for name in given} == given
