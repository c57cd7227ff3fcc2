"""What differs between two runs: verdicts, identity, hardware, versions, and cost arm by arm."""

from __future__ import annotations

import pandas as pd

from ai_dev_tools.benchmark._util.text import MISSING, is_missing, listing, number, plural, shorten
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.comparison.run import StoredRun
from ai_dev_tools.benchmark.comparison.run_set import RunSet, overall
from ai_dev_tools.benchmark.comparison.sections.effects import forest_rows, ratio_in_words, run_notices
from ai_dev_tools.benchmark.records.prices import MONEY
from ai_dev_tools.benchmark.reporting.data import RunData, records
from ai_dev_tools.benchmark.reporting.document import Block, Column, Figure, Notice, Prose, Section, Table
from ai_dev_tools.benchmark.reporting.machine import Session, machine_facts
from ai_dev_tools.benchmark.reporting.sections.background import distinct
from ai_dev_tools.benchmark.reporting.sections.columns import APPROACH, CLUSTERS, HIGH, LOW, MODEL, NOTE, PAIRS, TASK

QUESTION = ["task", "case", "approach"]
SETTINGS = (
    ("Endpoint", "endpoint_kind"),
    ("Server version", "endpoint_version"),
    ("Protocol", "protocol"),
    ("Context window", "num_ctx"),
    ("Output cap", "num_predict"),
)
VOIDING = {
    "Protocol": "their requests mean different things, and no difference below is one of the models or tools",
    "Context window": "a prompt that fits one window may not fit the other",
    "Output cap": "answers were cut at different lengths",
}


def changed(data: RunSet) -> Section:
    """Verdicts before and after, then everything else that differs between both runs."""
    before, after = data.runs
    rows = facts(data)
    verdicts = verdict_changes(before, after)
    moved = sum(row["change"] == "changed" for row in verdicts)
    alone = sum(row["change"].startswith("only ") for row in verdicts)
    lead = (
        f"{plural(len(verdicts), 'verdict')}: {number(moved)} changed, {number(len(verdicts) - moved - alone)} the same"
        + (f", {number(alone)} of one run only." if alone else ".")
        if verdicts
        else "No verdict to compare: neither run has one."
    )
    tables = _verdicts(before.name, after.name, verdicts), _identity(before.name, after.name, rows)
    return Section("changed", "What changed", (*run_notices(data), *_warnings(data, rows), *tables), lead=lead)


def _verdicts(before: str, after: str, rows: list[Row]) -> Table:
    return Table(
        "verdicts-changed",
        "Verdicts before and after",
        "Each run's own verdicts, by its own plan and over all of its cases, not only the shared ones. A word that "
        "changes between two small runs is more often chance than change: look at the intervals.",
        (
            Column("claim", "Claim"),
            MODEL,
            Column("before", f"{before}: verdict"),
            Column("before_ratio", f"{before}: ratio", "number", 3),
            Column("after", f"{after}: verdict"),
            Column("after_ratio", f"{after}: ratio", "number", 3),
            Column("change", "Change"),
        ),
        rows,
        "Neither run has a verdict: its verdicts table is missing, or it made no claim.",
    )


def _identity(before: str, after: str, rows: list[Row]) -> Table:
    places = {"same": 2, "not recorded": 1}
    differing = sum(row["change"] not in places for row in rows)
    return Table(
        "identity",
        "Identity, hardware, versions and settings",
        f"{number(differing)} of {plural(len(rows), 'entry', 'entries')} differ, and come first. What differs "
        "here may be the cause of any difference in cost or quality.",
        (Column("what", "What"), Column("before", before), Column("after", after), Column("change", "Change")),
        sorted(rows, key=lambda row: places.get(row["change"], 0)),
    )


def _warnings(data: RunSet, rows: list[Row]) -> list[Block]:
    """Differences that a reader must know before comparing."""
    found: list[Block] = []
    by_name = {row["what"]: row for row in rows}
    for name, why in VOIDING.items():
        if by_name.get(name, {}).get("change") == "differs":
            found.append(Notice("warning", f"{name} differs: {why}."))
    if (row := by_name["Prompts"])["change"] == "differs":
        found.append(
            Notice("warning", f"The prompts are not the same ({row['after']}): tokens differ for that reason alone.")
        )
    if by_name["Measured on"]["change"] == "differs":
        found.append(Notice("info", "Two machines: times compare the machines, not the tools."))
    models = [set(part["model"].astype(str)) for _, part in data.samples.frame.groupby("run", observed=True)]
    if not set.intersection(*models):
        found.append(
            Notice(
                "info",
                "No model was asked in both runs, so nothing is compared request by request between them; see the "
                "effects within each run and the scaling with model size.",
            )
        )
    return found


def verdict_changes(before: StoredRun, after: StoredRun) -> list[Row]:
    """One row per claim and model of either run: the word of each, and whether it changed."""
    sides = [{(str(r["claim"]), str(r["models"])): r for r in overall(run.verdicts)} for run in (before, after)]
    rows = []
    for claim, model in dict.fromkeys([*sides[0], *sides[1]]):
        old, new = (side.get((claim, model)) for side in sides)
        words = [_verdict_in_words(row) for row in (old, new)]
        change = "same" if words[0] == words[1] else "changed"
        if old is None or new is None:
            change = f"only {(after if old is None else before).name}"
        rows.append(
            {
                "claim": claim,
                "model": model,
                "before": words[0],
                "before_ratio": old.get("ratio") if old else None,
                "after": words[1],
                "after_ratio": new.get("ratio") if new else None,
                "change": change,
            }
        )
    return sorted(rows, key=lambda row: row["change"] == "same")


def _verdict_in_words(row: Row | None) -> str:
    if row is None:
        return MISSING
    label = str(row.get("label") or "")
    return f"{row.get('verdict') or 'inconclusive'}" + (f" ({label})" if label not in ("", "planned") else "")


def facts(data: RunSet) -> list[Row]:
    """Rows `what`, `before`, `after`, `change` (same, differs, only NAME, not recorded)."""
    sides = [_facts(one) for one in data.data.values()]
    names = data.names
    rows = []
    for what in dict.fromkeys([*sides[0], *sides[1]]):
        old, new = (side.get(what, "") for side in sides)
        if old and new:
            change = "same" if old == new else "differs"
        else:
            change = f"only {names[0] if old else names[1]}" if old or new else "not recorded"
        rows.append({"what": what, "before": old or MISSING, "after": new or MISSING, "change": change})
    asked, other = _prompts(data.samples.frame)
    change = "differs" if other else "same"
    rows.append(
        {"what": "Prompts", "before": f"{asked} shared", "after": f"{other} of {asked} differ", "change": change}
    )
    return rows


def _facts(one: RunData) -> dict[str, str]:
    samples = one.samples
    found = {"Profile": listing(sorted(set(samples["profile"]))), "Models": listing(sorted(set(samples["model"])))}
    for model, part in samples.groupby("model", sort=True):
        found[f"Digest of {model}"] = listing(
            [shorten(value, 19).split("…")[0] for value in distinct(part, "model_digest")]
        )
    machine = machine_facts(one.sessions)
    found["Measured on"] = "" if "Report made on" in machine else machine["Measured on"]
    found |= {name: text for name, text in machine.items() if name not in ("Measured on", "Report made on")}
    found |= {name: listing(distinct(samples, column)) for name, column in SETTINGS if distinct(samples, column)}
    found["Asked for"] = listing(sorted({_asked(session) for session in one.sessions} - {""})) if one.sessions else ""
    found["Tasks"] = listing(sorted(set(samples["task"])), 20)
    found["Approaches"] = listing(sorted(set(samples["approach"])), 20)
    found["Samples"] = number(len(samples))
    found["Completed"] = number(int((samples["status"] == "completed").sum()))
    found["Plan"] = one.plans[-1].plan if one.plans else "none declared"
    if one.plan and one.plan.prices:
        found["Prices"] = one.plan.prices.shown
    started = sorted(text for text in samples["started_at"] if text) if "started_at" in samples else []
    found["Measured"] = f"{started[0][:19]} to {started[-1][:19]}" if started else ""
    return found


def _asked(session: Session) -> str:
    asked = session.get("asked") or {}
    options = asked.get("options") or {}
    parts = [f"{name} {options[name]}" for name in sorted(options) if name not in ("num_ctx", "num_predict", "seed")]
    return ", ".join([*parts, "thinking" if asked.get("think") else "no thinking"]) if asked else ""


def _prompts(samples: pd.DataFrame) -> tuple[int, int]:
    """Questions that every run asked, and how many of them by different prompts."""
    if samples["prompt_sha256"].isna().all():
        return 0, 0
    runs = samples["run"].nunique()
    groups = samples.astype(dict.fromkeys(QUESTION, str)).groupby(QUESTION)
    asked = groups["run"].nunique() == runs
    return int(asked.sum()), int((groups["prompt_sha256"].nunique()[asked] > 1).sum())


CHANGE_COLUMNS = (
    MODEL,
    TASK,
    APPROACH,
    Column("comparison", "Of what"),
    Column("value", "Ratio or difference", "number", 3, "after over before; for quality the difference"),
    LOW,
    HIGH,
    Column("change_percent", "Less, %", "number", 1, "100 (1 − ratio); positive is cheaper"),
    PAIRS,
    CLUSTERS,
    NOTE,
)


def changes(data: RunSet, table: pd.DataFrame) -> Section:
    """Cost and quality of each arm after against before, request by request.

    Args:
        table: as `comparison.tables.changes` gives it, with tasks.
    """
    before, after = data.names
    title = "Changes between the runs"
    whole_first = sorted(records(table), key=lambda row: row["task"] != ALL)
    rows = [{**row, "task": "all tasks" if row["task"] == ALL else row["task"]} for row in whole_first]
    whole = [row for row in rows if row["task"] == "all tasks"]
    known = [row for row in whole if row["comparison"] in ("tokens", "time", MONEY) and not is_missing(row["value"])]
    caption = (
        f"{after} relative to {before}, for the same model, approach and case. A ratio below 1 is cheaper in {after}. "
        "Times compare two machines or two days, not two tools: judge a tool by its effect within a run. Exploratory."
    )
    listed = Table(
        "changes", "Every change", caption, CHANGE_COLUMNS, rows, "No model answered a shared case in both runs."
    )
    if not known:
        empty = "No model answered a shared case in both runs, so there is no change to draw."
        return Section("changes", title, (Prose((empty,)), listed))
    models = {row["model"] for row in known}
    drawn = forest_rows(whole, lambda row: row["approach"] + (f" · {row['model']}" if len(models) > 1 else ""))
    largest = max(known, key=lambda row: abs(1 - row["value"]))
    said = f"Largest change: {largest['approach']} on {largest['model']}, {ratio_in_words(largest)}"
    if largest["value"] == 1:
        said = "Every approach cost the same in both runs"
    figure = Figure(
        "changes-forest",
        f"Cost in {after} relative to {before}",
        f"{said}. Left of 1: cheaper in {after}. An interval that holds 1 leaves open whether anything changed; tokens "
        "differ only where prompts, models or answers do.",
        f"Forest plot of cost in {after} relative to {before} by approach and model, for tokens and time. {said}.",
        "forest",
        drawn.assign(panel=drawn["panel"].str.split(",").str[0]),
        {"margin": 1.0, "xlabel": "← cheaper after · ratio · more expensive →"},
    )
    return Section("changes", title, (figure, listed))
