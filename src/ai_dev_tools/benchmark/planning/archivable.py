"""Whether a run that is about to start could be archived when it is done.

Its names are checked before its first request.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.plugins import is_file_name
from ai_dev_tools.benchmark.prompts.tool_spec import companions
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.archive_names import plugin_member
from ai_dev_tools.benchmark.records.names import clean_files, path_problems


def archive_problems(experiment: Experiment, root: Path) -> list[str]:
    """One line for each name that an archive could not hold, or not together with another name of the run."""
    # ids that exclude each other say more than each of the files below them
    if found := list(path_problems(_results(experiment, experiment.config.profile))):
        return found
    of_tasks = {task.id: clean_files(root / task.folder, "**/*") for task in experiment.tasks.values()}
    files = [*_task_files(experiment, root, of_tasks), *_tool_files(experiment, root), *_own_files(experiment)]
    return [*path_problems(files), *_links(experiment, root, of_tasks)]


def _task_files(experiment: Experiment, root: Path, files: Mapping[str, list[Path]]) -> Iterator[tuple[str, str]]:
    for task in experiment.tasks.values():
        for path in files[task.id]:
            name = path.relative_to(root / task.folder).as_posix()
            yield f"{paths.TASKS}/{task.id}/{name}", os.path.relpath(path, root)


def _tool_files(experiment: Experiment, root: Path) -> Iterator[tuple[str, str]]:
    for tool in experiment.tools:
        file = experiment.tool_files[tool]
        for path in (root / file, *companions(root / file)):
            yield f"{paths.TOOLS}/{path.relative_to((root / file).parent).as_posix()}", os.path.relpath(path, root)


def _results(experiment: Experiment, profile: str) -> Iterator[tuple[str, str]]:
    for task in experiment.tasks:
        yield paths.PROMPTS.format(task=task), f"task '{task}'"
        for tool in experiment.task_tools(task):
            yield paths.CONTEXTS.format(task=task, tool=tool), f"tool '{tool}' of task '{task}'"
    for instance in experiment.instances(profile):
        for task in experiment.tasks:
            model = paths.safe_model(instance.model)
            known_as = f"model '{instance.model}' of task '{task}'"
            for arm in experiment.approaches:
                yield (
                    paths.SAMPLE.format(profile=profile, model=model, task=task, approach=arm, sample=0),
                    (f"arm '{arm}', {known_as}"),
                )
            yield paths.BLOCK.format(profile=profile, model=model, task=task), known_as


def _own_files(experiment: Experiment) -> Iterator[tuple[str, str]]:
    for place, name in enumerate(experiment.config.every_plugin):
        if is_file_name(name):
            yield plugin_member(place, name), name
    report = experiment.config.report
    own = report.templates if report.notebook == Path(paths.NOTEBOOK) else (report.notebook, *report.templates)
    for file in own:
        yield f"config/report/{file.name}", str(file)


def _links(experiment: Experiment, root: Path, files: Mapping[str, list[Path]]) -> Iterator[str]:
    for task in experiment.tasks.values():
        folder = root / task.folder
        for path in files[task.id]:
            if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                yield f"{task.folder}: {path.relative_to(folder)} is a link to a file elsewhere: put the file itself there"
