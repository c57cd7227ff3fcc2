"""How the run went: errors and skipped cases, what ran when, what the tools cost, and the validity ledger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.report.data import ALL, REFERENCE, RunData, records
from ai_dev_tools.benchmark.report.model import Block, Column, Figure, Prose, Section, Table
from ai_dev_tools.benchmark.report.text import listing, number, plural

ERROR_COLUMNS = (
    Column("status", "Status"),
    Column("error_class", "Class"),
    Column("model", "Model"),
    Column("task", "Task"),
    Column("approach", "Approach"),
    Column("count", "Samples", "number"),
    Column("cases", "Cases"),
)


def errors(data: RunData) -> Section:
    """Requests that did not complete, by class; cases that were left out, and why."""
    bad = data.samples[data.samples["status"] != "completed"]
    rows = []
    for (status, name, model, task, approach), part in bad.groupby(["status", "error_class", "model", "task", "approach"], sort=True):
        rows.append({"status": status, "error_class": name, "model": model, "task": data.task_name(task), "approach": approach, "count": len(part), "cases": listing(sorted(set(part["case"])), 5)})
    caption = "Failures are results: they count in the success rate and in cost, and a verdict is invalid when too many pairs are lost to them."
    failed = Table("errors", "Requests that were not completed", caption, ERROR_COLUMNS, rows, "None: every request was completed.")
    skipped = [{**row, "task": data.task_name(row["task"])} for row in records(data.skipped)]
    left_out = Table("skipped", "Skipped cases", "Cases that could not be asked at all, and why; they narrow the scope of every statement.", (Column("task", "Task"), Column("case", "Case"), Column("reason", "Why")), skipped, "None: every planned case could be asked.")
    capped = int((data.samples["done_reason"] == "length").sum())
    unparsed = int(((data.samples["status"] == "completed") & (data.samples["parsed"] == False)).sum())  # noqa: E712
    words = Prose((f"{plural(unparsed, 'completed answer')} could not be parsed and score 0; {plural(capped, 'answer')} were cut at the output cap and count as censored.",))
    return Section("errors", "Errors and skipped cases", (failed, left_out, words))


def timeline(data: RunData) -> Section:
    """What ran when, how many at once, retries."""
    samples = data.samples
    known = samples[samples["start"].notna() & samples["duration_s"].notna()].sort_values("start")
    if not len(known):
        return Section("timeline", "Timeline", (Prose(("No request has a start and a duration: there is no timeline.",)),), folded=True)
    start, end = _without_pauses(known["start"].to_numpy(dtype=float), known["duration_s"].to_numpy(dtype=float))
    lanes = [data.task_name(t) + (f" · {m}" if len(data.models) > 1 else "") for t, m in zip(known["task"], known["model"], strict=True)]
    table = pd.DataFrame({"lane": lanes, "session": known["session"].to_numpy(), "approach": known["approach"].to_numpy(), "start": start, "end": end, "status": known["status"].to_numpy(), "attempts": known["attempts"].fillna(1).to_numpy(dtype=float)})
    peak = data.metric("peak_concurrency").get("value")
    again = int((table["attempts"] > 1).sum())
    sessions = known["session"].nunique()
    said = f"{plural(len(known), 'request')} in {plural(sessions, 'session')}, at most {number(peak)} at once, {number(again)} retried, {number(end.max(), 1)} s of measuring"
    figure = Figure("timeline", "What ran when", f"{said}. Arms of a case run next to each other, so that whatever disturbs the machine hits them alike; a lane of one colour only would void time claims.", f"Bars of every request over time by block, and the number in flight. {said}.", "timeline", table)
    return Section("timeline", "Timeline", (figure,), folded=True)


def _without_pauses(start: Any, duration: Any, pause: float = 5.0) -> tuple[Any, Any]:
    """Seconds since the first request with every idle stretch longer than `pause` cut to `pause`; `start` is sorted."""
    busy_until = np.maximum.accumulate(start + duration)
    idle = np.r_[0.0, np.maximum(0.0, start[1:] - busy_until[:-1] - pause)]
    shifted = start - start[0] - np.cumsum(idle)
    return shifted, shifted + duration


TOOL_COLUMNS = (
    Column("task", "Task"),
    Column("approach", "Approach"),
    Column("tool_s", "Tool s per case", "number", 3),
    Column("baseline_s", "Baseline s per request", "number", 3),
    Column("tools_s", "Request s with findings", "number", 3),
    Column("break_even", "Questions to break even", "number", 1, "one tool run shared by so many questions costs as much time as asking with raw files"),
    Column("note", "Meaning"),
)


def tools(data: RunData) -> Section:
    """What running the tools costs, and after how many questions it pays."""
    done = data.samples[data.samples["status"] == "completed"]
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for approach in data.compared:
        for task in data.tasks:
            mine, base = done[(done["task"] == task) & (done["approach"] == approach)], done[(done["task"] == task) & (done["approach"] == REFERENCE)]
            if not len(mine) or not len(base):
                continue
            tool, with_tool, without = float(mine["tool_s"].mean()), float(mine["duration_s"].mean()), float(base["duration_s"].mean())
            gain = without - with_tool
            even = tool / gain if gain > 0 else float("nan")
            note = "never: a request with findings is not faster" if gain <= 0 else "pays from the first question" if even <= 1 else f"pays when one tool run serves {number(np.ceil(even))} questions or more"
            rows.append({"task": data.task_name(task), "approach": approach, "tool_s": tool, "baseline_s": without, "tools_s": with_tool, "break_even": even, "note": note})
            for questions in (0, 1, 2, 5, 10):
                curves.append({"task": data.task_name(task) + ("" if len(data.compared) == 1 else f" · {approach}"), "questions": questions, "baseline_s": questions * without, "tools_s": tool + questions * with_tool})
    caption = "Mean seconds over completed requests. The verdict on time charges the tool's whole run to every request; this table says when sharing one run between questions would change that. It is secondary and carries no verdict."
    table = Table("tool-cost", "Tool cost and break-even", caption, TOOL_COLUMNS, rows, "No task was completed both with and without tools.")
    blocks: list[Block] = [table]
    if curves:
        paying = [row["task"] for row in rows if row["break_even"] <= 1]
        said = f"From the first question the tools save time on {listing(paying)}." if paying else "On no task do the tools save time from the first question."
        blocks.append(Figure("breakeven", "Seconds in all, by questions per tool run", f"{said} Where the lines cross, the tool has paid for itself.", f"Lines of total seconds over the number of questions per tool run, by task. {said}", "breakeven", pd.DataFrame(curves)))
    return Section("tools", "Tool cost and break-even", tuple(blocks), folded=True)


VALIDITY_COLUMNS = (
    Column("check", "Check"),
    Column("description", "What it looks for"),
    Column("voids", "Voids"),
    Column("samples", "Samples", "number"),
    Column("flagged", "Flagged", "number"),
    Column("unknown", "Unknown", "number"),
    Column("share", "Share flagged", "percent", 1),
)
CHECK_COLUMNS = (
    Column("claim", "Claim"),
    Column("models", "Model"),
    Column("check", "Check"),
    Column("status", "Status"),
    Column("value", "Value", "number", 3),
    Column("threshold", "Limit", "number", 3),
    Column("reason", "Why"),
)


def validity(data: RunData) -> Section:
    """Which samples the machine checks flagged, and which checks each verdict passed."""
    rows = ledger_summary(data.validity)
    flagged = [row["check"] for row in rows if row["flagged"]]
    said = f"Flagged something: {listing(flagged)}." if flagged else "No check flagged anything."
    caption = f"{said} Flagged samples are removed from the endpoints that the check voids; a verdict is invalid when too many pairs are flagged, the arms differ in it, or the result changes with them."
    ledger = Table("validity", "Validity ledger", caption, VALIDITY_COLUMNS, rows, "The validity ledger of this run has not been made.")
    overall = [row for row in records(data.checks) if row["task"] == ALL]
    checks = Table("checks", "Checks of each verdict", "A failed check makes the verdict invalid or keeps it from being general.", CHECK_COLUMNS, overall, "No verdict was made, so none was checked.")
    return Section("validity", "Validity ledger", (ledger, checks), folded=True)


def ledger_summary(ledger: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per check: samples, flagged, unknown, share flagged of those known."""
    if not len(ledger):
        return []
    described = _descriptions()
    counts = ledger.groupby(["check", "voids"], sort=False, observed=True)["status"].value_counts().unstack(fill_value=0)
    rows = []
    for (check, voids), row in counts.iterrows():
        ok, flagged, unknown = (int(row.get(name, 0)) for name in ("ok", "flagged", "unknown"))
        share = flagged / (ok + flagged) if ok + flagged else None
        rows.append({"check": check, "description": described.get(check, ""), "voids": voids, "samples": ok + flagged + unknown, "flagged": flagged, "unknown": unknown, "share": share})
    return rows


def _descriptions() -> dict[str, str]:
    from ai_dev_tools.benchmark import validity as _registers  # noqa: F401
    from ai_dev_tools.benchmark.plugins import CHECKS

    return {check.name: check.description for check in CHECKS}
