"""Check the names in requested files: one that is not part of this run is refused in one line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark._util.text import listing
from ai_dev_tools.benchmark.config.batches import find_batch
from ai_dev_tools.benchmark.config.parsing import nearest
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.corpora import Corpus, find_corpus
from ai_dev_tools.benchmark.tasks.loading import check_names
from ai_dev_tools.benchmark.workflow.call_settings import ends_in_lines


class Wildcards(Protocol):
    """The wildcards of all rules; a job has those of its own rule."""

    profile: str
    before: str
    after: str
    batch: str
    task: str
    tool: str
    model: str
    approach: str
    sample: str
    archive: str
    corpus: str
    repository: str
    weights: str


class KnownNames:
    """What the wildcards of a job can be in this run.

    Snakemake makes any file whose name fits a rule's pattern, also one that has nothing to do with the settings.

    Args:
        settings: all settings of the call.
        corpora: reads `corpora.yaml`, if a corpus is asked for.
    """

    def __init__(
        self, experiment: Experiment, settings: Mapping[str, JsonValue], corpora: Callable[[], Mapping[str, Corpus]]
    ) -> None:
        self._experiment, self._settings, self._corpora = experiment, settings, corpora
        self.checks: dict[str, Callable[[Wildcards], object]] = {
            "profile": lambda job: experiment.profile(job.profile),
            "before": lambda job: experiment.profile(job.before),
            "after": lambda job: experiment.profile(job.after),
            "batch": lambda job: find_batch(settings, job.batch),
            "task": self._task,
            "tool": lambda job: check_names([job.tool], experiment.tool_files, "tool"),
            "model": self._model,
            "approach": self._approach,
            "sample": self._sample,
            "archive": self._archive,
            "corpus": lambda job: find_corpus(self._corpora(), job.corpus, paths.CORPORA),
            "repository": lambda job: experiment.repository(job.repository),
            "weights": self._weights,
        }
        """By wildcard, in an order in which each can rely on those before."""

    def require(self, job: Wildcards) -> None:
        """Refuse a job with a name that is not part of this run.

        Raises:
            ConfigurationError: says which name, and what would be one.
        """
        for wildcard, check in self.checks.items():
            if hasattr(job, wildcard):
                check(job)

    def _task(self, job: Wildcards) -> None:
        run, name = self._experiment, job.task
        if name in run.tasks:
            return
        check_names([name], run.task_folders, "task")
        if name in run.left_out:
            raise ConfigurationError(
                f"task '{name}' is not part of this run: only agents can be asked",
                remedy="Add approaches=agent,agent-none",
            )
        raise ConfigurationError(
            f"task '{name}' is not part of this run, which asks {listing(list(run.tasks))}",
            remedy=f"Add it: tasks={','.join([*run.tasks, name])}",
        )

    def _model(self, job: Wildcards) -> None:
        asked = [paths.safe_model(instance.model) for instance in self._experiment.instances(job.profile)]
        every = {paths.safe_model(i.model): i.model for i in self._experiment.profile(job.profile).instances}
        if job.model in every and job.model not in asked:
            raise ConfigurationError(
                f"model '{every[job.model]}' of profile '{job.profile}' is not part of this run, which asks "
                f"{listing(asked)}",
                remedy="Add it to models=…, or ask all of them with models=all",
            )
        check_names([job.model], asked, f"model in profile '{job.profile}'")

    def _approach(self, job: Wildcards) -> None:
        arms = self._experiment.arms(job.task)
        if job.approach not in arms:
            raise ConfigurationError(f"'{job.approach}' is not an arm of this run, {nearest(job.approach, arms)}")

    def _sample(self, job: Wildcards) -> None:
        samples = self._experiment.profile(job.profile).samples
        if job.sample not in map(str, range(samples)):
            raise ConfigurationError(
                f"an arm of this run has the samples 0 to {samples - 1}, not {job.sample}",
                remedy="Ask for more with samples=N",
            )

    def _archive(self, job: Wildcards) -> None:
        name = self._experiment.archive_name(job.profile)
        if job.archive != name:
            raise ConfigurationError(
                f"the archive of this run is named '{name}' after its plan, not '{job.archive}'",
                remedy=f"Ask for it with: snakemake archive --config profile={job.profile.removesuffix(paths.REPLAY)}",
            )

    def _weights(self, job: Wildcards) -> None:
        check_names([job.weights], [model.file for model in self._experiment.catalogue.values()], "file of weights")


class KnowsNames(Protocol):
    """What answers rules."""

    names: KnownNames


S = TypeVar("S", bound=KnowsNames)
J = TypeVar("J")
T = TypeVar("T")


def for_job(answer: Callable[[S, J], T]) -> Callable[[S, J], T]:
    """Answer for a job's wildcards; an unknown name, or another mistake, ends the run in one line."""

    @functools.wraps(answer)
    @ends_in_lines
    def checked(this: S, job: J) -> T:
        this.names.require(job)  # type: ignore[arg-type]  # the wildcards of one rule, or of two
        return answer(this, job)

    return checked
