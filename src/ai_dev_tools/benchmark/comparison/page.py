"""A comparison or batch as files: page, Markdown, JSON, CSV tables, figures and their data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark.reporting.data import records
from ai_dev_tools.benchmark.reporting.document import Column, Figure, Page, Prose, Section, Table
from ai_dev_tools.benchmark.reporting.figures.pictures import figure_csv, picture
from ai_dev_tools.benchmark.reporting.formats import html, markdown, structured

SCHEMA = 1
FIGURES = "figures"


def write_overview(folder: Path, page: Page, tables: Mapping[str, pd.DataFrame], about: Mapping[str, object]) -> None:
    """Write overview.{html,md,json}, one CSV per table, and figures/ into a folder.

    Args:
        tables: for machines, by heading; the CSV's name is the heading in lower case with `_` for spaces.
        about: further content of the JSON.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    for heading, table in tables.items():
        cells = table.astype(object).where(table.notna(), None).itertuples(index=False)
        _write(folder / f"{_file_name(heading)}.csv", structured.csv_text(map(str, table.columns), cells))
    said = structured.contents(page)
    content = {"schema": SCHEMA, "title": page.title, **about, "notices": said["notices"], "verdicts": said["verdicts"],
               "page": {name: said[name] for name in ("tables", "figures", "facts")},
               **{_file_name(heading): records(table) for heading, table in tables.items()}}  # fmt: skip
    _write(folder / "overview.json", json.dumps(structured.jsonable(content), indent=1, ensure_ascii=False) + "\n")
    _write(folder / "overview.md", markdown.render(page, FIGURES))
    shutil.rmtree(folder / FIGURES, ignore_errors=True)
    _write(folder / "overview.html", _html(page, folder / FIGURES))


def table_page(title: str, lead: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> Page:
    """A page of tables as they are, one section each."""
    summary = Section("summary", "Summary", (Prose(tuple(lead)),))
    return Page(title, (), (summary, *(_plain_section(heading, table) for heading, table in tables.items())))


def _plain_section(heading: str, table: pd.DataFrame) -> Section:
    columns = tuple(_plain_column(table, str(name)) for name in table.columns)
    rows = records(table)
    name = _file_name(heading)
    return Section(name, heading, (Table(f"{name}-table", heading, "", columns, rows),))


def _plain_column(table: pd.DataFrame, name: str) -> Column:
    label = name.replace("_", " ").capitalize()
    if not pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_bool_dtype(table[name]):
        return Column(name, label)
    known = table[name].dropna()
    return Column(name, label, "number", 0 if (known == known.round()).all() else 3)


def _html(page: Page, figures: Path) -> str:
    parts = [
        html.section_html(section, {b.id: picture(b, figures) for b in section.blocks if isinstance(b, Figure)})
        for section in page.sections
    ]
    payload = html.data_script("figure-data", {figure.id: figure_csv(figure) for figure in page.figures})
    return html.document(page, "\n".join(parts), payload)


def _write(path: Path, text: str) -> None:
    write_atomically(path, text.encode(errors="replace"))


def _file_name(heading: str) -> str:
    return heading.lower().replace(" ", "_")
