"""report.json and report.csv: the report for machines."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable

from ai_dev_tools.benchmark._util.json_values import Json, JsonFields
from ai_dev_tools.benchmark._util.text import is_missing, visible
from ai_dev_tools.benchmark.records.table_files import guarded
from ai_dev_tools.benchmark.reporting import document


def render(report: document.Report, version: int) -> JsonFields:
    """The content of report.json; every number as the tables have it, missing and infinite ones as None.

    Args:
        version: of the published schema.
    """
    content = {
        "schema_version": version,
        "title": report.title,
        "benchmark_info": report.benchmark_info,
        "comparison_metrics": report.comparison_metrics,
        "overall_metrics": report.overall_metrics,
        "in_short": _in_short(report),
        **contents(report),
        **report.more,
    }
    plain: JsonFields = jsonable(content)
    return plain


def contents(page: document.Page) -> JsonFields:
    """What any page says, by kind: notices of its first section, verdicts, tables, figures, compact facts."""
    return {
        "notices": [
            {"level": b.level, "text": b.text} for b in page.sections[0].blocks if isinstance(b, document.Notice)
        ],
        "verdicts": [_verdict(v) for v in page.verdicts],
        "tables": {t.id: _table(t) for t in page.tables},
        "figures": {f.id: {"title": f.title, "caption": f.caption, "alt": f.alt} for f in page.figures},
        "facts": {s.id: dict(b.items) for s, b in page.blocks() if isinstance(b, document.Facts) and b.compact},
    }


def _in_short(report: document.Report) -> dict[str, str] | None:
    """The paragraph at the top and what it says to do next; None in a report without it."""
    found = next((block for _, block in report.blocks() if isinstance(block, document.InShort)), None)
    return None if found is None else {"text": found.text, "next": found.advice, "command": found.command}


def _verdict(verdict: document.Verdict) -> dict[str, str]:
    return {
        "claim": verdict.claim,
        "statement": verdict.statement,
        "word": verdict.word,
        "label": verdict.label,
        "model": verdict.model,
        "profile": verdict.profile,
        "headline": verdict.headline,
        "detail": verdict.detail,
        "sentence": verdict.sentence,
        "reasons": verdict.reasons,
    }


def _table(table: document.Table) -> JsonFields:
    return {
        "title": table.title,
        "caption": table.caption,
        "columns": {c.key: c.label for c in table.columns},
        "rows": [{c.key: c.value(row) for c in table.columns} for row in table.rows],
    }


def jsonable(value: object) -> Json:
    """The value with JSON's types only: NaN and infinities become None, numpy's numbers Python's."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def csv_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers, what is missing stays empty."""
    if not isinstance(value, str):
        return "" if is_missing(value) else value
    return guarded(visible(value))


def csv_text(names: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A CSV file with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(list(names))
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def render_csv(report: document.Report) -> str:
    """report.csv: the metrics of the report, one row per model, task and approach."""
    return _table_csv(next(t for t in report.tables if t.id == "metrics"))


def csv_tables(page: document.Page) -> dict[str, str]:
    """The tables of a page that have rows, as CSV by their ids, and its verdicts."""
    verdicts = [_verdict(verdict) | dict(verdict.evidence) for verdict in page.verdicts]
    names = list(dict.fromkeys(name for verdict in verdicts for name in verdict))
    said = {"verdicts": csv_text(names, ([v.get(name) for name in names] for v in verdicts))} if verdicts else {}
    return said | {table.id: _table_csv(table) for table in page.tables if table.rows}


def _table_csv(table: document.Table) -> str:
    return csv_text((c.key for c in table.columns), ([c.value(row) for c in table.columns] for row in table.rows))
