"""Two stored runs next to each other, over the cases that both asked; and the members of a batch as one overview."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ai_dev_tools.benchmark.batches import Batch
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.overview import arms, changes, effects, shared_cases, together, write_overview
from ai_dev_tools.benchmark.runs import Run


def write_comparison(before: Run, after: Run, folder: Path, reference: str) -> None:
    """Compare two runs (or two profiles) and write what is found.

    Raises:
        ConfigurationError: they share no case, or the folder cannot be written.
    """
    everything = together([before, after])
    samples = shared_cases(everything, "run")
    if samples.empty:
        raise ConfigurationError(
            f"'{before.name}' and '{after.name}' share no case", remedy="Compare runs of the same tasks and sizes"
        )
    cases = samples[["task", "case"]].drop_duplicates().groupby("task", observed=True).size()
    left_out = len(everything) - len(samples)
    lead = [
        f"Over the {int(cases.sum())} cases of {len(cases)} tasks that both runs asked; {left_out} samples of other "
        "cases are left out.",
        f"Changes are {after.name} relative to {before.name}, for the same model and arm: a value below 1 is cheaper. "
        "Times compare two machines or two days, not two tools: judge a tool by its effect within a run.",
    ]
    tables = {
        "Arms": arms(samples),
        "Effects within each run": effects(samples, reference),
        "Changes between the runs": changes(samples, after.name, before.name, "run"),
    }
    about = {
        "before": before.name,
        "after": after.name,
        "cases": {str(k): int(v) for k, v in cases.items()},
        "left_out": left_out,
    }
    write_overview(folder, f"{before.name} compared with {after.name}", lead, tables, about)


def write_batch_report(name: str, batch: Batch, runs: Sequence[Run], folder: Path, reference: str) -> None:
    """One overview over all members of a batch.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    samples = together(runs)
    failed = int((samples["status"] != "completed").sum())
    lead = [
        f"{batch.description or name}: {', '.join(batch.profiles)}, {batch.samples} samples per approach, "
        f"{len(samples)} requests, {failed} of them without a complete answer.",
        "Verdicts are in the report of each profile; this page only puts their figures side by side.",
    ]
    tables = {"Arms": arms(samples), "Effects within each run": effects(samples, reference)}
    about = {"batch": name, **batch.model_dump(mode="json"), "requests": len(samples), "incomplete": failed,
             "reports": {p: f"../../{p}/report/report.html" for p in batch.profiles}}  # fmt: skip
    write_overview(folder, f"Batch {name}", lead, tables, about)
