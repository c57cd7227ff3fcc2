"""Results of finished runs as objects: figures, tables and reports, read when accessed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.config.models import OutputFormat
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.table_files import read_table
from ai_dev_tools.benchmark.reporting import console_summary

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class BenchmarkResults:
    """The results of one profile's run.

    Attributes:
        profile: hardware profile.
        folder: `results/{profile}`.
        command: the Snakemake command that made it.
        output_format: what `text` is.
    """

    profile: str
    folder: Path
    command: str
    output_format: OutputFormat = OutputFormat.JSON

    def samples(self) -> pd.DataFrame:
        """One row per sample; raises ConfigurationError if the table does not exist."""
        return _read_table(self.folder / "tables" / "samples.parquet")

    def metrics(self) -> pd.DataFrame:
        """Metrics by profile, model, task and approach, with all margins.

        Columns: metric, unit, value, low, high, n, note.
        """
        return self.table("metrics")

    def comparisons(self) -> pd.DataFrame:
        """Every arm against the reference, per model and task: ratios with intervals."""
        return self.table("comparisons")

    def verdicts(self) -> pd.DataFrame:
        """One row per claim, model and scope."""
        return self.table("verdicts")

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run by its file name; raises ConfigurationError if it does not exist."""
        return _read_table(self.folder / "tables" / f"{name}.csv")

    @cached_property
    def report(self) -> JsonObject:
        """The content of report.json."""
        return read_json(self.folder / "report" / "report.json")

    def _part(self, name: str) -> JsonObject:
        part = self.report.get(name)
        return dict(part) if isinstance(part, dict) else {}

    @property
    def benchmark_info(self) -> JsonObject:
        """Profile, number of tasks, sample size, execution mode."""
        return self._part("benchmark_info")

    @property
    def comparison_metrics(self) -> JsonObject:
        """Reductions of tokens and time in percent, positive = cheaper, and the change of efficiency."""
        return self._part("comparison_metrics")

    @property
    def overall_metrics(self) -> JsonObject:
        """Success rate, throughput, efficiency score."""
        return self._part("overall_metrics")

    @property
    def text(self) -> str:
        """The report in the requested format."""
        return report_text(self.folder, self.output_format)


@dataclass(frozen=True)
class _Overview:
    folder: Path
    command: str
    output_format: OutputFormat

    @cached_property
    def report(self) -> JsonObject:
        """The content of overview.json."""
        return read_json(self.folder / "overview.json")

    def arms(self) -> pd.DataFrame:
        """One row per profile, model and approach: number of requests, quality and cost."""
        return _read_table(self.folder / "arms.csv")

    def effects(self) -> pd.DataFrame:
        """Every arm against the reference within its own run."""
        return _read_table(self.folder / "effects_within_each_run.csv")

    @property
    def text(self) -> str:
        """The overview in the requested format."""
        return overview_text(self.folder, self.output_format)


@dataclass(frozen=True)
class BatchResults(_Overview):
    """The results of a batch: its members, and all of them in one overview."""

    name: str
    members: tuple[BenchmarkResults, ...] = ()


@dataclass(frozen=True)
class Comparison(_Overview):
    """Two profiles compared."""

    before: str
    after: str

    def changes(self) -> pd.DataFrame:
        """The differences between them, arm by arm, for models and cases that both have."""
        return _read_table(self.folder / "changes_between_the_runs.csv")


@dataclass(frozen=True)
class ComparisonResults:
    """The results of comparing profiles: the first with each of the others."""

    profiles: tuple[str, ...]
    command: str
    members: tuple[BenchmarkResults, ...]
    comparisons: tuple[Comparison, ...]

    def arms(self) -> pd.DataFrame:
        """The arms of all comparisons in one table, each profile once."""
        import pandas as pd  # takes 0.3 s

        every = pd.concat([c.arms() for c in self.comparisons], ignore_index=True)
        return every.drop_duplicates(["profile", "model", "approach"], ignore_index=True)

    @property
    def text(self) -> str:
        """All overviews in the requested format."""
        return "\n".join(c.text for c in self.comparisons)


def report_text(folder: Path, kind: OutputFormat) -> str:
    """The report of a run in one format, from its folder.

    Raises:
        ConfigurationError: the report has not been made.
    """
    report = folder / "report"
    if kind is OutputFormat.CONSOLE:
        return console_summary(report, kind, colour=False) + "\n"
    name = {OutputFormat.JSON: "report.json", OutputFormat.MARKDOWN: "report.md", OutputFormat.CSV: "report.csv"}[kind]
    try:
        return (report / name).read_text(encoding="utf-8")
    except OSError:
        raise ConfigurationError(
            f"{report / name} does not exist",
            remedy=f"Make it: snakemake report --config profile={folder.name.replace(paths.REPLAY, ' endpoint=replay')}",
        ) from None


def overview_text(folder: Path, kind: OutputFormat) -> str:
    """The overview in a folder in one format.

    Raises:
        ConfigurationError: it has not been made.
    """
    name = {OutputFormat.JSON: "overview.json", OutputFormat.CSV: "arms.csv"}.get(kind, "overview.md")
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError:
        raise ConfigurationError(f"{folder / name} does not exist: the run made no overview") from None


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return read_table(path)
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist: the run made no such table") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error})", remedy="Delete it; it is made again") from None


def read_json(path: Path) -> JsonObject:
    """A JSON object; raises ConfigurationError if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error})") from None
    return content if isinstance(content, dict) else {}
