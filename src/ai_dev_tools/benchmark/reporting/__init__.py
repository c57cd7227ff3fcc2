"""Reports of a run: make them in every format, or print one on the console.

    from ai_dev_tools.benchmark.reporting import Inputs, render_report, console_summary

The work is done in `build`, `data` and `render`; importing this module is cheap.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.errors import ConfigurationError

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.config.models import OutputFormat
    from ai_dev_tools.benchmark.reporting.build import build_report
    from ai_dev_tools.benchmark.reporting.data import RunData, read_run
    from ai_dev_tools.benchmark.reporting.render import Inputs, render_report

__all__ = [
    "Inputs",
    "OutputFormat",
    "RunData",
    "build_report",
    "console_summary",
    "read_run",
    "render_report",
    "usual_format",
]
_HOMES = {
    "Inputs": "reporting.render",
    "render_report": "reporting.render",
    "build_report": "reporting.build",
    "RunData": "reporting.data",
    "read_run": "reporting.data",
    "OutputFormat": "config",
}


FILES = {"markdown": "report.md", "csv": "report.csv"}


def console_summary(report_folder: Path, output_format: str = "console", colour: bool | None = None) -> str:
    """The result of a finished run as the console shows it, and where the report is.

    Args:
        report_folder: holds report.json and its sisters.
        output_format: json (the known blocks and the verdicts), markdown, csv, or console.
        colour: None: where standard error is a terminal and NO_COLOR is not set.

    Raises:
        ConfigurationError: an unknown format, or no readable report in the folder.
    """
    wanted = _format(output_format)
    content = read_report(report_folder)
    where = f"Report: {report_folder / 'report.html'}"
    if wanted in FILES:
        return f"{(report_folder / FILES[wanted]).read_text(encoding='utf-8')}\n{where}"
    if wanted == "json":
        names = (
            "in_short",
            "benchmark_info",
            "compared",
            "comparison_metrics",
            "approaches",
            "overall_metrics",
            "notices",
            "verdicts",
        )
        return f"{json.dumps({name: content[name] for name in names if name in content}, indent=2, ensure_ascii=False)}\n{where}"
    from ai_dev_tools.benchmark.reporting.formats.console import as_text, summary  # takes 0.6 s

    if colour is None:
        colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"{as_text(summary(content), colour=colour)}\n{where}"


def usual_format(stream: TextIO) -> str:
    """What is printed where no format is chosen: for people in a terminal, for programs elsewhere."""
    return "console" if stream.isatty() else "json"


def read_report(report_folder: Path) -> JsonFields:
    """The content of a folder's report.json.

    Raises:
        ConfigurationError: it is not there or cannot be read.
    """
    path = report_folder / "report.json"
    try:
        content: JsonFields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error})", remedy="Make the report again") from None
    return content


def _format(name: str) -> str:
    from ai_dev_tools.benchmark.config.models import OutputFormat  # takes 0.1 s

    try:
        return str(OutputFormat(str(name)))
    except ValueError:
        raise ConfigurationError(f"unknown output_format '{name}', known: {', '.join(OutputFormat)}") from None


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"ai_dev_tools.benchmark.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
