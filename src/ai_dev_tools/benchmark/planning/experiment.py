"""What a run asks: from what is selected to blocks, the files they need, and plans.

Contacts no endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ai_dev_tools.benchmark._util.credentials import without_passwords
from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.config.parsing import nearest
from ai_dev_tools.benchmark.config.resolving import ResolvedInstance
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.claims import claims_of
from ai_dev_tools.benchmark.planning.pricing import budget_of, prices_of
from ai_dev_tools.benchmark.planning.selection import Selection
from ai_dev_tools.benchmark.planning.serving import endpoint_spec, server_of
from ai_dev_tools.benchmark.plugins import APPROACHES, ENDPOINT_KINDS, SCORERS, Registry
from ai_dev_tools.benchmark.prompts.approaches import find_approach
from ai_dev_tools.benchmark.prompts.fingerprints import case_digests, tool_fingerprint
from ai_dev_tools.benchmark.prompts.rendering import MISMATCHED, other_cases
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.about import RunAbout, Subject
from ai_dev_tools.benchmark.records.block import PROTOCOL, Block, PluginRef, case_order
from ai_dev_tools.benchmark.records.endpoint_spec import EndpointSpec
from ai_dev_tools.benchmark.records.episode import VERSION
from ai_dev_tools.benchmark.records.plan import RULES, Plan, QualityRule
from ai_dev_tools.benchmark.records.prices import Budget
from ai_dev_tools.benchmark.records.rounds import read_round
from ai_dev_tools.benchmark.tasks.workspaces import Workspaces


@dataclass
class Experiment(Selection):
    """A configured run over any of its profiles."""

    _digests: dict[str, dict[str, str]] = field(default_factory=dict)
    _plans: dict[str, Plan] = field(default_factory=dict)

    # blocks and the files they need

    def blocks(self, profile: str) -> list[tuple[str, str]]:
        """(path-safe model, task) of every block, model-major."""
        models = [paths.safe_model(instance.model) for instance in self.instances(profile)]
        return [(model, task) for model in models for task in self.tasks]

    def block_files(self, profile: str) -> list[str]:
        """Files that collect the samples of each block."""
        return [paths.BLOCK.format(profile=profile, model=model, task=task) for model, task in self.blocks(profile)]

    def task_files(self, task: str) -> list[str]:
        """Files of a task that its prompts depend on."""
        return [str(path) for path in self.tasks[task].input_files()]

    def receipts(self, task: str) -> list[str]:
        """Receipts of the corpora that a task's cases read."""
        return [paths.CORPUS_RECEIPT.format(corpus=corpus) for corpus in self.tasks[task].corpora]

    def workspace_receipts(self, task: str) -> list[str]:
        """Receipts of what the workspaces of a task are made of.

        Agents read these files, and no tool runs before.
        """
        loaded = self.tasks[task]
        repositories = [paths.REPOSITORY_RECEIPT.format(repository=name) for name in loaded.repositories]
        return [*self.receipts(task), *repositories] if loaded.agents_only else []

    def folder_digests(self, task: str) -> dict[str, str]:
        """What the files say in folders that are workspaces of a task.

        Their prompts are made again when a file changes.
        """
        loaded = self.tasks[task]
        workspaces = Workspaces(loaded, Path(paths.CORPORA_FOLDER))
        folders = [case for case in loaded.cases if case.workspace and case.workspace.path]
        return {case.id: workspaces.of(case).digest for case in folders}

    def repository(self, name: str) -> dict[str, str]:
        """What has to be fetched as a repository of this id, and the place that names it first.

        Raises:
            ConfigurationError: no case names it.
        """
        for task in self.tasks.values():
            if source := task.repositories.get(name):
                place = {"folder": str(task.folder), "where": task.workspaces[source]}
                return {"git": str(source.git), "commit": str(source.commit), **place}
        known = [known for task in self.tasks.values() for known in task.repositories]
        raise ConfigurationError(
            f"no case of this run has a repository '{name}' as its workspace, {nearest(name, known)}",
            remedy="Add approaches=agent,agent-none: tasks for agents are left out" if self.left_out else None,
        )

    def context_files(self, task: str) -> list[str]:
        """Tool results that a task's prompts need, in the order of `task_tools`."""
        return [paths.CONTEXTS.format(task=task, tool=tool) for tool in self.task_tools(task)]

    def prepared_files(self, task: str) -> list[str]:
        """What the tools of agents made of a task's workspaces."""
        return [paths.PREPARED.format(task=task, tool=tool) for tool in self.agent_tools]

    def prepared_by(self, tool: str) -> list[str]:
        """What one tool made of the workspaces of all tasks."""
        return [paths.PREPARED.format(task=task, tool=tool) for task in self.tasks]

    @property
    def prepared_checks(self) -> list[str]:
        """A file for each tool that prepares workspaces and could prepare one at least."""
        return [paths.PREPARED_CHECK.format(tool=tool) for tool in self.agent_tools if self.tools[tool].prepare]

    # requests

    def cases(self, profile: str, task: str) -> list[str]:
        """Case ids of a task in this profile's sizes, in the seeded order.

        Raises:
            ConfigurationError: the task has no case of these sizes.
        """
        sizes = self.profile(profile).sizes
        found = case_order(task, self.tasks[task].case_ids(sizes))
        if not found:
            raise ConfigurationError(
                f"task '{task}' has no case of size {' or '.join(sizes)}, which profile '{profile}' asks",
                remedy=f"Leave it out with tasks=…, or set profiles.{profile}.sizes",
            )
        return found

    def asked(self, profile: str, task: str) -> list[str]:
        """The cases of a task that a profile asks: its samples may not reach all of its sizes."""
        return self.cases(profile, task)[: self.profile(profile).samples]

    def looked_at(self, profile: str, task: str) -> list[str]:
        """The cases that tools run on: those that are asked, and those whose findings a control shows instead."""
        loaded, asked = self.tasks[task], self.asked(profile, task)
        if MISMATCHED not in self.approaches:
            return asked
        others = [other.id for case in map(loaded.case, asked) for other in other_cases(loaded, case)[:1]]
        return list(dict.fromkeys([*asked, *others]))

    def block(self, profile: str, model: str, task: str) -> Block:
        """Everything a block job needs.

        Args:
            model: path-safe name.
        """
        config, resolved = self.config, self.profile(profile)
        if resolved.instances[0].endpoint == "replay" and not profile.endswith(paths.REPLAY):
            raise ConfigurationError(
                f"endpoint=replay would replace the recorded answers of '{profile}' with themselves",
                remedy=f"Ask for {profile}{paths.REPLAY}, or leave endpoint=replay out",
            )
        instance = {paths.safe_model(i.model): i for i in self.instances(profile)}.get(model)
        if instance is None or task not in self.tasks:
            known = [f"{m}/{t}" for m, t in self.blocks(profile)]
            raise ConfigurationError(f"nothing is configured for {model}/{task}, {nearest(f'{model}/{task}', known)}")
        options = {key: value for key, value in config.options.model_dump().items() if value is not None}
        return Block(
            profile=resolved.name,
            results=paths.RUN.format(profile=profile),
            instance=instance.name,
            model=instance.model,
            task=task,
            cases=self.asked(profile, task),  # no others: a command line has a limit
            samples=resolved.samples,
            approaches=self.arms(task),
            options=options,
            think=config.think,
            timeout_s=resolved.task_timeout,
            attempts=config.retry_attempts,
            retry=config.retry,
            round=read_round(profile, model, task),
            plan=self.plan(profile).digest,
            run_requests=self.requests(profile) * len(self.instances(profile)),
            endpoint=self.endpoint(profile, instance),
            plugins=self._block_plugins(task, instance),
            budget=None if profile.endswith(paths.REPLAY) else self.budget(profile),
        )

    def _block_plugins(self, task: str, instance: ResolvedInstance) -> list[PluginRef]:
        """What a block job loads: a change of what scores its answers runs it again, which asks nothing."""
        scorers = self.plugins_with(SCORERS, [rule.scorer for rule in self.tasks[task].scoring])
        serving = self.plugins_with(ENDPOINT_KINDS, [instance.endpoint])
        return [PluginRef(plugin.name, plugin.sha256) for plugin in scorers] + [
            PluginRef(plugin.name) for plugin in serving if plugin not in scorers
        ]

    def endpoint(self, profile: str, instance: ResolvedInstance) -> EndpointSpec:
        """How an instance is served.

        The turns of an episode may find their own beginning in the cache, as they do in real use.
        """
        spec = endpoint_spec(self.config, profile, instance, self.weights(profile).get(instance.model))
        return replace(spec, cache_prompt=True) if self.agent_arms else spec

    def endpoints(self, profile: str) -> list[EndpointSpec]:
        """How each selected instance of a profile is served."""
        return [self.endpoint(profile, instance) for instance in self.instances(profile)]

    def servers(self, profile: str) -> dict[str, str]:
        """Which server each model's blocks use; blocks of one server run one after the other."""
        return {paths.safe_model(i.model): server_of(i) for i in self.profile(profile).instances}

    @cached_property
    def all_servers(self) -> list[str]:
        """The servers of all profiles, because a call may ask any of them.

        A profile that cannot be served like this run is left out: asking it reports its mistake.
        """
        found: set[str] = set()
        for name in self.config.profiles:
            try:
                found.update(self.servers(name).values())
            except ConfigurationError:
                if name == self.config.profile:
                    raise
        return sorted(found)

    # what is written down: plan, report, archive

    def about(self, profile: str) -> RunAbout:
        """What a report says about the run in addition to its tables: settings, profile, tasks, arms."""
        resolved = self.profile(profile)
        return RunAbout(
            profile=json.loads(without_passwords(resolved.model_dump_json())),
            models=[instance.model for instance in self.instances(profile)],
            tasks={task.id: task.name for task in self.tasks.values()},
            supplied={task.id: bool(task.scoring) for task in self.tasks.values() if task.supplied},
            approaches={
                name: find_approach(name, self.tool_files, self.program).description for name in self.approaches
            },
            samples=resolved.samples,
            expected={task: resolved.samples * len(self.arms(task)) for task in self.tasks},
            execution_mode=str(self.config.execution_mode),
            plan=self.plan(profile).digest,
            partial=self.config.partial,
        )

    def archive_name(self, profile: str) -> str:
        """Name of the archive of a profile's run: the profile and the plan that the run followed."""
        return f"{profile}.{self.plan(profile).digest}"

    def archived(self, profile: str, about: RunAbout | None = None, home: str = ".") -> Subject:
        """What an archive of a profile's run is made of.

        Args:
            about: what the report says of the run, if it is not what the settings say.
            home: folder of the workflow's own files, seen from the working folder.
        """
        tasks = self.tasks.values()
        return Subject(
            profile=profile,
            config=self.config.model_dump(mode="json", exclude_none=True) | {"think": self.config.think},
            plan=self.plan(profile).digest,
            tasks={task.id: str(task.folder) for task in tasks},
            blocks=self.block_files(profile),
            contexts=[file for task in self.tasks for file in self.context_files(task)],
            task_files={task.id: [str(path) for path in task.case_lists] for task in tasks},
            tools={tool: str(self.tool_files[tool]) for tool in self.tools},
            corpora=sorted({corpus for task in tasks for corpus in task.corpora}),
            repositories=sorted({repository for task in tasks for repository in task.repositories}),
            about=about or self.about(profile),
            home=home,
        )

    def budget(self, profile: str) -> Budget | None:
        """What the run of a profile may cost; None if nothing says so."""
        return budget_of(self.config, self.plan(profile).prices)

    def plan(self, profile: str) -> Plan:
        """What the run of a profile sets out to show, as it goes into the ledger."""
        if profile not in self._plans:
            self._plans[profile] = self._plan(profile)
        return self._plans[profile]

    def _plan(self, profile: str) -> Plan:
        settings, samples = self.config.plan, self.profile(profile).samples
        prices = prices_of(self.config, self.instances(profile))
        asked = {task: self.cases(profile, task) for task in self.tasks}
        return Plan(
            rules=RULES,
            protocol=PROTOCOL,
            profile=self.profile(profile).name,
            models=tuple(instance.model for instance in self.instances(profile)),
            tasks={task: tuple(cases) for task, cases in asked.items()},
            approaches=tuple(self.approaches),
            samples=samples,
            alpha=settings.alpha,
            claims=tuple(claims_of(settings, self.approaches, priced=prices is not None)),
            quality=QualityRule.model_validate(settings.quality.model_dump()),
            single_source=tuple(task.id for task in self.tasks.values() if task.single_source),
            options=self.config.options.model_dump(exclude_none=True),
            contents={task: self._contents(task, cases[:samples]) for task, cases in asked.items()},
            tools=self._tool_digests,
            **(self._optional_parts | ({"prices": prices} if prices else {})),
        )

    def _contents(self, task: str, cases: Sequence[str]) -> dict[str, str]:
        known = self._digests.setdefault(task, {})
        known.update(case_digests(self.tasks[task], [case for case in cases if case not in known]))
        return {case: known[case] for case in cases}

    @property
    def _optional_parts(self) -> JsonFields:
        """What a plan says only where there is something to say: its hash covers what is said."""
        said: JsonFields = {"plugins": digests} if (digests := self._plugin_digests) else {}
        said |= {"arms": fewer} if (fewer := self._fewer_arms) else {}
        agents = {**self.config.agent.in_plan, "version": VERSION}
        if self.program is not None:
            agents["program_digest"] = self.program.fingerprint
        return said | ({"agents": agents} if self.agent_arms else {})

    @property
    def _fewer_arms(self) -> dict[str, tuple[str, ...]]:
        """Arms of the tasks that do not have all arms of the run."""
        arms = {task: tuple(self.arms(task)) for task in self.tasks}
        return {task: found for task, found in arms.items() if found != tuple(self.approaches)}

    @cached_property
    def _plugin_digests(self) -> dict[str, str]:
        """What of the plugins' code decides over prompts and scores, by what the run uses of it."""
        rules = [rule.scorer for task in self.tasks.values() for rule in task.scoring]
        used: list[tuple[Registry[Any], list[str]]] = [(APPROACHES, self.approaches), (SCORERS, rules)]
        return {
            f"{registry.kind} {name}": plugin.sha256[:16]
            for registry, names in used
            for name in sorted(set(names))
            for plugin in self.plugins_with(registry, [name])
        }

    @cached_property
    def _tool_digests(self) -> dict[str, str]:
        return {name: tool_fingerprint(tool) for name, tool in self.tools.items()}
