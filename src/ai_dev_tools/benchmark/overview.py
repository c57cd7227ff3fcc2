"""Several runs side by side: one table of arms, one of effects; as CSV, JSON, Markdown and a page without scripts."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ai_dev_tools.benchmark.analysis.comparison import compare
from ai_dev_tools.benchmark.analysis.sampletable import ALL, prepare
from ai_dev_tools.benchmark.metrics import compute_metrics, wide
from ai_dev_tools.benchmark.runs import Run
from ai_dev_tools.benchmark.samples import write_atomically

ARM_COLUMNS = [
    "profile", "model", "approach", "samples", "success_rate", "quality", "input_tokens_mean", "output_tokens_mean",
    "total_tokens_mean", "duration_mean", "tokens_per_second", "throughput",
]  # fmt: skip
EFFECT_COLUMNS = [
    "profile", "model", "approach", "reference", "comparison", "value", "low", "high", "change_percent",
    "pairs", "clusters", "note",
]  # fmt: skip
KEY = ["task", "case", "repeat"]


def together(runs: Sequence[Run]) -> pd.DataFrame:
    """The samples of all runs, with the run's name as column `run`."""
    return pd.concat([run.samples.assign(run=run.name) for run in runs], ignore_index=True)


def shared_cases(samples: pd.DataFrame, by: str) -> pd.DataFrame:
    """Only the (task, case, repeat) that were asked under every value of column `by`."""
    sides = [set(map(tuple, part[KEY].drop_duplicates().to_numpy())) for _, part in samples.groupby(by, observed=True)]
    common = set.intersection(*sides) if sides else set()
    keep = [key in common for key in map(tuple, samples[KEY].to_numpy())]
    return samples[keep].reset_index(drop=True)


def arms(samples: pd.DataFrame) -> pd.DataFrame:
    """One row per profile, model and arm over all tasks: how much was asked, how good, how dear."""
    table = wide(compute_metrics(prepare(samples)), intervals=False)
    table = table[(table["task"] == ALL) & (table[["profile", "model", "approach"]] != ALL).all(axis=1)]
    return table.reindex(columns=ARM_COLUMNS).reset_index(drop=True)


def effects(samples: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every arm against the reference within its own run, per profile and model, over all tasks."""
    prepared = prepare(samples)
    others = [arm for arm in sorted(set(samples["approach"].astype(str))) if arm != reference]
    names = ["tokens", "time", "quality"]
    parts = [compare(prepared, arm, reference, comparisons=names, strata=False) for arm in others]
    return _over_all_tasks(parts)


def changes(samples: pd.DataFrame, after: str, before: str, by: Any) -> pd.DataFrame:
    """What differs between two runs or profiles: arm by arm, over the models and cases that both have."""
    prepared = prepare(samples)
    names = ["tokens", "time", "quality"]
    parts = []
    for arm in sorted(set(samples["approach"].astype(str))):
        mine = prepared[prepared["approach"] == arm]
        parts.append(compare(mine, after, before, by=by, comparisons=names, strata=False).assign(arm=arm))
    table = _over_all_tasks(parts, [*EFFECT_COLUMNS, "arm"])
    table = table.rename(columns={"approach": "after", "reference": "before", "arm": "approach"})
    first = ["model", "approach", "after", "before"]
    return table[[*first, *(name for name in table.columns if name not in (*first, "profile"))]]


def _over_all_tasks(parts: Sequence[pd.DataFrame], columns: Sequence[str] = EFFECT_COLUMNS) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=list(columns))
    table = pd.concat(parts, ignore_index=True)
    table = table[(table["task"] == ALL) & (table["stratum"] == ALL) & (table["model"] != ALL)]
    return table.reindex(columns=list(columns)).reset_index(drop=True)


def write_overview(
    folder: Path, title: str, lead: Sequence[str], tables: Mapping[str, pd.DataFrame], about: Mapping[str, Any]
) -> None:
    """Write one CSV per table, overview.json, overview.md and overview.html into a folder.

    Args:
        lead: paragraphs that open the page.
        tables: by heading; the CSV's name is the heading in lower case with `_` for spaces.
        about: further content of the JSON.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    for heading, table in tables.items():
        text = table.to_csv(index=False, lineterminator="\n")
        write_atomically(folder / f"{_file_name(heading)}.csv", text.encode())
    content = {"schema": 1, "title": title, **about, **{_file_name(h): _records(t) for h, t in tables.items()}}
    write_atomically(folder / "overview.json", (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    write_atomically(folder / "overview.md", markdown(title, lead, tables).encode())
    write_atomically(folder / "overview.html", page(title, lead, tables).encode())


def markdown(title: str, lead: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> str:
    """The same content as Markdown."""
    parts = [f"# {title}", *lead]
    for heading, table in tables.items():
        parts += [f"## {heading}", markdown_table(table) if len(table) else "Nothing to show."]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: pd.DataFrame) -> str:
    """A pipe table; cells cannot break out of their column."""

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def cell(value: Any) -> str:
        return html.escape(show(value), quote=False).replace("|", "\\|").replace("\n", " ")

    head = [row([str(name) for name in table.columns]), row(["---"] * len(table.columns))]
    return "\n".join(head + [row([cell(value) for value in values]) for values in table.itertuples(index=False)])


def page(title: str, lead: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> str:
    """The same content as one HTML file, readable in light and dark."""
    parts = [f"<h1>{html.escape(title)}</h1>", *(f"<p>{html.escape(text)}</p>" for text in lead)]
    for heading, table in tables.items():
        parts.append(f"<h2>{html.escape(heading)}</h2>")
        parts.append(_html_table(table, heading) if len(table) else "<p>Nothing to show.</p>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><main>{''.join(parts)}</main></html>\n"
    )


_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:0}"
    "main{max-width:75rem;margin:auto;padding:1rem}.scroll{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid #8886;text-align:left}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}"
)


def _html_table(table: pd.DataFrame, heading: str) -> str:
    head = "".join(f'<th scope="col">{html.escape(str(name))}</th>' for name in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td{_number_class(v)}>{html.escape(show(v))}</td>" for v in values) + "</tr>"
        for values in table.itertuples(index=False)
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(heading)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _number_class(value: Any) -> str:
    return ' class="n"' if isinstance(value, int | float) and not isinstance(value, bool) else ""


def show(value: Any) -> str:
    """A value for people: four digits, a dash where it is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _file_name(heading: str) -> str:
    return heading.lower().replace(" ", "_")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values; what is missing or infinite becomes null."""
    data: list[dict[str, Any]] = json.loads(table.to_json(orient="records"))
    return data
