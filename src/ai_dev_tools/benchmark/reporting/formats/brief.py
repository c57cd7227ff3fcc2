"""A report for reading as text: what decides, and where the rest is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from ai_dev_tools.benchmark._util.text import listing, plural
from ai_dev_tools.benchmark.reporting.document import Block, Facts, Figure, Links, Notice, Prose, Report, Section, Table

MOST_ROWS = 12
"""Rows of a table in a text; the others are in its CSV file."""


def brief(report: Report, without: Collection[str] = ()) -> Report:
    """The report with the main rows of its tables, without what a page folds away.

    The CSV files are named.

    Args:
        without: sections and tables that are left out as well.
    """
    sections = [
        replace(section, blocks=tuple(_shortened(section, without)))
        for section in report.sections
        if section.id not in without
    ]
    kept = [section for section in sections if section.blocks]
    shown = {block.id for section in kept for block in section.blocks if isinstance(block, Table)}
    left = [table for table in report.tables if table.rows and table.id not in shown]
    return replace(report, sections=(*kept, *_elsewhere(left)))


def _shortened(section: Section, without: Collection[str]) -> Iterator[Block]:
    for block in section.blocks:
        if isinstance(block, Table):
            if block.id in without:
                continue
            yield from _main_rows(block, section.folded)
        elif not (section.folded and isinstance(block, Figure | Prose | Facts | Notice | Links)):
            yield block


def _main_rows(table: Table, folded: bool) -> Iterator[Block]:
    rows = table.main[:MOST_ROWS]
    if table.nothing and not folded:
        yield table
    if rows and not table.nothing:
        yield replace(table, rows=rows)
    if rows and not table.nothing and len(rows) < len(table.rows):
        yield Prose((f"{plural(len(table.rows) - len(rows), 'more row')}: {_file(table)}.",))


def _elsewhere(tables: list[Table]) -> Iterator[Section]:
    """Where the tables are that this text leaves out."""
    named = [f"{_file(table)} ({plural(len(table.rows), 'row')})" for table in tables]
    said = f"Tables that are not in this text: {listing(named, len(named))}. " if named else ""
    rest = (
        "Methods, glossary, timeline and every single sample are in report.html, numbers for programs in report.json."
    )
    yield Section("elsewhere", "The rest", (Prose((said + rest,)),))


def _file(table: Table) -> str:
    return f"tables/{table.id}.csv"
