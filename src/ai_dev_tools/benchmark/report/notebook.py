"""What the cells of the report notebook call: open the run once, then show one section per cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from IPython.display import HTML

from ai_dev_tools.benchmark.report.build import build_report
from ai_dev_tools.benchmark.report.data import read_run
from ai_dev_tools.benchmark.report.formats import html
from ai_dev_tools.benchmark.report.model import Figure, Report
from ai_dev_tools.benchmark.report.pictures import picture


class OpenReport:
    """A report being shown; `data` are its tables, `report` its content.

    Args:
        tables: folder of the run's tables.
        about: what the settings say of the run.
        plans: the plan ledger, if there is one.
        figures: folder to write pictures and their data to, if any.
    """

    def __init__(
        self, tables: str, about: Mapping[str, Any], plans: str | None = None, figures: str | None = None
    ) -> None:
        self.data = read_run(Path(tables), about, Path(plans) if plans else None)
        self.report: Report = build_report(self.data)
        self._figures = Path(figures) if figures else None

    def show(self, *names: str) -> Any:
        """The sections with these ids as an HTML display object; all of them without any."""
        wanted = names or tuple(section.id for section in self.report.sections)
        make_html: Any = HTML
        return make_html("\n".join(self._section(name) for name in wanted))

    def _section(self, name: str) -> str:
        section = self.report.section(name)
        pictures = {b.id: picture(b, self._figures) for b in section.blocks if isinstance(b, Figure)}
        return html.section_html(section, pictures)


def open_report(
    tables: str, about: Mapping[str, Any], plans: str | None = None, figures: str | None = None
) -> OpenReport:
    """Read a run's tables; see `OpenReport`."""
    return OpenReport(tables, about, plans, figures)
