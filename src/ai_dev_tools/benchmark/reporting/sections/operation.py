"""How the run went: errors, skipped cases, what ran when, costs of the tools, validity checks."""

from __future__ import annotations

from collections import Counter, defaultdict
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark._util.clock import busy_seconds
from ai_dev_tools.benchmark._util.text import listing, number, plural, shorten, visible
from ai_dev_tools.benchmark.analysis.clusters import Floats
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL, CUT_OFF
from ai_dev_tools.benchmark.analysis.validity_table import summarise
from ai_dev_tools.benchmark.errors import ASKED_AGAIN
from ai_dev_tools.benchmark.plugins import is_agent
from ai_dev_tools.benchmark.reporting.data import RunData, plain_float, records, settles_nothing
from ai_dev_tools.benchmark.reporting.document import Column, Figure, Prose, Section, Table, ranked
from ai_dev_tools.benchmark.reporting.sections.columns import APPROACH, MODEL, NOTE, PAIRS, TASK

ERROR_COLUMNS = (
    Column("status", "Status"),
    Column("error_class", "Class"),
    MODEL,
    TASK,
    APPROACH,
    Column(
        "count",
        "Samples",
        "number",
        link="where",
        help="links to the samples with this status, model, task and approach",
    ),
    Column("message", "Message"),
    Column("rerun", "A rerun", help="whether the same command asks again; retry=all asks again for all of them"),
    Column("cases", "Cases"),
)
MOST_MESSAGE = 240


def errors(data: RunData) -> Section:
    """Requests that did not complete, by class; cases that were left out, and why."""
    caption = (
        "Failures are results: they count in the success rate and in the cost, and a verdict is invalid if too many "
        "pairs are lost to them. The number of samples links to them in the sample browser, whatever their class."
    )
    failed = Table(
        "errors",
        "Requests that were not completed",
        caption,
        ERROR_COLUMNS,
        _failed(data),
        "None: every request was completed.",
    )
    skipped = [{**row, "task": data.task_name(row["task"])} for row in records(data.skipped)]
    left_out = Table(
        "skipped",
        "Skipped cases",
        "Cases that could not be asked at all, and why. They narrow the scope of every statement.",
        (TASK, Column("case", "Case"), Column("reason", "Why")),
        skipped,
        "None: every planned case could be asked.",
    )
    capped = int(data.samples["done_reason"].isin(CUT_OFF).sum())
    unparsed = int(((data.samples["status"] == "completed") & (data.samples["parsed"] == False)).sum())  # noqa: E712
    turns = ", and episodes at their turn limit" if any(map(is_agent, data.approaches)) else ""
    words = Prose(
        (
            (
                f"Completed answers that could not be parsed, which score 0 where the right answer is known: "
                f"{number(unparsed)}. Answers cut at the cap, or because they "
                f"looped{turns}, which are treated as censored: {number(capped)}."
            ),
        )
    )
    return Section("errors", "Errors and skipped cases", (failed, left_out, words))


def _failed(data: RunData) -> list[Row]:
    """Requests that were not completed, by status, class and cell."""
    bad = data.samples[data.samples["status"] != "completed"]
    said: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for failure in data.failures:
        said[failure.cell][failure.error.message if failure.error else ""] += 1
    rows: list[Row] = []
    for key, part in bad.groupby(["status", "error_class", "model", "task", "approach"], sort=True):
        status, name, model, task, approach = map(str, key)
        rows.append(
            {
                "status": status,
                "error_class": name,
                "model": model,
                "task": data.task_name(task),
                "approach": approach,
                "count": len(part),
                "where": samples_link(status=status, model=model, task=task, approach=approach),
                "message": _most_frequent(said[status, name, model, task, approach]),
                "rerun": "asks again" if name in ASKED_AGAIN else "keeps it",
                "cases": listing(sorted(set(part["case"])), 5),
            }
        )
    return rows


def _most_frequent(messages: Counter[str]) -> str:
    """The most frequent message, shortened, and how many others there are."""
    known = [text for text, _ in messages.most_common() if text]
    if not known:
        return ""
    others = f" (and {plural(len(known) - 1, 'other message')})" if len(known) > 1 else ""
    return shorten(visible(known[0], keep_lines=False), MOST_MESSAGE) + others


def samples_link(**wanted: str) -> str:
    """Where the sample browser shows only what is wanted, e.g. `status="failed"`."""
    shown = {name: visible(value, keep_lines=False) for name, value in wanted.items()}
    return f"filter={urlencode(shown, quote_via=quote)}"


def timeline(data: RunData) -> Section:
    """What ran when, how many at once, retries."""
    samples = data.samples
    known = samples[samples["start"].notna() & samples["duration_s"].notna()].sort_values("start")
    if not len(known):
        return Section(
            "timeline",
            "Timeline",
            (Prose(("No request has a start and a duration: there is no timeline.",)),),
            folded=True,
        )
    start, end = _without_pauses(known["start"].to_numpy(dtype=float), known["duration_s"].to_numpy(dtype=float))
    lanes = [
        data.task_name(t) + (f" · {m}" if len(data.models) > 1 else "")
        for t, m in zip(known["task"], known["model"], strict=True)
    ]
    table = pd.DataFrame(
        {
            "lane": lanes,
            "session": known["session"].to_numpy(),
            "approach": known["approach"].to_numpy(),
            "start": start,
            "end": end,
            "status": known["status"].to_numpy(),
            "attempts": known["attempts"].fillna(1).to_numpy(dtype=float),
        }
    )
    peak = data.metric("peak_concurrency").get("value")
    again = int((table["attempts"] > 1).sum())
    sessions = known["session"].nunique()
    busy = busy_seconds(zip(start, end, strict=True))
    said = (
        f"{plural(len(known), 'request')} in {plural(sessions, 'session')}, at most {number(peak)} at once, "
        f"{number(again)} retried, {number(busy, 1)} s of measuring"
    )
    figure = Figure(
        "timeline",
        "What ran when",
        (
            f"{said}. The arms of a case run one after the other, so that whatever disturbs the machine affects them alike. "
            "A lane with only one colour would invalidate claims about time. Below: how many were in flight at most (line) and on "
            "average (area)."
        ),
        f"Bars of every request over time by block, and the number in flight. {said}.",
        "timeline",
        table,
    )
    return Section("timeline", "Timeline", (figure,), folded=True)


def _without_pauses(start: Floats, duration: Floats, pause: float = 5.0) -> tuple[Floats, Floats]:
    """Seconds since the first request with every idle stretch longer than `pause` cut to `pause`.

    `start` is sorted.
    """
    busy_until = np.maximum.accumulate(start + duration)
    idle = np.r_[0.0, np.maximum(0.0, start[1:] - busy_until[:-1] - pause)]
    shifted = start - start[0] - np.cumsum(idle)
    return shifted, shifted + duration


TOOL_COLUMNS = (
    MODEL,
    TASK,
    APPROACH,
    Column("tool_s", "Tool s per case", "number", 3),
    Column("saving_s", "Saved s per request", "number", 3, "the tool's own run not counted; negative: slower"),
    Column("saving_low", "95 % from", "number", 3),
    Column("saving_high", "95 % to", "number", 3),
    Column("uses", "Questions to break even", "number", 0, "how many questions must share one tool run"),
    Column("uses_low", "from", "number", 0),
    Column("uses_high", "to", "number", 0),
    PAIRS,
    NOTE,
)
MONEY_COLUMNS = (
    Column("tool_money", "Tool per 1,000", "number", 3, "money that the tools' run time costs, a thousand times"),
    Column(
        "saving_money", "Saved per 1,000 requests", "number", 3, "the tool's own run not counted; negative: costs more"
    ),
    Column("uses_money", "Questions to break even in money", "number", 0),
    Column("money_note", "Note on money"),
)
"""At the end, where the run has prices."""
QUESTIONS = (0, 1, 2, 5, 10)


def tools(data: RunData) -> Section:
    """What running the tools costs, and after how many questions it pays."""
    known = [row for row in data.ordered(data.break_even) if row["approach"] in data.compared and row["model"] != ALL]
    rows = [
        ranked(
            {**row, **_money(row), "task": "all tasks" if row["task"] == ALL else data.task_name(row["task"])},
            main=row["task"] == ALL,
            quiet=settles_nothing(row, ("saving_s", "saving_low", "saving_high")),
        )
        for row in known
    ]
    caption = (
        "The verdict on time charges the tool's whole run to every request. This table shows when sharing one run "
        "between questions would change that. It is secondary and gets no verdict."
    )
    empty = "No task was completed both with and without tools."
    columns = (*TOOL_COLUMNS, *MONEY_COLUMNS) if data.currency else TOOL_COLUMNS
    table = Table("tool-cost", "Tool cost and break-even", caption, columns, rows, empty)
    figure = _break_even_figure(data, known)
    return Section("tools", "Tool cost and break-even", (table, figure) if figure else (table,), folded=True)


def _money(row: Row) -> Row:
    """Money of a row, a thousand times; nothing without prices."""
    found = {name: row.get(name) for name in ("tool_money", "saving_money")}
    return {name: 1000 * value for name, value in found.items() if value is not None}


def _break_even_figure(data: RunData, known: list[Row]) -> Figure | None:
    curves = [
        {
            "task": data.task_name(row["task"]),
            "series": row["approach"] if len(data.models) == 1 else f"{row['approach']} · {row['model']}",
            "questions": questions,
            "net_s": questions * plain_float(row["saving_s"]) - plain_float(row["tool_s"]),
            "low": questions * plain_float(row["saving_low"]) - plain_float(row["tool_s"]),
            "high": questions * plain_float(row["saving_high"]) - plain_float(row["tool_s"]),
        }
        for row in known
        if row["task"] != ALL and row["saving_s"] is not None
        for questions in QUESTIONS
    ]
    if not curves:
        return None
    said = "; ".join(
        f"{row['approach']} on {row['model']} makes a request {number(abs(row['saving_s']), 2)} s "
        f"{'shorter' if row['saving_s'] > 0 else 'longer'} for {number(row['tool_s'], 2)} s of tool"
        for row in known
        if row["task"] == ALL and row["saving_s"] is not None
    )
    said = f"Over all tasks {said}." if said else "Over all tasks nothing can be said."
    return Figure(
        "breakeven",
        "Time saved in all, by questions per tool run",
        f"{said} A line starts below zero by the cost of the tool. Where it crosses zero, the tool has paid for itself; "
        "a line that falls never does. Bands: 95 % intervals.",
        f"Net seconds saved over the number of questions per tool run, by task. {said}",
        "breakeven",
        pd.DataFrame(curves),
    )


VALIDITY_COLUMNS = (
    Column("check", "Check"),
    Column("description", "What it looks for"),
    Column("voids", "Affects"),
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
    rows = [ranked(row, main=bool(row["flagged"])) for row in ledger_summary(data.validity)]
    flagged = [row["check"] for row in rows if row["flagged"]]
    said = f"Flagged something: {listing(flagged)}." if flagged else "No check flagged anything." if rows else ""
    caption = (
        f"{said} Flagged samples do not count for the outcomes that the check affects (tokens, time or quality). "
        "A verdict is invalid if too many pairs are flagged, if the arms' flagged shares differ, or if the result changes "
        "with flagged pairs."
    ).lstrip()
    ledger = Table(
        "validity",
        "Validity checks",
        caption,
        VALIDITY_COLUMNS,
        rows,
        "The validity checks of this run have not been made.",
    )
    overall = [ranked(row, main=row["status"] != "ok") for row in records(data.checks) if row["task"] == ALL]
    checks = Table(
        "checks",
        "Checks of each verdict",
        "A failed check makes the verdict invalid or limits its scope.",
        CHECK_COLUMNS,
        overall,
        "No verdict was made, so there was nothing to check.",
    )
    return Section("validity", "Validity checks", (ledger, checks), folded=True)


def ledger_summary(ledger: pd.DataFrame) -> list[Row]:
    """One row per check: samples, flagged, unknown, share flagged of those known."""
    return records(summarise(ledger)) if len(ledger) else []
