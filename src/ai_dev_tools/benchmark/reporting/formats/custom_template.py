"""A user's own Jinja2 template gets the same content as every other format.

Names in a template: `report` (the content model), `content` (what report.json holds), `data` (the tables as frames).
Filters: `number(digits)`, `percent(digits)`, `visible`, and `md` for untrusted text in Markdown. Files that end in
.html.j2, .htm.j2 or .xml.j2 are escaped by themselves.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark._util.text import number, percent, visible
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.reporting.data import RunData
from ai_dev_tools.benchmark.reporting.document import Report
from ai_dev_tools.benchmark.reporting.formats import markdown
from ai_dev_tools.benchmark.tasks.templating import render_text, run_isolated

ESCAPED = (".html", ".htm", ".xml", ".svg")
SUFFIXES = (".j2", ".jinja", ".jinja2")


def output_name(template: Path) -> str:
    """`summary.md.j2` -> `summary.md`.

    Raises:
        ConfigurationError: the name does not end in .j2, .jinja or .jinja2, or would replace a file of the report.
    """
    name = template.stem if template.suffix in SUFFIXES else ""
    if not name or name.startswith("report."):
        remedy = "Call it NAME.md.j2, NAME.html.j2 …, with a NAME other than 'report'"
        raise ConfigurationError(f"report template {template} has no usable name", remedy=remedy)
    return name


def render(template: Path, report: Report, content: JsonFields, data: RunData) -> str:
    """The template, filled in within the limits of all templates.

    Raises:
        ConfigurationError: the file cannot be read, a mistake in it (names the line), or it uses too much time or memory.
    """
    environment = SandboxedEnvironment(
        autoescape=Path(output_name(template)).suffix in ESCAPED, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"number": number, "percent": percent, "visible": visible, "md": markdown.escape}
    try:
        source = template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(f"report template {template} cannot be read: {reason}") from None
    values = {"report": report, "content": content, "data": data}
    (found,) = run_isolated(lambda: [render_text(environment, source, values)])
    if isinstance(found, str):
        return found
    if found.kind == "syntax":
        raise ConfigurationError(f"report template {template} {found.message}")
    if found.kind == "limit":
        raise ConfigurationError(f"report template {template} uses too much: {found.message}")
    raise ConfigurationError(f"report template {template}: {found.message}")
