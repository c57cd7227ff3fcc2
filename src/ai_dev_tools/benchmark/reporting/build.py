"""From a run's tables to what its report says."""

from __future__ import annotations

from collections.abc import Callable

from ai_dev_tools.benchmark._util.text import Number, is_missing
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.records.prices import MONEY
from ai_dev_tools.benchmark.reporting.data import RunData, records
from ai_dev_tools.benchmark.reporting.document import Report, Section
from ai_dev_tools.benchmark.reporting.machine import machine_in_short
from ai_dev_tools.benchmark.reporting.sections import background, comparison, cost, headline, measures, operation

TITLE = "AI Development Tools Benchmark Report"
SCHEMA_VERSION = 1
SECTIONS: tuple[Callable[[RunData], Section], ...] = (
    headline.headline,
    comparison.comparison,
    comparison.quality,
    measures.distributions,
    cost.cost,
    measures.metrics,
    operation.errors,
    background.browser,
    operation.timeline,
    operation.tools,
    operation.validity,
    background.provenance,
    background.methods,
    background.glossary,
    background.downloads,
)


def build_report(data: RunData) -> Report:
    """Everything the report says, free of any format; reads nothing but `data`."""
    return Report(
        title=TITLE,
        header=_header(data),
        sections=tuple(make(data) for make in SECTIONS),
        benchmark_info=_info(data),
        comparison_metrics=comparison_metrics(data, data.compared[0] if data.compared else None),
        overall_metrics=_overall(data),
        more=_more(data),
    )


def _header(data: RunData) -> tuple[tuple[str, str], ...]:
    machine = machine_in_short(data.sessions)
    return (
        ("Profile", data.profile.upper()),
        ("Generated", data.made.generated),
        ("Tasks", str(len(data.tasks))),
        ("Sample Size", str(_sample_size(data))),
        ("Models", ", ".join(data.models) or "none"),
        *((("Machine", machine),) if machine else ()),
    )


def _sample_size(data: RunData) -> int:
    """Samples per approach and task: as configured, else the most there are."""
    if data.about.samples:
        return data.about.samples
    counts = data.samples.groupby(["model", "task", "approach"]).size()
    return int(counts.max()) if len(counts) else 0


def _info(data: RunData) -> dict[str, object]:
    return {
        "profile": data.profile,
        "total_tasks": len(data.tasks),
        "sample_size": _sample_size(data),
        "execution_mode": data.about.execution_mode,
        "models": data.models,
        "tasks": data.tasks,
        "approaches": data.approaches,
        "total_samples": len(data.samples),
        "expected_samples": data.expected,
        "generated": data.made.generated,
    }


def comparison_metrics(data: RunData, approach: str | None) -> dict[str, float | None]:
    """The three known percentages for one approach against the reference; None if they cannot be given."""
    known = (
        {}
        if approach is None or approach in headline.tool_failures(data)
        else {name: data.comparison(name, approach).get("change_percent") for name in ("tokens", "time", MONEY)}
    )
    return {
        "token_reduction_percent": _plain(known.get("tokens")),
        "time_reduction_percent": _plain(known.get("time")),
        **({"money_reduction_percent": _plain(known.get(MONEY))} if data.currency else {}),
        "efficiency_improvement_percent": _improvement(data, approach),
    }


def _improvement(data: RunData, approach: str | None) -> float | None:
    """Relative change of the efficiency score in percent, as its own table has it.

    Runs from before that had none.
    """
    if approach is None or approach in headline.tool_failures(data):
        return None
    for row in records(data.efficiency):
        if (row["approach"], row["model"], row["task"]) == (approach, ALL, ALL):
            return _plain(row["change_percent"])
    scores = (data.metric("efficiency_score", approach=name).get("value") for name in (approach, data.reference))
    ours, base = map(_plain, scores)
    return None if ours is None or not base else 100 * (ours / base - 1)


def _overall(data: RunData) -> dict[str, float | None]:
    names = (
        "success_rate",
        "throughput",
        "efficiency_score",
        "error_rate",
        "timeout_rate",
        "quality",
        "duration_mean",
        "total_tokens_sum",
    )
    return {name: _plain(data.metric(name).get("value")) for name in names}


def _more(data: RunData) -> dict[str, object]:
    return {
        "compared": {"reference": data.reference, "approach": data.compared[0] if data.compared else None},
        "approaches": {name: comparison_metrics(data, name) for name in data.approaches if name != data.reference},
        "plan": data.plan.row() if data.plan else None,
        "verdict_rows": [_with_old_name(row) for row in records(data.verdicts)],
        "settings": _settings(data.about),
    }


def _settings(about: RunAbout) -> dict[str, object]:
    """What is known of how the run was set up, in the order of `RunAbout`."""
    named = ("profile", "samples", "execution_mode", "partial")
    return {name: getattr(about, name) for name in named} if about != RunAbout() else {}


def _plain(value: Number) -> float | None:
    return None if is_missing(value) else float(value)


def _with_old_name(row: Row) -> dict[str, object]:
    """A row with both `endpoint` and `outcome`: within a version of the schema, no field is renamed."""
    return {**row, "endpoint": row["outcome"]}
