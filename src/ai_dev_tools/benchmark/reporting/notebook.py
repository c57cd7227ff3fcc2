"""What the cells of the report notebook call: open the run once, then show one section per cell."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from IPython.display import HTML

from ai_dev_tools.benchmark.plugins import load_plugins
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.reporting.build import build_report
from ai_dev_tools.benchmark.reporting.data import RunData, read_run
from ai_dev_tools.benchmark.reporting.document import Figure, Report
from ai_dev_tools.benchmark.reporting.figures.pictures import picture
from ai_dev_tools.benchmark.reporting.formats import html

PLUGINS = "load_plugins"
"""What the notebook finds in `about` beside what the settings say: the plugins to load, which are never an archive's."""
_SHOW = re.compile(r"run\.show\((.*)\)")


class OpenReport:
    """A report being shown; `data` are its tables, `report` its content.

    Args:
        figures: folder to write pictures and their data to, if any.
    """

    def __init__(self, data: RunData, figures: Path | None = None) -> None:
        self.data = data
        self.report: Report = build_report(data)
        self._figures = figures

    def show(self, *names: str) -> Any:
        """The sections with these ids as an HTML display object; all of them without any."""
        make_html: Any = HTML
        return make_html(self.markup(*names))

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


def shown(notebook: Any, run: OpenReport) -> Any:
    """The notebook with what its cells show, without a kernel: those that call `run.show`; others have no output.

    Args:
        notebook: as nbformat reads it; the one of this package, whose cells do nothing else.
    """
    import nbformat.v4 as v4

    new_output: Any = v4.new_output
    cells = copy.deepcopy(notebook)
    for cell in cells.cells:
        if cell.cell_type == "code" and (found := _SHOW.fullmatch(cell.source.strip())):
            html = run.markup(*ast.literal_eval(f"[{found[1]}]"))
            plain = "<IPython.core.display.HTML object>"
            cell.outputs = [new_output("execute_result", {"text/html": html, "text/plain": plain})]
    return cells
