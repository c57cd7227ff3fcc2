"""Where the numbers come from: hardware and software, the plan, methods in plain words, glossary."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ai_dev_tools.benchmark._util.text import is_missing, listing, number, plural
from ai_dev_tools.benchmark.analysis.validity import DEFAULTS
from ai_dev_tools.benchmark.records.plan import ALPHA
from ai_dev_tools.benchmark.reporting.data import RunData, records
from ai_dev_tools.benchmark.reporting.document import Block, Browser, Column, Facts, Notice, Section, Table, ranked
from ai_dev_tools.benchmark.reporting.machine import machine_facts
from ai_dev_tools.benchmark.reporting.sections.columns import APPROACH, MODEL
from ai_dev_tools.benchmark.reporting.sections.ledger import ledger_table
from ai_dev_tools.benchmark.reporting.sections.margins import margins_table


def browser(data: RunData) -> Section:
    """Where a sceptic reads single prompts and answers."""
    caption = (
        "Every request of the run: its prompt, answer, truth, score per field and timings, and the arms of one "
        "case side by side. What the model wrote is shown as text and never interpreted."
    )
    return Section("samples", "Sample browser", (Browser(caption),))


def provenance(data: RunData) -> Section:
    """Hardware, software, models, settings and plan."""
    samples = data.samples
    facts: list[tuple[str, str]] = []
    if description := data.about.profile.get("description"):
        facts.append(("Profile", f"{data.profile}: {description}"))
    facts += [*machine_facts(data.sessions, data.made.machine).items(), *data.made.software.items()]
    for name, column in (
        ("Endpoint", "endpoint_kind"),
        ("Server version", "endpoint_version"),
        ("Protocol", "protocol"),
        ("Context window", "num_ctx"),
        ("Output cap", "num_predict"),
    ):
        if values := distinct(samples, column):
            facts.append((name, listing(values)))
    embedded = samples[samples["endpoint_kind"] == "embedded"] if "endpoint_kind" in samples else samples[:0]
    if embedded["model"].nunique() > 1:
        facts.append(("Embedded models", "one at a time: they share the cores of this machine, so they took turns"))
    started = [text for text in samples["started_at"] if text] if "started_at" in samples else []
    if started:
        facts.append(("Measured", f"{min(started)[:19]} to {max(started)[:19]} UTC (first and last start)"))
    facts.append(("Sessions", number(samples["session"].nunique())))
    plan = data.plan
    facts.append(
        ("Plan", f"{plan.plan}, declared {plan.declared_at}" if plan else "none declared: everything is exploratory")
    )
    if plan and plan.prices:
        facts.append(("Prices", plan.prices.shown))
    own = distinct(samples, "plan")
    if plan and (others := [p for p in own if p != plan.plan]):
        facts.append(
            (
                "Earlier plans",
                f"{listing(others)}: the cards and the plans below say whether their samples count",
            )
        )
    blocks: list[Block] = [
        Facts(tuple((name, str(value)) for name, value in facts), compact=True),
        ledger_table(data),
        _models(data),
        _arms(data),
    ]
    return Section("provenance", "Hardware, software and provenance", tuple(blocks))


def distinct(samples: pd.DataFrame, column: str) -> list[str]:
    """The distinct values of a column as text, in order of appearance; none without the column."""
    if column not in samples:
        return []
    values = [value for value in samples[column].unique() if not is_missing(value) and value != ""]
    return [number(v) if isinstance(v, float) else str(v) for v in values]


def _models(data: RunData) -> Table:
    rows = []
    for (model, instance, digest, kind), part in data.samples.groupby(
        ["model", "instance", "model_digest", "endpoint_kind"], sort=True
    ):
        rows.append(
            {
                "model": model,
                "instance": instance,
                "digest": str(digest)[:19],
                "kind": kind,
                "n": len(part),
                "rss": part["server_peak_rss_bytes"].max() / 1e6,
            }
        )
    columns = (
        MODEL,
        Column("instance", "Instance"),
        Column("digest", "Digest (start)"),
        Column("kind", "Endpoint"),
        Column("n", "Samples", "number"),
        Column("rss", "Server memory, MB", "number"),
    )
    return Table(
        "models",
        "Models",
        (
            "More than one digest for a model means that it changed during the run; the validity checks flag "
            "those samples."
        ),
        columns,
        rows,
        "No sample names a model.",
    )


def _arms(data: RunData) -> Table:
    purposes = data.about.approaches
    rows = [
        {"approach": name, "purpose": purposes.get(name, ""), "n": int((data.samples["approach"] == name).sum())}
        for name in data.approaches
    ]
    columns = (
        APPROACH,
        Column("purpose", "What the model gets"),
        Column("n", "Samples", "number"),
    )
    return Table(
        "approaches",
        "Approaches",
        "All approaches ask the same question with the same answer format; only the context differs.",
        columns,
        rows,
    )


METHODS = (
    (
        "What is estimated",
        (
            "For every case, the cost with the tool is divided by the cost without it: the raw files, or the agent "
            "alone. The reported ratio is the geometric mean of these ratios. Reduction = 100 (1 − ratio), so positive "
            "is cheaper. The bill ratio is the total cost of one approach divided by that of the other. Saving "
            "requires both below 1."
        ),
    ),
    (
        "One observation",
        (
            "Repeats of a case are averaged, then cases within a cluster (the project or source file that they "
            "come from). Tests use cluster means and weight all tasks equally. Cases of one project resemble "
            "each other; treating them as independent would find savings that do not exist."
        ),
    ),
    (
        "Interval",
        (
            "The wider of a t interval and a studentised bootstrap interval on cluster means, two-sided 95 %. "
            "Results from fewer than {least_clusters} describe only these files."
        ),
    ),
    (
        "Decision",
        (
            "Saves: the one-sided test against the margin (a ratio of {margin}) passes at a family-wise error "
            "rate of {alpha}, adjusted by Holm's method over all primary claims of the plan. Costs: the same on "
            "the other side (1/{margin}). Otherwise inconclusive, with the smallest ratio that this run would have "
            "found with 80 % power."
        ),
    ),
    (
        "Quality gate",
        (
            "Saves is said only if the answers are not worse: over all models of the claim, the lower confidence bound "
            "of the mean difference in score must be above minus the margin ({quality_margin}). A task in which a "
            "loss beyond {veto} is shown vetoes it. The gate counts only if reference and approach both "
            "beat guessing (the arm {floor}), because equal quality means nothing otherwise."
        ),
    ),
    (
        "Plan",
        (
            "Claims, margins, arms, models, cases and the number of samples are written to plans.jsonl before the "
            "first request. Only the planned number of samples gives a verdict; earlier looks are interim. A later plan "
            "that only adds (samples, cases, tasks, models, tools) keeps the samples of the earlier ones, and every "
            "further plan for a claim halves its error rate. If it leaves out or changes something, or no plan "
            "foresaw a sample, the claim is exploratory."
        ),
    ),
    (
        "Cut-off values",
        (
            "A request that timed out is an interval, not a number: saving is tested with the tool at its most expensive and "
            "the baseline at its cheapest, costing the other way round. An answer cut at the output cap, which is your setting, "
            "costs what was paid; the table also shows what the ratio could be if it had continued."
        ),
    ),
    (
        "Failures",
        (
            "If an arm causes a failure itself (a crashed tool, a prompt that does not fit, a refusal, a malformed "
            "answer), the user falls back to the baseline: both costs count, and so does the baseline's answer. An answer "
            "that cannot be parsed scores 0 and is not asked again. The cost of a request is the cost of all its "
            "attempts. Pairs lost to infrastructure are dropped; if more than {most_dropped} % are dropped, the verdict is invalid."
        ),
    ),
    (
        "Time",
        (
            "Only pairs measured next to each other in one session, with the same concurrency in both arms, count. "
            "Prompts start with a nonce, so that no prefix cache shortens one arm. The tool's whole run time is "
            "charged to every request."
        ),
    ),
    (
        "Everything else",
        (
            "Everything that is not a verdict is exploratory: its p-values are adjusted by Benjamini and Hochberg's method, "
            "and it gets no verdict."
        ),
    ),
)
MONEY_METHOD = (
    "Money",
    (
        "Prompt, cached and generated tokens, at the prices of the plan; cached tokens are priced as such only where the server "
        "reports them. Where an hour of measuring has a price, a request pays its share of the machine (its seconds divided by "
        "the requests in flight), and the tool pays its run time. Prices belong to the claim: with other prices than those "
        "declared before the samples, a claim about money is exploratory."
    ),
)
GLOSSARY = (
    (
        "Approach (arm)",
        (
            "how the model gets its context: raw files (baseline), condensed findings (tools), nothing "
            "(no_context), or a control"
        ),
    ),
    ("Bill ratio", "total cost of one approach divided by that of the other, for what was actually asked"),
    ("Break-even", "how many questions must share one tool run until its time has paid off"),
    ("Case", "one concrete question about real files, with a known answer"),
    ("Censored", "cut off by a limit; the true value is larger than the one seen"),
    ("Cluster", "the project or source file that a case comes from; the statistical unit"),
    ("ECDF", "share of values at or below each value"),
    (
        "Efficiency score",
        "a composite kept from the earlier system (success, throughput, token speed, duration); it ignores quality",
    ),
    ("Exploratory", "not announced in the plan, so it may have been found by looking around"),
    (
        "Floor",
        "what guessing scores: an arm that sees only the question; no_context (for agents agent-none), unless the plan "
        "names another",
    ),
    ("Interim", "before all planned samples exist"),
    ("Margin", "how far from 1 a ratio must certainly be for saving or costing"),
    ("Pareto front", "approaches that no other approach beats in both quality and cost"),
    ("Quality", "mean score of the answers against the known answers, 0 to 1"),
    ("Verdict", "saves, costs, inconclusive or invalid; never said without the tests under Methods"),
)


def methods(data: RunData) -> Section:
    """The exact tests, in plain words."""
    values = {
        "margin": data.margin,
        "alpha": data.plan.alpha if data.plan else ALPHA,
        "quality_margin": data.quality.margin,
        "veto": data.quality.task_veto,
        "floor": _floors(data),
        "least_clusters": plural(int(data.least_clusters), "cluster"),
        "most_dropped": f"{100 * data.threshold('dropped pairs', DEFAULTS.max_dropped):g}",
    }
    items = tuple((name, text.format(**values)) for name, text in METHODS)
    if data.currency:
        items = (*items[:-1], MONEY_METHOD, *items[-1:])
    return Section("methods", "Methods", (Facts(items), *margins_table(data), *_definitions(data)), folded=True)


def _floors(data: RunData) -> str:
    floors = data.floors
    if len({*floors.values()}) == 1:
        return next(iter(floors.values()))
    return listing([f"{floor} for {reference}" for reference, floor in floors.items()])


DEFINITION_COLUMNS = (
    Column("kind", "Kind"),
    Column("name", "Name"),
    Column("unit", "Unit"),
    Column("description", "What it is"),
    Column("options", "Settings"),
    Column("origin", "Defined in"),
)


def _definitions(data: RunData) -> Iterator[Table]:
    """Every metric, comparison and check of this run; not in runs from before these were recorded."""
    if len(data.definitions):
        caption = (
            "What was computed. A flagged sample does not count for the outcomes that its check names; files are plugins of "
            "this run."
        )
        rows = [ranked(row, main=False) for row in records(data.definitions)]
        yield Table("definitions", "Metrics, comparisons and checks", caption, DEFINITION_COLUMNS, rows)


def glossary(data: RunData) -> Section:
    """Words of this report."""
    return Section("glossary", "Glossary", (Facts(GLOSSARY),), folded=True)


def downloads(data: RunData) -> Section:
    """Where the data behind the report are."""
    files = (
        ("report.json", "everything here for programs; its schema is in the package"),
        ("report.csv, tables/*.csv", "the tables of this page: metrics, comparisons, verdicts, errors …"),
        ("../tables/*.csv, *.parquet", "the data behind them: every sample, and each table with all of its columns"),
        ("report.xml", "one test case per verdict, for continuous integration (JUnit)"),
        ("badges/*.svg", "one badge per verdict"),
        ("../figures/*.svg, *.png, *.csv", "the figures and the data behind each"),
        ("report.ipynb", "the executed notebook that made this page"),
    )
    return Section(
        "files",
        "Files",
        (
            Facts(files),
            Notice(
                "info", "Every number here is derived from the sample files of the run; nothing was typed in by hand."
            ),
        ),
        folded=True,
    )
