"""What the cells of the report notebook call: open the run once, then show one section per cell."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat.v4 as v4

from ai_dev_tools.benchmark.plugins import load_plugins
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.reporting.build import build_report
from ai_dev_tools.benchmark.reporting.data import RunData, read_run
from ai_dev_tools.benchmark.reporting.document import Figure, Report
from ai_dev_tools.benchmark.reporting.figures.pictures import picture
from ai_dev_tools.benchmark.reporting.formats import html

if TYPE_CHECKING:
    from nbformat.notebooknode import NotebookNode

PLUGINS = "load_plugins"
"""What the notebook finds in `about` in addition to the settings: the plugins to load, which are never an archive's."""
INJECTED = "injected-parameters"
"""Tag of the cell that holds the parameters of an execution, as papermill has it."""
OPENING = """\
from ai_dev_tools.benchmark.reporting.notebook import open_report

run = open_report(tables, about, plans, figures)"""
_SHOW = re.compile(r"run\.show\((.*)\)")


class Markup:
    """HTML that a notebook shows."""

    def __init__(self, html: str) -> None:
        self.data = html

    def _repr_html_(self) -> str:
        return self.data

    def __repr__(self) -> str:
        return PLAIN


PLAIN = "<a part of the report>"


class OpenReport:
    """A report being shown; `data` are its tables, `report` its content.

    Args:
        figures: folder to write pictures and their data to, if any.
        report: the content, where it is made already.
    """

    def __init__(self, data: RunData, figures: Path | None = None, report: Report | None = None) -> None:
        self.data = data
        self.report = report or build_report(data)
        self._figures = figures

    def show(self, *names: str) -> Markup:
        """The sections with these ids, for a notebook to display; all of them without any."""
        return Markup(self.markup(*names))

    def markup(self, *names: str) -> str:
        """The same as text."""
        wanted = names or tuple(section.id for section in self.report.sections)
        return "\n".join(self._section(name) for name in wanted)

    def _section(self, name: str) -> str:
        section = self.report.section(name)
        pictures = {b.id: picture(b, self._figures) for b in section.blocks if isinstance(b, Figure)}
        return html.section_html(section, pictures)


def open_report(
    tables: str, about: Mapping[str, object], plans: str | None = None, figures: str | None = None
) -> OpenReport:
    """Read a run's tables.

    Args:
        tables: folder of the run's tables.
        about: what the settings say of the run, as about.json has it.
        plans: the plan ledger, if there is one.
        figures: folder to write pictures and their data to, if any.
    """
    if isinstance(plugins := about.get(PLUGINS), list):
        load_plugins(plugins)
    data = read_run(Path(tables), RunAbout.read(about), Path(plans) if plans else None)
    return OpenReport(data, Path(figures) if figures else None)


def only_shows(notebook: NotebookNode) -> bool:
    """Whether a notebook only opens the report and shows parts of it, as this package's does."""
    sources = [cell.source.strip() for cell in notebook.cells if cell.cell_type == "code"]
    return all(source == OPENING or _is_plain(source) for source in sources)


def _is_plain(source: str) -> bool:
    """Whether a cell shows parts by their names, or only gives values to names, as that of the parameters."""
    try:
        if found := _SHOW.fullmatch(source):
            return all(isinstance(name, str) for name in ast.literal_eval(f"[{found[1]}]"))
        body = ast.parse(source).body
        return all(isinstance(line, ast.Assign) and (ast.literal_eval(line.value), True)[1] for line in body)
    except (SyntaxError, ValueError):
        return False


def with_outputs(notebook: NotebookNode, run: OpenReport) -> NotebookNode:
    """The notebook with what its cells show, without a kernel.

    Args:
        notebook: as nbformat reads it; one that only shows.
    """
    cells = copy.deepcopy(notebook)
    for cell in cells.cells:
        if cell.cell_type == "code":
            cell.outputs = outputs(cell.source, run)
    return cells


def executed(notebook: NotebookNode, run: OpenReport, parameters: Mapping[str, object]) -> tuple[NotebookNode, str]:
    """The notebook as papermill leaves it, made without starting a kernel.

    With a cell of parameters, and with what its cells show.

    Importing papermill, starting a kernel and reading the run again there takes longer than all the rest of a report.

    Args:
        notebook: as nbformat reads it; one that only shows.

    Returns:
        The notebook, and what went wrong in the last cell that was executed, in words; empty if all was well.
    """
    cells = with_parameters(notebook, parameters)
    for count, cell in enumerate((cell for cell in cells.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
        try:
            cell.outputs = outputs(cell.source, run, count)
        except Exception as error:  # what a kernel would show of it
            said = {"ename": type(error).__name__, "evalue": str(error), "traceback": []}
            new_output: Any = v4.new_output
            cell.outputs = [new_output("error", **said)]
            return cells, f"{said['ename']}: {said['evalue']}"
    return cells, ""


def with_parameters(notebook: NotebookNode, parameters: Mapping[str, object]) -> NotebookNode:
    """The notebook with these values behind its cell tagged `parameters`.

    They replace those of an earlier execution.
    """
    cells = copy.deepcopy(notebook)
    kept = [cell for cell in cells.cells if INJECTED not in tags(cell)]
    place = next((number for number, cell in enumerate(kept, start=1) if "parameters" in tags(cell)), 0)
    source = "\n".join(["# Parameters", *(f"{name} = {value!r}" for name, value in parameters.items())])
    new_cell: Any = v4.new_code_cell
    cells.cells = [*kept[:place], new_cell(source, id=INJECTED, metadata={"tags": [INJECTED]}), *kept[place:]]
    return cells


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return list(cell["metadata"].get("tags", []))


def outputs(source: str, run: OpenReport, count: int | None = None) -> list[NotebookNode]:
    """What a cell of a notebook that only shows has for outputs.

    Args:
        count: which of the cells that are executed it is.
    """
    if not (found := _SHOW.fullmatch(source.strip())):
        return []
    html = run.markup(*ast.literal_eval(f"[{found[1]}]"))
    new_output: Any = v4.new_output
    return [new_output("execute_result", {"text/html": html, "text/plain": PLAIN}, execution_count=count)]
