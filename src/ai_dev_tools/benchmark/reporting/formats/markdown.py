"""The report as Markdown that renders well on a forge.

Foreign text can forge neither markup nor a table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark._util.text import is_missing, number, plural, visible
from ai_dev_tools.benchmark.reporting import document
from ai_dev_tools.benchmark.reporting.data import is_claimed
from ai_dev_tools.benchmark.reporting.formats.brief import brief

SIGNS = {"saves": "✅", "costs": "🔺", "inconclusive": "◐", "invalid": "❌"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~@$:^=-])")
_WWW = re.compile(r"(?i)\b(www)\.")
MOST_ROWS = 200
USUAL = "Baseline vs Tools"
LEFT_OUT = ("samples", "distributions", "costs", "latency", "efficiency", "control-arms")
"""Sections and tables of a report that are not in its Markdown, which should be read in a minute."""
KNOWN = (
    ("Token Reduction", "token_reduction_percent"),
    ("Time Reduction", "time_reduction_percent"),
    ("Money Reduction", "money_reduction_percent"),
    ("Efficiency Improvement", "efficiency_improvement_percent"),
)


def escape(text: str) -> str:
    """Text that Markdown shows as it is: one line, no markup, no HTML, no mention or link."""
    line = " ".join(visible(text, keep_lines=False).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _WWW.sub(r"\1\\.", _SPECIAL.sub(r"\\\1", line))


def plain(text: str) -> str:
    """The package's own words, in which only what could break a table or start markup is escaped."""
    line = " ".join(visible(text, keep_lines=False).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~@$])", r"\\\1", line)


def render(report: document.Page, figures: str = "../figures") -> str:
    """The whole page.

    Args:
        figures: where the pictures lie, seen from the file.
    """
    if isinstance(report, document.Report):
        report = brief(report, LEFT_OUT)
    parts = [f"# {plain(report.title)}", "\n".join(f"**{term}:** {plain(text)}  " for term, text in report.header)]
    for section in report.sections:
        parts.append(f"## {plain(section.title)}")
        if section.lead:
            parts.append(plain(section.lead))
        if section.id == "comparison" and isinstance(report, document.Report):
            parts.append(_known(report))
        parts += [part for block in section.blocks if (part := _block(block, figures))]
    return "\n\n".join(parts) + "\n"


def _known(report: document.Report) -> str:
    found = list(known_comparisons({"comparison_metrics": report.comparison_metrics, **report.more}))
    parts = []
    for title, numbers in found:
        lines = [f"- **{label}:** {known(numbers[key])}" for label, key in KNOWN if key in numbers]
        parts.append("\n".join(lines if title == USUAL else [f"**{plain(title)}**", "", *lines]))
    return "\n\n".join(parts)


def known_comparisons(content: JsonFields) -> Iterator[tuple[str, JsonFields]]:
    """The known percentages of every tool's arm, each under the names of the two arms that it compares.

    Args:
        content: as report.json has it; one from before it named its arms has one comparison, of the usual arms.
    """
    named = content.get("compared") or {}
    reference, first = str(named.get("reference") or "baseline"), named.get("approach")
    arms = [name for name in content.get("approaches", {}) if name == first or is_claimed(name)]
    if not first or (arms == ["tools"] and reference == "baseline"):
        yield USUAL, content["comparison_metrics"]
        return
    for name in sorted(arms, key=lambda name: name != first):
        yield f"{reference} vs {name}", content["approaches"][name]


def known(value: object) -> str:
    """One of the known percentages, written as the previous system did, for scripts that look for it."""
    return "not available" if is_missing(value) else f"{number(value, 1)}%"


def _block(block: document.Block, figures: str) -> str:
    kinds: dict[type, Callable[[Any], str]] = {
        document.Table: _table,
        document.Figure: lambda b: (
            f"**{plain(b.title)}**\n\n![{plain(b.alt)}]({figures}/{b.id}.svg)\n\n{plain(b.caption)}"
        ),
        document.Notice: lambda b: (
            f"> **{ {'info': 'Note', 'warning': 'Warning', 'error': 'Failed'}[b.level] }.** {plain(b.text)}"
        ),
        document.Prose: lambda b: "\n\n".join(map(plain, b.paragraphs)),
        document.InShort: _in_short,
        document.Facts: lambda b: "\n".join(f"- **{plain(term)}**: {plain(text)}" for term, text in b.items),
        document.Verdicts: _verdicts,
        document.Links: lambda b: "\n".join(f"- [{escape(text)}]({quote(place)})" for text, place in b.items),
        document.Browser: lambda b: (
            "Prompts, answers and scores of every sample can be browsed in `report.html`; the sample files are "
            "in `samples/`."
        ),
    }
    return kinds[type(block)](block)


def _in_short(block: document.InShort) -> str:
    said = f"**In short.** {plain(block.text)}\n\n**Next:** {plain(block.advice)}"
    return f"{said}\n\n{_code(block.command)}" if block.command else said


def _code(text: str) -> str:
    """One line as an indented block of code, in which nothing is markup."""
    return "    " + visible(text, keep_lines=False)


def _verdicts(block: document.Verdicts) -> str:
    if not block.items:
        return plain(block.empty)
    lines = []
    several = len({v.profile for v in block.items}) > 1
    for v in block.items:
        where = f" ({plain(v.profile)})" if several else ""
        label = f" ({plain(v.label)})" if v.label and v.label != "planned" else ""
        lines.append(
            f"- {SIGNS.get(v.word, '◐')} **{plain(v.claim)}: {plain(v.word)}**{label}{where}. {plain(v.sentence)}"
        )
    return "\n".join(lines)


def _table(table: document.Table) -> str:
    head = f"### {plain(table.title)}\n\n{plain(table.caption)}"
    if table.nothing:
        return f"### {plain(table.title)}\n\n{plain(table.nothing)}"
    names = "| " + " | ".join(plain(column.label) for column in table.shown) + " |"
    rule = "|" + "|".join(" ---: " if column.numeric else " --- " for column in table.shown) + "|"
    rows = [
        "| "
        + " | ".join(escape(column.show(row)) if not column.numeric else column.show(row) for column in table.shown)
        + " |"
        for row in table.rows[:MOST_ROWS]
    ]
    more = len(table.rows) - MOST_ROWS
    rest = f"\n\n{plural(more, 'more row is', 'more rows are')} in the CSV tables." if more > 0 else ""
    return f"{head}\n\n{names}\n{rule}\n" + "\n".join(rows) + rest
