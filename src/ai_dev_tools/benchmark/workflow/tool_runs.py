"""Inputs and parameters of the rules that run tools, and what prompts say of the tools of agents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.plugins import AGENT_PREFIX, agent_tool_of
from ai_dev_tools.benchmark.prompts.agent_program_file import installed_program
from ai_dev_tools.benchmark.prompts.agent_tools import agent_tool
from ai_dev_tools.benchmark.prompts.tool_results import read_contexts
from ai_dev_tools.benchmark.prompts.tool_spec import companions, load_tool
from ai_dev_tools.benchmark.prompts.tools import installed_version, tool_digest
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.prepared import read_prepared
from ai_dev_tools.benchmark.workflow.call_targets import asked_cases, note_call
from ai_dev_tools.benchmark.workflow.known_names import KnownNames, Wildcards, for_job

if TYPE_CHECKING:
    from snakemake.workflow import Workflow


class ToolRuns:
    """Which tool runs on which cases, and in which version.

    Args:
        settings: all settings of the call.
    """

    def __init__(self, experiment: Experiment, names: KnownNames, workflow: Workflow, settings: JsonObject) -> None:
        self.names = names
        self._experiment, self._config = experiment, experiment.config
        self._workflow, self._settings = workflow, settings
        self._digests: dict[str, str] = {}

    @for_job
    def files(self, job: Wildcards) -> list[str]:
        """A tool's file and the files next to it that belong to it."""
        path = self._experiment.tool_files[job.tool]
        return [str(path), *map(str, companions(path))]

    @for_job
    def program(self, job: Wildcards) -> str:
        """Digest of a tool as it is installed: another one runs it again."""
        return self._program(job.tool)

    def _program(self, name: str) -> str:
        if name not in self._digests:
            spec = self._experiment.tools.get(name) or load_tool(self._experiment.tool_files[name])
            self._digests[name] = tool_digest(spec, installed_version(spec, self._config.tool_sandbox))
        return self._digests[name]

    @for_job
    def cases(self, job: Wildcards) -> list[str]:
        """Cases that a tool runs on.

        Those that are asked, and those that its current version has already run on.
        """
        known = read_contexts(Path(paths.CONTEXTS.format(task=job.task, tool=job.tool)))
        program = self._program(job.tool)
        return self._cases(job.task, {case for case, row in known.items() if row.program == program})

    def _cases(self, task: str, known: set[str]) -> list[str]:
        """Cases of a task that are asked, and known ones."""
        if self._workflow.is_main_process:  # Snakemake knows its own command line only once the Snakefile is read
            note_call(self._experiment, self._settings, self._workflow.dag_settings)
        wanted = {*asked_cases(self._experiment, task), *known}
        return [case.id for case in self._experiment.tasks[task].cases if case.id in wanted and not case.contexts]

    # tools of agents

    @for_job
    def agent_program(self, job: Wildcards) -> str:
        """Digest of what a tool does for agents, as it is installed: another one prepares workspaces again."""
        return self._agent_program(job.tool)

    def _agent_program(self, name: str) -> str:
        key = f"{AGENT_PREFIX}{name}"
        if key not in self._digests:
            spec = load_tool(self._experiment.tool_files[name])
            self._digests[key] = agent_tool(spec, self._config.tool_sandbox).digest
        return self._digests[key]

    @for_job
    def prepared_cases(self, job: Wildcards) -> list[str]:
        """Cases whose workspaces a tool prepares: as those that it runs on."""
        known = read_prepared(Path(paths.PREPARED.format(task=job.task, tool=job.tool)))
        program = self._agent_program(job.tool)
        return self._cases(job.task, {case for case, row in known.items() if row.program == program})

    @for_job
    def agents(self, job: Wildcards) -> dict[str, object]:
        """How agent arms are asked, and what the tool of each does; empty where there are none."""
        arms = self._experiment.agent_arms
        if not arms:
            return {}
        driven = self._experiment.program_arms
        tools = {arm: None if arm in driven else agent_tool_of(arm) for arm in arms}
        programs = {tool: self._agent_program(tool) for tool in self._experiment.agent_tools}
        folders = self._experiment.folder_digests(job.task)
        settings = self._config.agent.model_dump(mode="json")
        said = {"arms": tools, "programs": programs, "settings": settings, "program": self._program_of_others()}
        return said | ({"folders": folders} if folders else {})

    def _program_of_others(self) -> dict[str, str] | None:
        """The third-party agent that drives the episodes, as it is installed."""
        spec = self._experiment.program
        if spec is None:
            return None
        return {"file": str(spec.file), "version": installed_program(spec, self._config.agent.program_folder)}
