"""What a call of Snakemake asks for in addition to settings: which cases, and what to make again.

The main process reads it from its command line and leaves it in the environment, because a job on a cluster's node is another
call, for a single file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.config.batches import find_batch
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.records import paths

if TYPE_CHECKING:
    from snakemake.settings.types import DAGSettings

PROFILES = "AI_DEV_TOOLS_ASKED_PROFILES"
FORCED = "AI_DEV_TOOLS_FORCED"
EVERYTHING = "*"
_MADE_FOR_ALL = tuple(path.partition("{")[0] for path in (paths.CONTEXTS, paths.PROMPTS))


def note_call(experiment: Experiment, settings: Mapping[str, JsonValue], call: DAGSettings) -> None:
    """Leave in the environment what the jobs of this run need to know of it.

    Args:
        settings: the effective settings.
        call: Snakemake's settings of the graph.
    """
    targets = [os.path.normpath(target) for target in call.targets]
    os.environ[PROFILES] = "\n".join(sorted(_profiles(experiment, settings, targets)))
    forced = [*call.forcerun, *(targets if call.forcetargets else ())]
    os.environ[FORCED] = EVERYTHING if call.forceall else "\n".join(map(os.path.normpath, forced))


def is_forced(rule: str, output: str) -> bool:
    """Whether the user wants this to be made again in any case."""
    named = os.environ.get(FORCED, "").splitlines()
    return bool({EVERYTHING, rule, os.path.normpath(output)} & set(named))


def asked_cases(experiment: Experiment, task: str) -> list[str]:
    """Ids of a task's cases that this call asks, or needs for a control, in the task's order."""
    profiles = os.environ.get(PROFILES, experiment.run).splitlines()
    every = [case.id for case in experiment.tasks[task].cases]
    if EVERYTHING in profiles:
        return every
    wanted: set[str] = set()
    for profile in profiles:
        try:
            wanted |= {*experiment.looked_at(profile, task)}
        except ConfigurationError:  # no case of its sizes: said where its block is made
            continue
    return [case for case in every if case in wanted]


def _profiles(experiment: Experiment, settings: Mapping[str, JsonValue], targets: Iterable[str]) -> set[str]:
    """Profiles whose samples this call may need.

    All cases where what every profile shares is itself the target.
    """
    config = experiment.config
    found = {experiment.run, *(config.compare or ())}
    batches = {config.batch} if config.batch else set()
    for target in targets:
        if target.startswith(_MADE_FOR_ALL):
            return {EVERYTHING}
        parts = target.split("/")
        if parts[0] == "results" and len(parts) > 2:
            found |= set(re.split("__", parts[2]) if parts[1] == "comparison" else [parts[1]])
            batches |= {parts[2]} if parts[1] == "batches" else set()
    for batch in batches:
        found |= set(find_batch(settings, str(batch)).profiles)
    return {name for name in found if name.removesuffix(paths.REPLAY) in config.profiles}
