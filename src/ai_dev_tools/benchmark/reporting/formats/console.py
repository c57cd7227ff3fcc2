"""The report as text: `report.txt`, and the summary that a run prints at its end."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from ai_dev_tools.benchmark._util.text import is_missing, number, visible
from ai_dev_tools.benchmark.reporting import document as model
from ai_dev_tools.benchmark.reporting.formats.markdown import KNOWN, known, known_comparisons

STYLES = {"saves": "bold green", "costs": "bold red", "inconclusive": "bold yellow", "invalid": "bold magenta"}
WIDTH = 110


def summary(content: Mapping[str, Any]) -> Group:
    """The short result of a run, from the content of its report.json.

    Args:
        content: as `formats.structured.render` gives it.
    """
    info, overall = content["benchmark_info"], content["overall_metrics"]
    lines: list[RenderableType] = [
        Text(f"🚀 {content['title']}", style="bold"),
        Text("=" * (len(content["title"]) + 3), style="dim"),
    ]
    for label, value in (
        ("Profile", str(info["profile"]).upper()),
        ("Tasks", info["total_tasks"]),
        ("Sample Size", info["sample_size"]),
    ):
        lines.append(Text(f"{label}: {visible(str(value), keep_lines=False)}"))
    lines += [Text(""), *[_notice(notice) for notice in content["notices"]]]
    lines += [Text("📊 Overall Performance:", style="bold"), *_overall(overall)]
    for title, numbers in known_comparisons(content):
        lines += [Text(""), Text(f"🎯 {visible(title, keep_lines=False)}:", style="bold")]
        lines += [Text(f"   {label}: {known(numbers[key])}") for label, key in KNOWN]
    lines += [Text(""), Text("Verdicts:", style="bold")]
    lines += [_verdict(verdict) for verdict in content["verdicts"]] or [Text("   none")]
    return Group(*lines)


def _overall(overall: Mapping[str, Any]) -> list[Text]:
    def shown(key: str, digits: int, scale: float = 1.0, unit: str = "") -> str:
        value = overall.get(key)
        return "not available" if is_missing(value) else number(scale * float(value or 0), digits) + unit

    return [
        Text(f"   Success Rate: {shown('success_rate', 1, 100, '%')}"),
        Text(f"   Throughput: {shown('throughput', 2, 1, ' tasks/sec')}"),
        Text(f"   Efficiency Score: {shown('efficiency_score', 2)}"),
    ]


def _notice(notice: Mapping[str, str]) -> Text:
    style = {"info": "cyan", "warning": "yellow", "error": "bold red"}[notice["level"]]
    return Text(f"! {visible(notice['text'], keep_lines=False)}\n", style=style)


def _verdict(verdict: Mapping[str, Any]) -> Text:
    text = Text("   ")
    text.append(f"{model.SIGNS.get(verdict['word'], '◐')} {verdict['word']}", style=STYLES.get(verdict["word"], "bold"))
    label = f" ({verdict['label']})" if verdict["label"] not in ("", "planned") else ""
    text.append(visible(f"{label}  {verdict['claim']} on {verdict['model']}: {verdict['headline']}", keep_lines=False))
    return text


def as_text(renderable: RenderableType, colour: bool = False, width: int = WIDTH) -> str:
    """What a terminal would show; plain unless `colour`."""
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        force_terminal=colour,
        width=width,
        no_color=not colour,
        color_system="standard" if colour else None,
        emoji=False,
        markup=False,
        highlight=False,
        legacy_windows=False,
    )
    console.print(renderable)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def render(report: model.Report, content: Mapping[str, Any]) -> str:
    """report.txt: the summary, then the tables."""
    parts = [as_text(summary(content))]
    for section in report.sections:
        shown = [text for block in section.blocks if (text := _block(block))]
        if shown and section.id not in ("verdicts", "samples"):
            title = visible(section.title, keep_lines=False)
            parts.append("\n".join([title, "-" * len(title), "", *shown]))
    return "\n".join(parts)


def _block(block: model.Block) -> str:
    if isinstance(block, model.Table):
        return _table(block)
    if isinstance(block, model.Prose):
        return "\n".join(map(_lines, block.paragraphs))
    if isinstance(block, model.Facts | model.Links):
        return _lines(*(f"{term}: {text}" for term, text in block.items))
    if isinstance(block, model.Notice):
        return _lines(block.text)
    return _lines(f"{block.title}: {block.caption}") if isinstance(block, model.Figure) else ""


def _lines(*texts: str) -> str:
    """Each text as a line of its own, broken where it is too long."""
    return as_text(Group(*(Text(visible(text, keep_lines=False)) for text in texts)))


def _table(table: model.Table) -> str:
    """A table as wide as it needs to be: a file scrolls, and nothing is cut."""
    title = visible(table.title, keep_lines=False)
    if not table.rows:
        return f"{title}: {visible(table.empty, keep_lines=False)}\n"
    rich = RichTable(box=None, pad_edge=False, show_edge=False)
    for column in table.columns:
        rich.add_column(
            Text(visible(column.label, keep_lines=False)), justify="right" if column.numeric else "left", no_wrap=True
        )
    shown = [[column.show(row) for column in table.columns] for row in table.rows]
    for cells in shown:
        rich.add_row(*(Text(cell) for cell in cells))
    width = sum(
        max(len(column.label), *(2 * len(cells[n]) for cells in shown)) + 2 for n, column in enumerate(table.columns)
    )
    return f"{title}\n\n{as_text(rich, width=max(WIDTH, width))}"
