"""Render the prompts of a task: context, question and answer format for each case and arm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.errors import BenchmarkError, ToolError
from ai_dev_tools.benchmark.plugins import Approach, CaseInputs, is_agent, reads_workspaces
from ai_dev_tools.benchmark.prompts import SKIPPED, Prompt
from ai_dev_tools.benchmark.prompts.approaches import ApproachFailed, build_context, find_approach
from ai_dev_tools.benchmark.prompts.episodes import ArmDesign, case_workspace, episode_spec, first_message, with_tool
from ai_dev_tools.benchmark.prompts.sizes import refuse_wrong_sizes
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult
from ai_dev_tools.benchmark.records.episode import Workspace
from ai_dev_tools.benchmark.records.prepared import PreparedTool
from ai_dev_tools.benchmark.records.sample_error import SampleError
from ai_dev_tools.benchmark.tasks.case_files import case_texts
from ai_dev_tools.benchmark.tasks.corpora import CorpusUnavailable
from ai_dev_tools.benchmark.tasks.loading import Case, Task
from ai_dev_tools.benchmark.tasks.questions import render_questions
from ai_dev_tools.benchmark.tasks.workspaces import Workspaces

MISMATCHED = "mismatched"
"""The only arm that shows the findings about another case."""


def compose(question: str, context: str | None, schema: Mapping[str, JsonValue]) -> str:
    """The prompt: the same text in every arm, except for the context itself."""
    parts = []
    if context is not None:
        parts.append(f"## Context\n\n{context}")
    parts.append(f"## Question\n\n{question}")
    parts.append(
        "## Answer format\n\nAnswer with one JSON object that follows this JSON Schema, and nothing else:\n"
        + json.dumps(schema, separators=(",", ":"))
    )
    return "\n\n".join(parts)


def render_prompts(
    task: Task,
    contexts: Mapping[str, Mapping[str, ToolResult]],
    arms: Iterable[Approach],
    corpora: Path,
    shown: Sequence[str] | None = None,
    designs: Mapping[str, ArmDesign] | None = None,
    prepared: Mapping[str, Mapping[str, PreparedTool]] | None = None,
) -> list[Prompt]:
    """All prompts of a task whose tools have run, in the order of its cases and the arms.

    Args:
        contexts: results of each tool, by tool id and case id.
        corpora: folder of the fetched corpora.
        shown: tools behind the arm `tools` and the controls; the task's own by default.
        designs: of the agent arms, by arm.
        prepared: the tools of agent arms, by arm and case id.

    Raises:
        ConfigurationErrors: a case is far larger than the size class that it declares.
    """
    tools = tuple(task.tools if shown is None else shown)
    rows = _rendered(task, contexts, list(arms), corpora, tools, designs or {}, prepared or {})
    refuse_wrong_sizes(task, rows)
    return rows


def baseline_rows(task: Task, cases: Sequence[str], corpora: Path) -> Iterator[Prompt]:
    """The baseline prompts of some cases, for those whose files are available, of any size.

    Raises:
        ConfigurationError: a file is missing or is not text.
    """
    wanted = task.model_copy(update={"cases": tuple(case for case in task.cases if case.id in set(cases))})
    rows = _rendered(wanted, {}, [find_approach("baseline", {})], corpora, ())
    return (row for row in rows if row.prompt is not None)


def _rendered(
    task: Task,
    contexts: Mapping[str, Mapping[str, ToolResult]],
    arms: list[Approach],
    corpora: Path,
    tools: tuple[str, ...],
    designs: Mapping[str, ArmDesign] = MappingProxyType({}),
    prepared: Mapping[str, Mapping[str, PreparedTool]] = MappingProxyType({}),
) -> list[Prompt]:
    """Like `render_prompts`, but without the check of sizes."""
    made: list[Mapping[str, object]] = [*contexts.values(), *prepared.values()]
    cases = [case for case in task.cases if case.contexts or all(case.id in results for results in made)]
    if task.agents_only:
        return list(_workspace_prompts(task, cases, arms, Workspaces(task, corpora), designs, prepared))
    questions = render_questions(task, cases)
    return [
        row
        for case in cases
        for row in _case_prompts(task, case, str(questions[case.id]), contexts, arms, corpora, tools, designs, prepared)
    ]


def _workspace_prompts(
    task: Task,
    cases: Sequence[Case],
    arms: list[Approach],
    workspaces: Workspaces,
    designs: Mapping[str, ArmDesign],
    prepared: Mapping[str, Mapping[str, PreparedTool]],
) -> Iterator[Prompt]:
    """The prompts of cases that are whole repositories: those of agents, and the question alone."""
    questions = render_questions(task, cases)
    for case in cases:
        for arm in (arm for arm in arms if reads_workspaces(arm.name)):
            question = str(questions[case.id])
            try:
                workspace = workspaces.of(case).record()
            except CorpusUnavailable as error:
                yield _row(task, case, arm, None, error=SampleError(SKIPPED, str(error)))
                continue
            if is_agent(arm.name):
                yield _episode_prompt(
                    task, case, arm, workspace, question, designs[arm.name], prepared.get(arm.name, {})
                )
            else:
                yield _row(task, case, arm, compose(question, None, task.answer_schema))


def _case_prompts(
    task: Task,
    case: Case,
    question: str,
    contexts: Mapping[str, Mapping[str, ToolResult]],
    arms: list[Approach],
    corpora: Path,
    tools: tuple[str, ...],
    designs: Mapping[str, ArmDesign],
    prepared: Mapping[str, Mapping[str, PreparedTool]],
) -> list[Prompt]:
    try:
        texts = case_texts(task, case, corpora)
    except CorpusUnavailable as error:
        return [_row(task, case, arm, None, error=SampleError(SKIPPED, str(error))) for arm in arms]
    other = _other_case(task, case, [contexts[tool] for tool in tools])
    if other is None:
        arms = [arm for arm in arms if arm.name != MISMATCHED]
    inputs = CaseInputs(
        case=case.id,
        texts=texts,
        findings={tool: results[case.id] for tool, results in contexts.items() if case.id in results},
        tools=tools,
        other={tool: results[other] for tool, results in contexts.items() if other and other in results},
        given=case.contexts,
    )
    return [
        _episode_prompt(
            task, case, arm, case_workspace(case.id, texts), question, designs[arm.name], prepared.get(arm.name, {})
        )
        if is_agent(arm.name)
        else _arm_prompt(task, case, arm, inputs, question)
        for arm in arms
    ]


def _episode_prompt(
    task: Task,
    case: Case,
    arm: Approach,
    workspace: Workspace,
    question: str,
    design: ArmDesign,
    prepared: Mapping[str, PreparedTool],
) -> Prompt:
    """The first message of an agent at a case, and what the episode may do after it.

    Args:
        prepared: the arm's tool, by case id; empty if it has none.
    """
    tool = prepared.get(case.id)
    if tool is not None and tool.agent is None:
        kind = "tool" if tool.status == "failed" else SKIPPED
        error = SampleError(kind, tool.error or f"{tool.tool} was not prepared")
        return _row(task, case, arm, None, tool.wall_s, tool.other_cpu_s, error)
    design = with_tool(design, tool) if tool else design
    spec = episode_spec(arm.name, design, workspace, question, case.vars)
    cost = (tool.wall_s, tool.other_cpu_s) if tool else (0.0, None)
    row = _row(task, case, arm, first_message(question, task.answer_schema, spec), *cost)
    return msgspec.structs.replace(row, episode=spec)


def _arm_prompt(task: Task, case: Case, arm: Approach, inputs: CaseInputs, question: str) -> Prompt:
    try:
        context = build_context(arm, inputs)
    except ApproachFailed:  # a mistake in code: the next case would only repeat it
        raise
    except BenchmarkError as error:
        cost = (error.spent_s, error.other_cpu_s) if isinstance(error, ToolError) else (0.0, None)
        return _row(task, case, arm, None, *cost, error=SampleError(error.error_class, str(error)))
    prompt = compose(question, context.text, task.answer_schema)
    return _row(task, case, arm, prompt, context.tool_s, context.tool_other_cpu_s)


def _row(
    task: Task,
    case: Case,
    arm: Approach,
    prompt: str | None,
    tool_s: float = 0.0,
    tool_other_cpu_s: float | None = None,
    error: SampleError | None = None,
) -> Prompt:
    return Prompt(
        task=task.id,
        case=case.id,
        cluster=case.cluster,
        size=case.size,
        approach=arm.name,
        prompt=prompt,
        prompt_sha256=hashlib.sha256((prompt or "").encode()).hexdigest(),
        error=error,
        tool_s=round(tool_s, 6),
        tool_other_cpu_s=None if tool_other_cpu_s is None else round(tool_other_cpu_s, 6),
        answer_schema=task.answer_schema,
        scoring=[rule.as_dict() for rule in task.scoring],
        truth=case.truth,
        stratum="tool_states_answer" if case.tool_states_answer else "",
        timeout_s=task.timeout,
    )


def other_cases(task: Task, case: Case) -> list[Case]:
    """Cases whose findings the `mismatched` arm may show for this case.

    Starts with the next one of another cluster.
    """
    start = task.cases.index(case)
    rest = [*task.cases[start + 1 :], *task.cases[:start]]
    return [other for other in rest if other.cluster != case.cluster] or rest


def _other_case(task: Task, case: Case, findings: Sequence[Mapping[str, ToolResult]]) -> str | None:
    """The other case for the `mismatched` arm, preferably one on which no tool failed.

    None if no tool ran on any.
    """
    others = other_cases(task, case)
    known = [other for other in others if all(other.id in found for found in findings)]
    usable = [other for other in known if all(found[other.id].status == "ok" for found in findings)]
    return next((other.id for other in usable or known), None if others else "")
