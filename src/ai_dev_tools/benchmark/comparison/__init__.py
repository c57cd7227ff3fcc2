"""Two stored runs next to each other, over the cases that both asked.

And the members of a batch as one overview.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ai_dev_tools.benchmark._util.clock import busy_seconds
from ai_dev_tools.benchmark._util.text import listing, number, plural
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.comparison.page import write_overview
from ai_dev_tools.benchmark.comparison.repetition import Repetition, compare_requests
from ai_dev_tools.benchmark.comparison.run import StoredRun
from ai_dev_tools.benchmark.comparison.run_set import RunSet, overall
from ai_dev_tools.benchmark.comparison.sections import differences, effects
from ai_dev_tools.benchmark.comparison.tables import changes, shared_cases, together
from ai_dev_tools.benchmark.config.batches import Batch
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.reporting.document import Column, Links, Page, Prose, Section, Table, Verdicts
from ai_dev_tools.benchmark.reporting.machine import generated_at
from ai_dev_tools.benchmark.reporting.sections.columns import TASK
from ai_dev_tools.benchmark.reporting.sections.headline import count_words, verdict_of


def write_comparison(
    before: StoredRun, after: StoredRun, folder: Path, reference: str, thresholds: ValidityThresholds | None = None
) -> None:
    """Compare two runs (or two profiles) and write what is found.

    Args:
        reference: the arm that the others are compared with.
        thresholds: when checks flag a sample.

    Raises:
        ConfigurationError: they share no case, or the folder cannot be written.
    """
    everything = Samples.prepare(together([before, after]), thresholds, reference)
    samples = shared_cases(everything, "run")
    if not len(samples):
        raise ConfigurationError(
            f"'{before.name}' and '{after.name}' share no case", remedy="Compare runs of the same tasks and sizes"
        )
    data = RunSet((before, after), samples)
    repetition = compare_requests(before, after)
    changed = changes(samples, after.name, before.name, "run", tasks=True)
    cases = _case_counts(everything.frame, samples.frame, data.names)
    page = Page(
        f"{before.name} compared with {after.name}",
        (
            ("Before", before.name),
            ("After", after.name),
            ("Shared cases", number(sum(row["shared"] for row in cases))),
            ("Generated", generated_at()),
        ),
        (
            differences.changed(data),
            effects.effects(data),
            differences.changes(data, changed),
            _request_by_request(repetition),
            effects.scaling(data),
            effects.quality(data),
            effects.arms(data),
            effects.failures(data),
            _scope(cases, data.names, len(everything) - len(samples)),
        ),
    )
    tables = {
        "Arms": data.arms,
        "Effects within each run": data.effects,
        "Changes between the runs": changed[changed["task"] == ALL].drop(columns="task").reset_index(drop=True),
    }
    about = {
        "before": before.name,
        "after": after.name,
        "cases": {row["task"]: row["shared"] for row in cases if row["shared"]},
        "left_out": len(everything) - len(samples),
        "verdicts_hold": repetition.holds,
        "repetition": repetition.lines,
    }
    write_overview(folder, page, tables, about)


def _request_by_request(repetition: Repetition) -> Section:
    """The result of a repetition, which asks the same model the same questions again."""
    shared = repetition.shared
    rows = [
        {
            "field": name.replace("_", " "),
            "differ": count,
            "same": shared - count,
            "share": count / shared if shared else None,
        }
        for name, count in repetition.differing.items()
    ]
    columns = (
        Column("field", "Recorded"),
        Column("same", "The same", "number"),
        Column("differ", "Differ", "number"),
        Column("share", "Share that differs", "percent", 1),
    )
    alone = f"{number(repetition.only_before)} were asked only before, {number(repetition.only_after)} only after."
    caption = (
        f"Of {plural(shared, 'request')} that both asked; {alone} Where one run repeats the other (a replay, or the same "
        "prompts and seeds on the same model), nothing should differ here; otherwise this only says how alike they are."
    )
    table = Table("requests", "What was recorded, request by request", caption, columns, rows)
    return Section("repetition", "Request by request", (table,))


def _case_counts(everything: pd.DataFrame, shared: pd.DataFrame, names: Sequence[str]) -> list[Row]:
    """Cases of each task: asked by both, and by one alone."""

    def cases(samples: pd.DataFrame) -> set[tuple[str, str]]:
        return set(map(tuple, samples[["task", "case"]].astype(str).drop_duplicates().to_numpy()))

    both = cases(shared)
    sides = [cases(everything[everything["run"] == name]) - both for name in names]
    return [
        {"task": task, "shared": sum(t == task for t, _ in both)}
        | {key: sum(t == task for t, _ in side) for key, side in zip(("before", "after"), sides, strict=True)}
        for task in sorted({task for task, _ in both.union(*sides)})
    ]


def _scope(cases: list[Row], names: Sequence[str], left_out: int) -> Section:
    columns = (
        TASK,
        Column("shared", "Cases of both", "number"),
        Column("before", f"only {names[0]}", "number"),
        Column("after", f"only {names[1]}", "number"),
    )
    caption = (
        "Everything except the verdicts covers only the cases that both runs asked; "
        f"{plural(left_out, 'sample')} of other cases are left out."
    )
    words = Prose(
        (
            "Ratios are geometric means over pairs of requests about the same case; repeats are averaged, then cases "
            "within a cluster, and intervals come from cluster means, as in each run's report.",
        )
    )
    return Section("scope", "Scope and method", (words, Table("cases", "Shared cases", caption, columns, cases)))


def write_batch_report(
    name: str,
    batch: Batch,
    runs: Sequence[StoredRun],
    folder: Path,
    reference: str,
    thresholds: ValidityThresholds | None = None,
) -> None:
    """One overview over all members of a batch; further arguments as of `write_comparison`.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    samples = Samples.prepare(together(runs), thresholds, reference)
    data = RunSet(tuple(runs), samples)
    failed = int((samples.frame["status"] != "completed").sum())
    reports = {profile: f"../../{profile}/report/report.html" for profile in batch.profiles}
    page = Page(
        f"Batch {name}",
        (
            ("Profiles", listing(list(batch.profiles))),
            ("Samples per approach", number(batch.samples)),
            ("Requests", number(len(samples))),
            ("Generated", generated_at()),
        ),
        (
            _batch_verdicts(data, batch, reports),
            effects.effects(data),
            effects.scaling(data),
            effects.quality(data),
            effects.arms(data),
            _took(data, batch),
            effects.failures(data),
        ),
    )
    tables = {"Arms": data.arms, "Effects within each run": data.effects}
    about = {"batch": name, **batch.model_dump(mode="json"), "requests": len(samples), "incomplete": failed,
             "reports": reports}  # fmt: skip
    write_overview(folder, page, tables, about)


def _batch_verdicts(data: RunSet, batch: Batch, reports: Mapping[str, str]) -> Section:
    """Notices of every member, its verdicts, and the way to its own report."""
    rows = [row for run in data.runs for row in overall(run.verdicts)]
    cards = tuple(verdict_of(row) for row in rows)
    return Section(
        "verdicts",
        "Verdicts",
        (
            *effects.run_notices(data),
            Verdicts(cards, "No verdict: no member of the batch made a claim that its samples can answer."),
            Links(tuple((f"Report of {profile}", place) for profile, place in reports.items())),
        ),
        lead=" ".join(text for text in (batch.description and f"{batch.description}.", count_words(cards)) if text),
    )


def _took(data: RunSet, batch: Batch) -> Section:
    """How long measuring took, compared with the nominal time."""
    rows: list[Row] = []
    for name, one in data.data.items():
        known = one.samples[one.samples["start"].notna() & one.samples["duration_s"].notna()]
        spans = zip(known["start"], known["start"] + known["duration_s"], strict=True)
        rows.append(
            {
                "run": name,
                "models": listing(sorted(set(one.samples["model"]))),
                "requests": len(one.samples),
                "completed": int((one.samples["status"] == "completed").sum()),
                "minutes": busy_seconds(spans) / 60 if len(known) else None,
            }
        )
    total = sum(row["minutes"] or 0.0 for row in rows)
    nominal = (
        "{:g} to {:g} minutes nominal".format(*batch.nominal_minutes) if batch.nominal_minutes else "no nominal time"
    )
    columns = (
        Column("run", "Run"),
        Column("models", "Models"),
        Column("requests", "Requests", "number"),
        Column("completed", "Completed", "number"),
        Column("minutes", "Measuring, minutes", "number", 1, "time in which at least one request was in flight"),
    )
    caption = (
        f"{number(total, 1)} minutes of measuring in all; {nominal}. Loading models and running tools take extra time."
    )
    return Section("time", "Measuring time", (Table("time-taken", "Measuring time", caption, columns, rows),))
