"""The tables of a run as a report reads them: missing tables are empty and never an error."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec
import pandas as pd

from ai_dev_tools.benchmark._util.text import Number, is_missing
from ai_dev_tools.benchmark.analysis.money import currency_of, is_priced
from ai_dev_tools.benchmark.analysis.plan_in_force import CONTROLS, floor_of
from ai_dev_tools.benchmark.analysis.reasons import KEY, Key, Reason, earlier_reasons, reasons_by_verdict
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.rows import records as records
from ai_dev_tools.benchmark.analysis.samples_table import ALL, REQUIRED, TEXT, prepare
from ai_dev_tools.benchmark.analysis.validity import DEFAULTS
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import TOOL_PREFIX, agent_tool_of, reference_for
from ai_dev_tools.benchmark.records import table_files as tablefiles
from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.records.paths import safe_model
from ai_dev_tools.benchmark.records.plan import MARGIN_RATIO, DeclaredPlan, QualityRule, read_plans, up_to
from ai_dev_tools.benchmark.records.sample import SampleError
from ai_dev_tools.benchmark.reporting.machine import ReportOrigin, Session, sessions_of

REFERENCE = "baseline"
DERIVED = ("metrics", "comparisons", "verdicts", "checks", "controls", "validity", "skipped", "costs", "break_even",
           "efficiency", "definitions", "sensitivity", "reasons")  # fmt: skip


class Failure(msgspec.Struct):
    """The fields of a request in a block file that the errors table needs."""

    status: str
    model: str
    task: str
    approach: str
    case: str
    sample: int
    error: SampleError | None = None

    @property
    def cell(self) -> tuple[str, ...]:
        """Status, error class, model, task and approach."""
        return self.status, self.error.class_ if self.error else "", self.model, self.task, self.approach


@dataclass(frozen=True)
class RunData:
    """Everything a report is made of.

    Attributes:
        about: what the settings say of the run.
        samples: one row per sample.
        metrics, comparisons, verdicts, checks, controls, validity, skipped, costs, break_even: derived tables, empty
            where there are none.
        efficiency: change of the composite score of each arm against the reference.
        definitions: what every metric, comparison and check is, custom ones included.
        sensitivity: the word of each claim at other margins than the declared ones.
        reasons: of each verdict, one row each; empty in runs of earlier versions.
        plans: the plan ledger, oldest first.
        sessions: what block jobs recorded of server, model and machine.
        failures: requests that did not complete, with their messages; empty if the block files are not available.
        made: when, where and with what the report is made.
    """

    about: RunAbout
    samples: pd.DataFrame
    metrics: pd.DataFrame = field(default_factory=pd.DataFrame)
    comparisons: pd.DataFrame = field(default_factory=pd.DataFrame)
    verdicts: pd.DataFrame = field(default_factory=pd.DataFrame)
    checks: pd.DataFrame = field(default_factory=pd.DataFrame)
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)
    validity: pd.DataFrame = field(default_factory=pd.DataFrame)
    skipped: pd.DataFrame = field(default_factory=pd.DataFrame)
    costs: pd.DataFrame = field(default_factory=pd.DataFrame)
    break_even: pd.DataFrame = field(default_factory=pd.DataFrame)
    efficiency: pd.DataFrame = field(default_factory=pd.DataFrame)
    definitions: pd.DataFrame = field(default_factory=pd.DataFrame)
    sensitivity: pd.DataFrame = field(default_factory=pd.DataFrame)
    reasons: pd.DataFrame = field(default_factory=pd.DataFrame)
    plans: Sequence[DeclaredPlan] = ()
    sessions: Sequence[Session] = ()
    failures: Sequence[Failure] = ()
    made: ReportOrigin = field(default_factory=ReportOrigin.here)

    @cached_property
    def profile(self) -> str:
        """Name of the hardware profile."""
        return self.about.profile_name or (str(self.samples["profile"].iloc[0]) if len(self.samples) else "unknown")

    @cached_property
    def models(self) -> list[str]:
        """Model tags, configured ones first."""
        return self._levels("model", self.about.models)

    @cached_property
    def tasks(self) -> list[str]:
        """Task ids, configured ones first."""
        return self._levels("task", [*self.about.tasks])

    @cached_property
    def approaches(self) -> list[str]:
        """Arms, configured ones first."""
        return self._levels("approach", [*self.about.approaches])

    @cached_property
    def compared(self) -> list[str]:
        """Arms that a claim is about: `tools` and the named tools."""
        return [name for name in self.approaches if is_claimed(name) and name != self.reference]

    @cached_property
    def reference(self) -> str:
        """The arm that the others are compared with."""
        named = [str(name) for name in self.comparisons.get("reference", pd.Series(dtype=str)).dropna().unique()]
        return REFERENCE if REFERENCE in named or not named else named[0]

    @cached_property
    def currency(self) -> str:
        """What its money is counted in; empty where it has no prices."""
        return currency_of(self.samples) if is_priced(self.samples) else ""

    @property
    def plan(self) -> DeclaredPlan | None:
        """The plan that the run is judged by; None if none was declared."""
        return self.plans[-1] if self.plans else None

    @property
    def margin(self) -> float:
        """The ratio below which the plan's claims count as saving."""
        return next((claim.margin_ratio for claim in self.plan.claims), MARGIN_RATIO) if self.plan else MARGIN_RATIO

    @property
    def quality(self) -> QualityRule:
        """When the plan's claims count an arm's answers as not worse."""
        return self.plan.quality if self.plan else QualityRule()

    @property
    def floors(self) -> dict[str, str]:
        """The arm that shows what guessing scores, by the reference that it belongs to: agents have their own."""
        judged = [name for name in self.approaches if name not in CONTROLS]
        references = dict.fromkeys(reference_for(name, self.reference) for name in judged) or [self.reference]
        return {name: floor_of(name, self.quality) for name in references}

    @property
    def expected(self) -> int | None:
        """How many samples the settings ask for; None when they are not known."""
        return self.about.expected_samples

    @property
    def given(self) -> dict[str, object]:
        """Settings of the call that made the run, by name; empty if they were not recorded."""
        return self.about.given

    def task_name(self, task: str) -> str:
        """A task's name for people."""
        return self.about.tasks.get(task, task)

    def metric(self, name: str, *, model: str = ALL, task: str = ALL, approach: str = ALL) -> Row:
        """A row of the metrics table (value, low, high, n, note, unit); empty when there is none."""
        return self._metrics.get((name, model, task, approach), {})

    def comparison(self, name: str, approach: str, *, model: str = ALL, task: str = ALL) -> Row:
        """A row of the comparisons table against the reference; empty when there is none."""
        return self._comparisons.get((name, approach, model, task), {})

    def why(self, verdict: Row) -> list[Reason]:
        """The reasons of a row of the verdicts table; of an earlier version, which has no table of them, from its text."""
        if not len(self.reasons):
            return earlier_reasons(str(verdict.get("reasons") or ""))
        profile, claim, models, task = (str(verdict[name]) for name in KEY)
        return self._reasons.get((profile, claim, models, task), [])

    @cached_property
    def least_clusters(self) -> float:
        """Clusters below which a result describes its own files only."""
        return self.threshold("enough clusters", DEFAULTS.min_clusters)

    def threshold(self, check: str, usual: float) -> float:
        """The threshold of a check that the verdicts were judged with; the usual one where none was."""
        if not len(self.checks):
            return usual
        values = self.checks.loc[self.checks["check"] == check, "threshold"].dropna()
        return float(values.iloc[0]) if len(values) else usual

    def ordered(self, table: pd.DataFrame) -> list[Row]:
        """Rows of a derived table with models, tasks and approaches in the order of the run, the whole first."""
        places = {
            name: {level: place for place, level in enumerate([ALL, *levels])}
            for name, levels in (("model", self.models), ("task", self.tasks), ("approach", self.approaches))
        }
        return sorted(
            records(table), key=lambda row: [place.get(row[name], len(place)) for name, place in places.items()]
        )

    @cached_property
    def _reasons(self) -> dict[Key, list[Reason]]:
        try:
            return reasons_by_verdict(self.reasons)
        except ValueError as error:
            raise ConfigurationError(
                f"the table reasons of {self.profile} cannot be read ({error})", remedy="Delete it; it is made again"
            ) from None

    @cached_property
    def _metrics(self) -> dict[tuple[str, ...], Row]:
        rows = records(self.metrics)
        kept = [row for row in rows if row["profile"] in (self.profile, ALL)]
        return {(row["metric"], row["model"], row["task"], row["approach"]): row for row in reversed(kept)}

    @cached_property
    def _comparisons(self) -> dict[tuple[str, ...], Row]:
        rows = [
            row
            for row in records(self.comparisons)
            if row["reference"] == reference_for(str(row["approach"]), self.reference) and row["stratum"] == ALL
        ]
        return {(row["comparison"], row["approach"], row["model"], row["task"]): row for row in reversed(rows)}

    def _levels(self, column: str, known: list[str]) -> list[str]:
        present = sorted(map(str, self.samples[column].dropna().unique())) if len(self.samples) else []
        return [*known, *(name for name in present if name not in known)]


def is_claimed(approach: str) -> bool:
    """Whether claims are about this arm: `tools`, a named tool's, or an agent's that has a tool."""
    return approach == "tools" or approach.startswith(TOOL_PREFIX) or agent_tool_of(approach) is not None


def plain_samples(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples table with every column, and `start`.

    Texts are objects ("" where missing), numbers are floats.
    """
    if not len(samples):
        samples = pd.DataFrame(columns=list(REQUIRED))
    table = prepare(samples)
    texts = {name: table[name].astype(object).where(table[name].notna(), "") for name in TEXT}
    return table.assign(**texts)


def read_table(path: Path) -> pd.DataFrame:
    """A table from its Parquet file if there is one, otherwise from CSV.

    Empty where there is neither.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    parquet = path.with_suffix(".parquet")
    try:
        if parquet.exists():
            return tablefiles.read_table(parquet)
        if path.exists():
            return tablefiles.read_table(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error})", remedy="Delete it; it is made again") from None
    return pd.DataFrame()


def read_run(
    tables: Path, about: RunAbout | None = None, plans: Path | None = None, made: ReportOrigin | None = None
) -> RunData:
    """Read what a report is made of.

    Args:
        tables: folder with samples.csv or .parquet, and any derived tables; `identity` and `blocks` lie
            beside it.
        about: what the settings say of the run.
        plans: the plan ledger.
        made: how the report came about, if not here and now.

    Raises:
        ConfigurationError: a table or the ledger is there but cannot be read.
    """
    about = about or RunAbout()
    samples = read_table(tables / "samples.csv")
    blocks = blocks_of(samples)
    sessions = sessions_of(tables.parent / "identity", blocks)
    frames = {name: read_table(tables / f"{name}.csv") for name in DERIVED}
    return RunData(
        about=about,
        samples=plain_samples(samples),
        plans=up_to(read_plans(plans), about.plan) if plans else [],
        sessions=sessions,
        failures=failures_of(tables.parent / "blocks", blocks),
        made=made or ReportOrigin.here(),
        **frames,
    )


def blocks_of(samples: pd.DataFrame) -> set[tuple[str, str]]:
    """Model (as in file names) and task of every block; others in the same folder are of another run."""
    if not {"model", "task"} <= set(samples.columns):
        return set()
    pairs = samples[["model", "task"]].astype(str).drop_duplicates().to_numpy()
    return {(safe_model(model), task) for model, task in pairs}


def failures_of(blocks: Path, known: Container[tuple[str, str]] | None = None) -> list[Failure]:
    """Requests of a run's block files that did not complete; none if there is no such file.

    Args:
        known: the blocks of the run, see `blocks_of`; all by default.

    Raises:
        ConfigurationError: a line is not a sample.
    """
    decoder = msgspec.json.Decoder(Failure)
    found: list[Failure] = []
    for path in sorted(blocks.glob("*/*.jsonl")):
        if known is not None and (path.parent.name, path.stem) not in known:
            continue
        try:
            samples = [decoder.decode(line) for line in path.read_bytes().splitlines() if line]
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigurationError(f"{path} cannot be read ({error})", remedy="Delete it; it is made again") from None
        found += [sample for sample in samples if sample.status != "completed"]
    return found


def plain_float(value: Number) -> float:
    """A number as a float; NaN if there is none."""
    return float("nan") if is_missing(value) else float(value)


def settles_nothing(row: Row, names: tuple[str, str, str] = ("value", "low", "high"), least: float = 0) -> bool:
    """Whether nothing can be concluded from an estimate.

    There is none, its interval is open, or it rests on too few clusters.

    Args:
        names: columns of the estimate and of the ends of its interval.
        least: clusters below which it describes its own files only.
    """
    if not all(math.isfinite(plain_float(row.get(name))) for name in names):
        return True
    return plain_float(row.get("clusters")) < least
