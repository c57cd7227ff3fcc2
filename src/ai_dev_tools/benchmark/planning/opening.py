"""Open an experiment, with everything checked that can be checked before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ai_dev_tools.benchmark.config.models import Config, check_endpoint
from ai_dev_tools.benchmark.config.shipped_files import find_catalogue, own_or_shipped, shipped_folders, task_folders
from ai_dev_tools.benchmark.errors import ConfigurationError, ConfigurationErrors
from ai_dev_tools.benchmark.planning.archivable import archive_problems
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.pricing import budget_of, prices_of
from ai_dev_tools.benchmark.plugins import LoadedPlugin, is_file_name, load_plugins
from ai_dev_tools.benchmark.prompts.agent_program_file import find_programs
from ai_dev_tools.benchmark.prompts.agent_tools import require_agent
from ai_dev_tools.benchmark.prompts.tool_spec import find_tools, require_vars
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.loading import Case, Task, find_tasks


def open_experiment(config: Config, root: Path, home: Path | None = None) -> Experiment:
    """The experiment with its tasks, tools, arms and blocks checked.

    Args:
        root: the working folder; with `config/`, unless the workflow's own files are elsewhere.
        home: folder of the workflow's own `config/`, where that is not `root`; what `root` has wins.

    Raises:
        ConfigurationErrors: one line for each mistake that can be found independently.
    """
    experiment = Experiment(
        config=config,
        models_file=find_catalogue(root, home or root),
        task_folders=find_tasks(task_folders(root, config.task_folders, home)),
        tool_files={
            name: path
            for folder in (*shipped_folders(paths.TOOLS, root, home), *config.tool_folders)
            for name, path in find_tools(folder).items()
        },
        program_files=find_programs(shipped_folders(paths.AGENTS, root, home)),
    )
    lines: list[str] = list(_absent_files(config, root, home))
    experiment.plugins = _plugins(config, root, lines)
    for check in (
        lambda: _check_endpoints(experiment),
        lambda: experiment.tasks,
        lambda: experiment.judged_tools,
        lambda: experiment.program,
        lambda: experiment.tools,
        lambda: experiment.approaches,
        lambda: _check_agent_tools(experiment),
        lambda: _check_vars(experiment) if experiment.source != "samples" else None,
        lambda: experiment.instances(config.profile),
        lambda: budget_of(config, prices_of(config, experiment.instances(config.profile))),
        lambda: experiment.endpoints(config.profile) if experiment.source != "samples" else None,
    ):
        try:
            check()
        except ConfigurationError as error:
            lines += str(error).splitlines()
    if not lines and experiment.source != "samples":
        lines += archive_problems(experiment, root)
    if lines:
        raise ConfigurationErrors(list(dict.fromkeys(lines)))
    experiment.plan(config.profile)
    return experiment


def _plugins(config: Config, root: Path, lines: Sequence[str]) -> list[LoadedPlugin]:
    """The plugins of the settings, loaded: all that follows depends on them.

    Raises:
        ConfigurationErrors: a line for each file that is not there, or for what is wrong with one; and `lines`.
    """
    absent = list(_absent("plugins", [name for name in config.plugins if is_file_name(name)], root))
    absent += _absent("endpoint_file", [config.endpoint_file] if config.endpoint_file else [], root)
    if absent:
        raise ConfigurationErrors([*absent, *lines])
    try:
        return load_plugins(config.every_plugin, root)
    except ConfigurationError as error:
        raise ConfigurationErrors([*str(error).splitlines(), *lines]) from None


def _check_endpoints(experiment: Experiment) -> None:
    """Refuse an endpoint that neither this package nor a plugin knows."""
    for instance in experiment.instances(experiment.config.profile):
        try:
            check_endpoint(instance.endpoint)
        except ValueError as error:
            raise ConfigurationError(f"config: 'endpoint': {error}") from None


def _check_agent_tools(experiment: Experiment) -> None:
    """Refuse a tool that gives nothing to an agent."""
    for name in experiment.agent_tools:
        require_agent(experiment.tools[name])


def _check_vars(experiment: Experiment) -> None:
    """Refuse a tool that names a variable which a case of the run does not have."""
    for task in experiment.tasks.values():
        shown = _of(task, experiment.looked_at(experiment.config.profile, task.id))
        for name in experiment.task_tools(task.id):
            require_vars(experiment.tools[name], shown, agent=False)
        cases = _of(task, experiment.asked(experiment.config.profile, task.id))
        for name in experiment.agent_tools:
            require_vars(experiment.tools[name], cases, agent=True)


def _of(task: Task, wanted: Sequence[str]) -> list[Case]:
    """The cases with these ids that a tool runs on, in the order of the task."""
    return [case for case in task.cases if case.id in wanted and not case.contexts]


def _absent_files(config: Config, root: Path, home: Path | None) -> Iterator[str]:
    """A line for each custom file that the settings name but that does not exist."""
    notebook = config.report.notebook
    named = {
        "report.notebook": [own_or_shipped(notebook, root, home or root)] if notebook != Path(paths.NOTEBOOK) else [],
        "report.templates": config.report.templates,
    }
    for setting, files in named.items():
        yield from _absent(setting, files, root)


def _absent(setting: str, files: Iterable[str | Path], root: Path) -> Iterator[str]:
    return (f"config: '{setting}' names {file}, which is not a file" for file in files if not (root / file).is_file())
