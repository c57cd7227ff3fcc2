"""What the settings of a run select: tasks, tools, arms, profiles and models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark._util.model_names import full_name
from ai_dev_tools.benchmark._util.text import listing
from ai_dev_tools.benchmark.config.models import ALL, Config, PlanSettings
from ai_dev_tools.benchmark.config.parsing import nearest
from ai_dev_tools.benchmark.config.resolving import ResolvedInstance, ResolvedProfile, resolve_profile
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import CatalogueModel, Weights, load_catalogue
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.serving import find_weights
from ai_dev_tools.benchmark.plugins import (
    AGENT_FLOOR,
    AGENT_PREFIX,
    APPROACHES,
    TOOL_PREFIX,
    LoadedPlugin,
    Registry,
    agent_tool_of,
    is_agent,
    reads_workspaces,
)
from ai_dev_tools.benchmark.prompts.agent_program_file import ProgramSpec, load_program
from ai_dev_tools.benchmark.prompts.approaches import FINDINGS_CONTROLS, PLAIN_ARMS, find_approach
from ai_dev_tools.benchmark.prompts.tool_spec import ToolSpec, load_tool, require_findings
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.tasks.loading import Case, Task, check_names, load_task, says_agents_only


@dataclass
class Selection:
    """What a run is about.

    Everything is derived from the settings and the files of tasks and tools.

    Raises:
        ConfigurationError: from the first use of what is wrong; `open_experiment` checks all of it at once.
    """

    config: Config
    task_folders: dict[str, Path]
    tool_files: dict[str, Path]
    models_file: Path = Path(paths.MODELS)
    program_files: dict[str, Path] = field(default_factory=dict)
    plugins: Sequence[LoadedPlugin] = ()
    _profiles: dict[str, ResolvedProfile] = field(default_factory=dict)
    _unreadable: list[str] = field(default_factory=list)

    # tasks, tools and arms

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The selected tasks by id."""
        names = self.config.tasks
        wanted = (
            [name for name in sorted(self.task_folders) if name not in self.left_out] if ALL in names else list(names)
        )
        check_names(wanted, self.task_folders, "task")
        loaded = {name: load_task(self.task_folders[name]) for name in wanted}
        if ALL in names and self.agent_arms:
            with_files = {name: task for name, task in loaded.items() if _without_files(task) is None}
            loaded = with_files or loaded
            self._unreadable = [name for name in wanted if name not in loaded]
        if not self.agent_arms and (task := next((task for task in loaded.values() if task.agents_only), None)):
            raise ConfigurationError(
                f"config: only an agent can read the workspaces of task '{task.id}', and 'approaches' names none",
                remedy="Add approaches=agent,agent-none, or leave the task out",
            )
        for task in loaded.values() if not self.config.tools else ():  # no task's own tools are used then
            check_names(task.tools, self.tool_files, f"tool in {task.folder / 'task.yaml'}")
        return loaded

    @cached_property
    def left_out(self) -> list[str]:
        """Tasks that `tasks: all` does not mean, because only agents can be asked and none is."""
        if ALL not in self.config.tasks or self.agent_arms:
            return []
        return [name for name in sorted(self.task_folders) if says_agents_only(self.task_folders[name])]

    @property
    def notes(self) -> list[str]:
        """What a run leaves out, for people."""
        left_out = [
            f"task {name} is left out: only agents can be asked (approaches=agent,agent-none)" for name in self.left_out
        ]
        loaded = self.tasks
        left_out += [
            f"task {name} is left out: its cases have 'contexts' and no files that an agent could read"
            for name in self._unreadable
        ]
        missing = {name: [arm for arm in self._arms if arm not in self.arms(name)] for name in loaded}
        fewer = [
            f"task {name} has no arm {listing(arms)}: only an agent can read its workspaces"
            for name, arms in missing.items()
            if arms
        ]
        return [*left_out, *fewer]

    @cached_property
    def tools(self) -> dict[str, ToolSpec]:
        """The tools that the run needs, by id."""
        used = {tool for task in self.tasks.values() for tool in self.task_tools(task.id)} | {*self.agent_tools}
        loaded = {name: load_tool(self.tool_files[name]) for name in sorted(used)}
        for task in self.tasks:
            for name in self.task_tools(task):
                require_findings(loaded[name])
        return loaded

    @cached_property
    def judged_tools(self) -> list[str]:
        """Tools whose findings have a separate arm, tools-NAME."""
        named = [name.removeprefix(TOOL_PREFIX) for name in self._arms if name.startswith(TOOL_PREFIX)]
        judged = sorted({*named})
        check_names(judged, self.tool_files, "tool")
        return judged

    @cached_property
    def agent_arms(self) -> list[str]:
        """The arms of the run whose samples are episodes."""
        return [name for name in self._arms if is_agent(name)]

    @cached_property
    def program(self) -> ProgramSpec | None:
        """The third-party agent that drives the episodes; None: the built-in one does."""
        name = self.config.agent.program
        return None if name is None else load_program(name, self.program_files)

    @property
    def program_arms(self) -> list[str]:
        """The arms that the third-party agent runs. The floor is always the built-in agent's."""
        return [] if self.program is None else [name for name in self.agent_arms if name != AGENT_FLOOR]

    @cached_property
    def agent_tools(self) -> list[str]:
        """Tools that have their own agent arm, agent-NAME."""
        if self.program is not None:  # its file says what differs between arms
            return []
        found = sorted({tool for name in self.agent_arms if (tool := agent_tool_of(name))})
        check_names(found, self.tool_files, "tool")
        return found

    @property
    def without_findings(self) -> bool:
        """Whether agents are asked and no arm shows findings, so that no tool needs to run before."""
        return bool(self.agent_arms) and {*self._arms} <= {*self.agent_arms, *PLAIN_ARMS}

    @cached_property
    def _arms(self) -> list[str]:
        """The arms of the run, not checked."""
        names = list(self.config.approaches)
        if ALL in names:
            names = [*APPROACHES, *(name for name in names if name.startswith(TOOL_PREFIX) or is_agent(name))]
        tools, agents = self.config.tools or (), any(map(is_agent, names))
        if tools and ("tools" in names or not agents):
            at = names.index("tools") if "tools" in names else len(names)
            names = [*names[:at], *(TOOL_PREFIX + tool for tool in tools), *names[at + 1 :]]
        if agents:
            names += [AGENT_PREFIX + tool for tool in tools]
        return list(dict.fromkeys(names))

    @cached_property
    def approaches(self) -> list[str]:
        """The arms of the run, in the order of the config."""
        names = self._arms
        several = self.config.tools or ()
        if len(several) > 1 and (made := [n for n in names if n in FINDINGS_CONTROLS]):
            raise ConfigurationError(
                f"config: approaches {', '.join(made)} are made from the findings of one tool, but tools names "
                f"{len(several)}",
                remedy="Judge one tool at a time, or leave these controls out",
            )
        _ = self.judged_tools, self.agent_tools  # say what tool is unknown, so that it is not said here once more
        for name in names:
            find_approach(name, self.tool_files, self.program)
        reference = self.config.plan.reference
        if reference != PlanSettings().reference and reference not in names:
            raise ConfigurationError(
                f"config: 'plan.reference' is '{reference}', which is not an arm of this run, {nearest(reference, names)}"
            )
        self._refuse_what_no_agent_can_do()
        for_agents = bool(self.tasks) and all(task.agents_only for task in self.tasks.values())
        return [name for name in names if reads_workspaces(name)] if for_agents else names

    def _refuse_what_no_agent_can_do(self) -> None:
        for task in self.tasks.values() if self.agent_arms else ():
            if case := _without_files(task):
                raise ConfigurationError(
                    f"{case.where}: a case with 'contexts' has no files to read for {self.agent_arms[0]}",
                    remedy="Give the case `source` or `inline`, or leave its task out with tasks=…",
                )

    @property
    def prompted_approaches(self) -> list[str]:
        """The arms whose prompts are made.

        These are all built-in ones, so that turning on a control renders nothing again. Those of agents are made only
        where they are asked.
        """
        if self.without_findings:
            return self._arms
        built_in = [
            name for name, arm in APPROACHES.items() if arm.built_in and (name != "tools" or not self.config.tools)
        ]
        return list(
            dict.fromkeys(
                [
                    *built_in,
                    *(TOOL_PREFIX + tool for tool in self.judged_tools),
                    *self.plugin_approaches,
                    *self.agent_arms,
                ]
            )
        )

    def prompted(self, task: str) -> list[str]:
        """The arms whose prompts are made for a task."""
        return self._of_task(task, self.prompted_approaches)

    @property
    def plugin_approaches(self) -> list[str]:
        """The arms of the run that plugins brought."""
        return [name for name in self.approaches if name in APPROACHES and not APPROACHES[name].built_in]

    def plugins_with(self, registry: Registry[Any], names: Iterable[str]) -> list[LoadedPlugin]:
        """The plugins that registered any of these names."""
        wanted = list(names)
        return [plugin for plugin in self.plugins if plugin.has(registry, wanted)]

    def arms(self, task: str) -> list[str]:
        """The arms of a task: all of the run, or only those that a workspace can have."""
        return self._of_task(task, self.approaches)

    def _of_task(self, task: str, arms: list[str]) -> list[str]:
        return [name for name in arms if reads_workspaces(name)] if self.tasks[task].agents_only else arms

    def requests(self, profile: str) -> int:
        """How many samples a profile asks of one model."""
        return self.profile(profile).samples * sum(len(self.arms(task)) for task in self.tasks)

    def shown_tools(self, task: str) -> list[str]:
        """Tools behind the arm `tools` and the controls.

        These are the task's own, unless the setting `tools` names others.
        """
        if self.without_findings or self.tasks[task].agents_only:
            return []
        return list(self.config.tools or self.tasks[task].tools)

    @property
    def shown_arm(self) -> str:
        """The arm whose findings the controls are made from."""
        return TOOL_PREFIX + self.config.tools[0] if self.config.tools else "tools"

    def task_tools(self, task: str) -> list[str]:
        """Tools that run over a task's cases: those behind the arms, and those with a separate arm."""
        judged = [] if self.tasks[task].agents_only else self.judged_tools
        return list(dict.fromkeys([*self.shown_tools(task), *judged]))

    # profiles and models

    @property
    def run(self) -> str:
        """Name of the configured run's results folder.

        It is the profile's, with a mark if recorded answers are replayed.
        """
        kinds = {instance.endpoint for instance in self.profile(self.config.profile).instances}
        return self.config.profile + (paths.REPLAY if kinds == {"replay"} else "")

    @property
    def source(self) -> str:
        """What the run starts from; a replay asks its questions again, with the existing prompts."""
        replayed = self.run.endswith(paths.REPLAY)
        return "prompts" if self.config.source == "samples" and replayed else self.config.source

    def profile(self, name: str) -> ResolvedProfile:
        """A profile with everything filled in.

        The name of a replay means its profile with the recorded answers.
        """
        if name not in self._profiles:
            replayed = self.config.model_copy(update={"endpoint": "replay", "endpoint_file": None})
            config = replayed if name.endswith(paths.REPLAY) else self.config
            self._profiles[name] = resolve_profile(config, name.removesuffix(paths.REPLAY))
        return self._profiles[name]

    @property
    def compared(self) -> list[str]:
        """Names of the runs to compare: profiles, and replays (`PROFILE@replay`).

        Raises:
            ConfigurationError: fewer than two, an unknown profile, one twice, or all settings say replay.
        """
        names = list(self.config.compare or ())
        if len(names) < 2:
            raise ConfigurationError("say what to compare: snakemake compare --config compare=light,medium")
        check_names([name.removesuffix(paths.REPLAY) for name in names], self.config.profiles, "profile")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ConfigurationError(f"compare names '{twice}' twice: name two different runs")
        if self.config.endpoint == "replay":
            raise ConfigurationError(
                "endpoint=replay would answer both runs from recorded answers",
                remedy=f"Leave it out: compare={names[0]},{names[0]}{paths.REPLAY}",
            )
        return names

    def instances(self, profile: str) -> list[ResolvedInstance]:
        """The selected instances of a profile, by model tag or instance name."""
        resolved = self.profile(profile)
        every = resolved.instances
        if ALL in resolved.models:
            return list(every)
        known = {name: instance for instance in every for name in (instance.name, instance.model)}
        meant = {full_name(instance.model): instance.model for instance in every}
        wanted = [name if name in known else meant.get(full_name(name), name) for name in resolved.models]
        check_names(wanted, known, f"model in profile '{profile}'")
        return list({known[name].model: known[name] for name in wanted}.values())

    @cached_property
    def catalogue(self) -> dict[str, CatalogueModel]:
        """Models whose weights the embedded endpoint can fetch, by tag."""
        return load_catalogue(self.models_file)

    def weights(self, profile: str) -> dict[str, Weights]:
        """Weights of the selected models that the embedded endpoint serves, by tag.

        Raises:
            ConfigurationErrors: one line per instance whose weights nobody knows, or that names a file in vain.
        """
        where = f"config: profiles.{profile.removesuffix(paths.REPLAY)}.instances"
        return find_weights(self.instances(profile), self.catalogue, where)


def _without_files(task: Task) -> Case | None:
    """The first case that has only ready contexts, which an agent cannot read as files."""
    return next((case for case in task.cases if case.contexts is not None), None)
