"""Inputs of the rules that put several runs side by side: comparisons and batches."""

from __future__ import annotations

import sys
from pathlib import Path

from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.config.batches import find_batch
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.estimate import announcement, estimate, measured_blocks, seconds_per_request
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.workflow.call_settings import ends_in_lines
from ai_dev_tools.benchmark.workflow.known_names import KnownNames, Wildcards, for_job


class RunSets:
    """What is put side by side.

    Args:
        settings: all settings of the call.
    """

    def __init__(self, experiment: Experiment, names: KnownNames, settings: JsonObject) -> None:
        self.names = names
        self._experiment, self._settings = experiment, settings

    @ends_in_lines
    def comparisons(self, wildcards: object) -> list[str]:
        """Comparisons that `compare=a,b,c` asks for: the first with each other one."""
        first, *others = self._experiment.compared
        for replay in (name for name in (first, *others) if name.endswith(paths.REPLAY)):
            recorded = replay.removesuffix(paths.REPLAY)
            if not self._is_run(recorded):
                raise ConfigurationError(
                    f"there is no finished run of '{recorded}' to replay",
                    remedy=f"Run it first, with the same settings: snakemake report --config profile={recorded}",
                )
            if self._experiment.source == "samples" and not self._is_run(replay):
                raise ConfigurationError(
                    f"'{recorded}' was not replayed yet",
                    remedy=f"Do that first: snakemake report --config profile={recorded} endpoint=replay",
                )
        return [f"{paths.COMPARISON.format(before=first, after=other)}/overview.html" for other in others]

    def _is_run(self, profile: str) -> bool:
        return all(Path(file).exists() for file in self._experiment.block_files(profile))

    @for_job
    def tables_before(self, job: Wildcards) -> list[str]:
        """The tables of samples and of verdicts of the first run of a comparison."""
        return _tables(job.before)

    @for_job
    def tables_after(self, job: Wildcards) -> list[str]:
        """Those of the second."""
        return _tables(job.after)

    @ends_in_lines
    def batch_report(self, wildcards: object) -> list[str]:
        """The overview and every member's report of the batch that `batch=NAME` names."""
        name = self._experiment.config.batch
        if not name:
            raise ConfigurationError("say which batch to run: snakemake batch --config batch=quick")
        batch = find_batch(self._settings, name)
        measured = seconds_per_request(measured_blocks(Path("results")))
        guess = estimate(self._experiment, list(batch.profiles), Path(), measured)
        print(announcement(name, batch, guess), file=sys.stderr)
        reports = [paths.PAGE.format(profile=profile) for profile in batch.profiles]
        return [*reports, f"{paths.BATCH.format(batch=name)}/overview.html"]

    @for_job
    def batch_tables(self, job: Wildcards) -> list[str]:
        """The tables of samples and of verdicts of a batch's members."""
        profiles = find_batch(self._settings, job.batch).profiles
        return [table for profile in profiles for table in _tables(profile)]

    @for_job
    def batch(self, job: Wildcards) -> JsonObject:
        """What the batch is, as its report says it."""
        return find_batch(self._settings, job.batch).model_dump(mode="json")


def _tables(profile: str) -> list[str]:
    return [f"{paths.TABLES.format(profile=profile)}/{name}" for name in ("samples.parquet", "verdicts.csv")]
