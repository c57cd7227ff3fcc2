"""Before the first request: see what a tool offers to agents, and let it prepare each workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ai_dev_tools.benchmark._util.text import listing, number, plural
from ai_dev_tools.benchmark.agents.file_actions import workspace_texts
from ai_dev_tools.benchmark.agents.mcp_server import McpServer
from ai_dev_tools.benchmark.agents.mcp_tools import offered
from ai_dev_tools.benchmark.agents.tool_actions import case_words, taken_names
from ai_dev_tools.benchmark.agents.tool_commands import action_of
from ai_dev_tools.benchmark.agents.tool_folder import ToolFolder, pack_prepared
from ai_dev_tools.benchmark.endpoints.resource_use import is_disturbed
from ai_dev_tools.benchmark.errors import ConfigurationError, ToolError
from ai_dev_tools.benchmark.prompts.agent_tools import agent_tool, require_agent
from ai_dev_tools.benchmark.prompts.episodes import case_workspace
from ai_dev_tools.benchmark.prompts.placeholders import VARS, names_in
from ai_dev_tools.benchmark.prompts.run_folder import SandboxSetting
from ai_dev_tools.benchmark.prompts.tool_spec import ToolSpec
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.agent_tool import AgentTool
from ai_dev_tools.benchmark.records.episode import Action, Workspace
from ai_dev_tools.benchmark.records.prepared import PreparedTool, read_prepared
from ai_dev_tools.benchmark.tasks.case_files import case_texts, content_digest
from ai_dev_tools.benchmark.tasks.corpora import CorpusUnavailable
from ai_dev_tools.benchmark.tasks.loading import Case, Task
from ai_dev_tools.benchmark.tasks.questions import render_questions
from ai_dev_tools.benchmark.tasks.workspaces import Workspaces


@dataclass(frozen=True)
class ToolOffer:
    """What a tool gives to an agent in addition to files that it prepared.

    Its actions, and what its server says about itself.
    """

    actions: list[Action]
    instructions: str = ""


def find_offer(tool: AgentTool, folder: ToolFolder | None = None, words: Mapping[str, str] | None = None) -> ToolOffer:
    """What a tool offers.

    Its MCP server is started once for that, in an empty workspace if no other is given.

    Args:
        words: values of the placeholders of a case, for an empty workspace.

    Raises:
        ConfigurationError: it could not be started, or offers nothing that an agent could use.
    """
    actions = [action_of(command) for command in tool.commands]
    if not tool.mcp:
        return ToolOffer(actions)
    if folder is None:
        with ToolFolder(tool, {}, words) as empty:
            return find_offer(tool, empty)
    try:
        with McpServer(folder) as server:
            found = offered(tool.id, server.tools, taken_names(tool), tool.mcp_tools)
            return ToolOffer([*actions, *found.values()], server.instructions)
    except ToolError as error:
        raise ConfigurationError(error.args[0], remedy=error.remedy) from None


def server_words(tool: AgentTool, task: Task, cases: Sequence[Case]) -> dict[str, dict[str, str]]:
    """Values of the placeholders of cases, by their ids; empty if the command of the tool's server has none."""
    if not any(name == "question" or name.startswith(VARS) for word in tool.mcp for name in names_in(word)):
        return {}
    questions = render_questions(task, cases)
    return {case.id: case_words(str(questions[case.id]), case.vars) for case in cases}


def offer_line(tool: AgentTool, words: Mapping[str, str] | None = None) -> str:
    """What a tool gives to an agent, in one line for people; its MCP server is started for that.

    Args:
        words: values of the placeholders of a case.

    Raises:
        ConfigurationError: see `find_offer`.
    """
    offer = find_offer(tool, words=words)
    names, texts = [action.name for action in offer.actions], [tool.instructions or offer.instructions]
    texts += [action.description + msgspec.json.encode(action.parameters).decode() for action in offer.actions]
    gives = [
        f"{plural(len(names), 'action')} ({listing(names, 20)})" if names else "",
        f"filters {listing([*tool.wraps])}" if tool.wraps else "",
        "instructions" if texts[0] else "",
    ]
    size = sum(map(len, texts))
    return f"{', '.join(filter(None, gives))}; {number(size)} characters are added to each turn"


@dataclass
class WorkspacePreparation:
    """One tool at the workspaces of one task.

    Args:
        command: the words of `prepare`; empty if there is nothing to prepare.
        speaks: whether the tool's file has no instructions, so that those of its MCP server are used.
        known: earlier rows by case.
        folder: where what it makes is kept.
        words: values of the placeholders of each case, by its id, where the server's command has any.
        keep: called with each row as soon as it is there.
    """

    tool: AgentTool
    command: tuple[str, ...]
    speaks: bool
    known: Mapping[str, PreparedTool]
    folder: Path
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    keep: Callable[[PreparedTool], None] | None = None
    _offer: ToolOffer | None = None
    _made: dict[str, PreparedTool] = field(default_factory=dict)

    def rows(self, cases: Iterable[tuple[str, Workspace | None, str]]) -> list[PreparedTool]:
        """A row for each case.

        Args:
            cases: id, workspace, and why there is none.

        Raises:
            ConfigurationError: the tool's MCP server could not be started, or offers nothing that an agent could use.
        """
        rows = []
        for case, workspace, why in cases:
            rows.append(self._row(case, workspace, why))
            if self.keep:
                self.keep(rows[-1])
        return rows

    def _row(self, case: str, workspace: Workspace | None, why: str) -> PreparedTool:
        if workspace is None:
            return PreparedTool(
                case=case, tool=self.tool.id, digest="", program=self.tool.digest, status="skipped", error=why
            )
        digest = content_digest(self.tool.digest, self.tool.sandbox, workspace.digest)
        known = self._made.get(digest) or self.known.get(case)
        if known is None or known.digest != digest or known.status != "ok" or not _is_kept(known):
            known = self._made[digest] = self._prepared(digest, workspace, self.words.get(case, {}))
        return msgspec.structs.replace(known, case=case)

    def _prepared(self, digest: str, workspace: Workspace, words: Mapping[str, str]) -> PreparedTool:
        row = PreparedTool(
            case="", tool=self.tool.id, digest=digest, program=self.tool.digest, status="ok", agent=self.tool
        )
        texts = workspace_texts(workspace)
        with ToolFolder(self.tool, texts, words) as folder:
            if self.command:
                try:
                    said = folder.run(f"{self.tool.id} (prepare)", folder.filled(list(self.command)))
                    if said.problem:
                        failure = ToolError(said.problem)
                        failure.spent_s, failure.other_cpu_s = said.wall_s, said.other_cpu_s
                        raise failure
                except ToolError as error:
                    return msgspec.structs.replace(
                        row, status="failed", error=str(error), agent=None,
                        wall_s=round(error.spent_s, 6), other_cpu_s=error.other_cpu_s,
                    )  # fmt: skip
                archive = self.folder / self.tool.id / f"{digest[:32]}.tar"
                pack_prepared(folder.run_folder, archive, texts)
                row = msgspec.structs.replace(
                    row, agent=msgspec.structs.replace(self.tool, prepared=archive.as_posix()),
                    wall_s=round(said.wall_s, 6), cpu_s=round(said.cpu_s, 6), other_cpu_s=said.other_cpu_s,
                )  # fmt: skip
            if self._offer is None:
                self._offer = find_offer(self.tool, folder)
        assert row.agent is not None
        instructions = self._offer.instructions if self.speaks else row.agent.instructions
        agent = msgspec.structs.replace(row.agent, instructions=instructions)
        return msgspec.structs.replace(row, agent=agent, offered=self._offer.actions)


def _is_kept(row: PreparedTool) -> bool:
    """Whether a row can be kept: what the tool had made is still there, and nothing else slowed it down."""
    if is_disturbed(row.other_cpu_s, row.wall_s):
        return False
    return row.agent is not None and (row.agent.prepared is None or Path(row.agent.prepared).is_file())


def prepare_workspaces(
    task: Task,
    spec: ToolSpec,
    corpora: Path,
    known: Mapping[str, PreparedTool],
    cases: Collection[str],
    sandbox: SandboxSetting = "auto",
    keep: Callable[[PreparedTool], None] | None = None,
) -> list[PreparedTool]:
    """Let a tool prepare the workspaces of a task's cases, one at a time.

    A known row of the same tool is kept.

    Args:
        corpora: folder of the fetched corpora.
        known: earlier rows by case id.
        keep: called with each row as soon as it is there.

    Raises:
        ConfigurationError: the tool is not installed, gives nothing to an agent, or its MCP server cannot be used.
    """
    section, tool = require_agent(spec), agent_tool(spec, sandbox)
    wanted = [case for case in task.cases if case.id in cases and not case.contexts]
    words = server_words(tool, task, wanted)
    speaks = section.instructions is None
    preparing = WorkspacePreparation(tool, spec.prepare or (), speaks, known, Path(paths.PREPARED_FILES), words, keep)
    workspaces = Workspaces(task, corpora)
    return preparing.rows((case.id, *_workspace(task, case, corpora, workspaces)) for case in wanted)


def _workspace(task: Task, case: Case, corpora: Path, workspaces: Workspaces) -> tuple[Workspace | None, str]:
    try:
        if case.workspace:
            return workspaces.of(case).record(), ""
        return case_workspace(case.id, case_texts(task, case, corpora)), ""
    except CorpusUnavailable as error:
        return None, str(error)


def require_prepared(spec: ToolSpec, files: Iterable[Path]) -> str:
    """Refuse a tool that could not prepare any workspace: nothing would be asked in its arm.

    What failed is not kept then, so that the next run tries again.

    Args:
        files: what the tool made of the workspaces of each task.

    Returns:
        What became of the workspaces, for people.

    Raises:
        ConfigurationError: `prepare` failed on every workspace.
    """
    made = list(files)
    rows = [row for file in made for row in read_prepared(file).values() if row.status != "skipped"]
    failed = [row.error or "no message" for row in rows if row.status == "failed"]
    if rows and len(failed) == len(rows):
        for file in made:
            file.unlink(missing_ok=True)
        (message, _), *_ = Counter(failed).most_common(1)
        which = "its only workspace" if len(rows) == 1 else f"any of the {number(len(rows))} workspaces"
        raise ConfigurationError(
            f"tool '{spec.id}' could not prepare {which}: {message}",
            remedy=f"Correct 'prepare' in {spec.folder / f'{spec.id}.yaml'}, or leave out the arm agent-{spec.id}",
        )
    return f"{len(rows) - len(failed)} of {plural(len(rows), 'workspace')} prepared"
