"""The report as text: `report.txt`, and the summary that a run prints at its end."""

from __future__ import annotations

import io
from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark._util.text import interval, is_missing, number, visible
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.records.prices import MONEY
from ai_dev_tools.benchmark.reporting import document
from ai_dev_tools.benchmark.reporting.formats.brief import brief
from ai_dev_tools.benchmark.reporting.formats.markdown import KNOWN, known, known_comparisons

STYLES = {"saves": "bold green", "costs": "bold red", "inconclusive": "bold yellow", "invalid": "bold magenta"}
WIDTH = 110


def summary(content: JsonFields) -> Group:
    """The result of a run in short, from its report.json.

    Verdicts, reasons, figures, and the next command.

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
        lines.append(_line(f"{label}: {value}"))
    short = content.get("in_short") or {}
    lines += [Text(""), *([_line(short["text"]), Text("")] if short else [])]
    lines += [_notice(notice) for notice in content["notices"]]
    lines += [Text("Verdicts:", style="bold"), *_verdicts(content), *_ranking(content), Text("")]
    lines += [Text("📊 Overall Performance:", style="bold"), *_overall(overall)]
    for title, numbers in known_comparisons(content):
        lines += [Text(""), Text(f"🎯 {visible(title, keep_lines=False)}:", style="bold")]
        lines += [Text(f"   {label}: {known(numbers[key])}") for label, key in KNOWN if key in numbers]
    if short:
        lines += [Text(""), _line(f"Next: {short['next']}")]
    if short.get("command"):
        command = visible(short["command"], keep_lines=False)
        lines.append(Text(f"   {command}", no_wrap=True, overflow="ignore"))
    return Group(*lines)


def _line(text: str) -> Text:
    """Foreign text as one line."""
    return Text(visible(text, keep_lines=False))


def _verdicts(content: JsonFields) -> list[RenderableType]:
    """Each verdict with its ratio and its reasons."""
    if not content["verdicts"]:
        return [Text("   none")]
    ratios = {
        (row.get("claim"), row.get("models")): row for row in content.get("verdict_rows", []) if row.get("task") == ALL
    }
    lines: list[RenderableType] = []
    for verdict in content["verdicts"]:
        row = ratios.get((verdict["claim"], verdict["model"]), {})
        ratio = "" if is_missing(row.get("ratio")) else (
            f"ratio {number(row['ratio'], 3)}, 95 % interval {interval(row.get('low'), row.get('high'), 3)}"
        )  # fmt: skip
        lines.append(_verdict(verdict))
        lines += [Padding(_line(said), (0, 0, 0, 6)) for said in (ratio, verdict["reasons"]) if said]
    return lines


def _ranking(content: JsonFields) -> list[RenderableType]:
    """Several tools, one line each; nothing for a single one."""
    rows = (content.get("tables", {}).get("ranking") or {}).get("rows", [])
    if not rows:
        return []
    table = RichTable(box=None, pad_edge=False, show_edge=False)
    paid = [("Money ratio", MONEY)] if any(f"{MONEY}_verdict" in row for row in rows) else []
    ratios = [("Token ratio", "tokens"), ("Time ratio", "time"), *paid, ("Quality", "quality")]
    for name in ("#", "Tool", *(label for label, _ in ratios), "Tool s", "Break-even"):
        table.add_column(name)
    for row in rows:
        tool = row["tool"] + (f" on {row['model']}" if "model" in row else "")
        cells = (
            number(row["place"]), tool, *(_span(row, name) for _, name in ratios),
            number(row["tool_s"], 2), number(row["uses"]),
        )  # fmt: skip
        table.add_row(*(_line(cell) for cell in cells))
    return [Text(""), Text("Ranking of the tools:", style="bold"), Padding(table, (0, 0, 0, 3))]


def _span(row: JsonFields, name: str) -> str:
    """A value with its interval and the sign of its verdict."""
    sign = str(row.get(f"{name}_verdict") or "")[:1]
    return (
        f"{number(row.get(name), 3)} ({interval(row.get(f'{name}_low'), row.get(f'{name}_high'), 3)}) {sign}".rstrip()
    )


def _overall(overall: JsonFields) -> list[Text]:
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


def _verdict(verdict: JsonFields) -> Text:
    text = Text("   ")
    text.append(
        f"{document.SIGNS.get(verdict['word'], '◐')} {verdict['word']}", style=STYLES.get(verdict["word"], "bold")
    )
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
    console.print(renderable, crop=False)  # a command that is broken into lines cannot be copied
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def render(report: document.Report, content: JsonFields) -> str:
    """report.txt: the summary, then the main rows of the tables."""
    parts = [as_text(summary(content))]
    for section in brief(report, ("samples",)).sections:
        shown = [text for block in section.blocks if (text := _block(block))]
        if shown and section.id != "verdicts":
            title = visible(section.title, keep_lines=False)
            parts.append("\n".join([title, "-" * len(title), "", *shown]))
    return "\n".join(parts)


def _block(block: document.Block) -> str:
    if isinstance(block, document.Table):
        return _table(block)
    if isinstance(block, document.Prose):
        return "\n".join(map(_lines, block.paragraphs))
    if isinstance(block, document.Facts | document.Links):
        return _lines(*(f"{term}: {text}" for term, text in block.items))
    if isinstance(block, document.Notice):
        return _lines(block.text)
    return _lines(f"{block.title}: {block.caption}") if isinstance(block, document.Figure) else ""


def _lines(*texts: str) -> str:
    """Each text as a separate line, broken if it is too long."""
    return as_text(Group(*(Text(visible(text, keep_lines=False)) for text in texts)))


def _table(table: document.Table) -> str:
    """A table as wide as it needs to be: a file scrolls, and nothing is cut."""
    title = visible(table.title, keep_lines=False)
    if table.nothing:
        return f"{title}: {visible(table.nothing, keep_lines=False)}\n"
    rich = RichTable(box=None, pad_edge=False, show_edge=False)
    for column in table.shown:
        rich.add_column(
            Text(visible(column.label, keep_lines=False)), justify="right" if column.numeric else "left", no_wrap=True
        )
    shown = [[column.show(row) for column in table.shown] for row in table.rows]
    for cells in shown:
        rich.add_row(*(Text(cell) for cell in cells))
    width = sum(
        max(len(column.label), *(2 * len(cells[n]) for cells in shown)) + 2 for n, column in enumerate(table.shown)
    )
    return f"{title}\n\n{as_text(rich, width=max(WIDTH, width))}"
