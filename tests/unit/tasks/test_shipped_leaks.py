"""The leak check: no prompt of a shipped case says more of the answer than its input does, unless the case declares it.

Every case is rendered in every arm, with what the real tools say.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.prompts.approaches import APPROACHES
from ai_dev_tools.benchmark.prompts.rendering import render_prompts
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult, collect_contexts, read_contexts, write_contexts
from ai_dev_tools.benchmark.prompts.tool_spec import ToolSpec, companions, find_tools, load_tool
from ai_dev_tools.benchmark.tasks.case_files import case_texts
from ai_dev_tools.benchmark.tasks.loading import Case, Task, load_task
from support.making import case, prompt, question_of, write_task
from support.repository import ROOT
from support.shipped import CORPORA, SHIPPED, load_once


@pytest.fixture(params=sorted(SHIPPED))
def task(request: pytest.FixtureRequest) -> Task:
    return load_once(request.param)


SEEN_BY_ALL = ("baseline", "no_context", "excerpt")
"""Arms that show raw input or nothing: what they say cannot leak more than the input does."""


@pytest.fixture(scope="session")
def rendered(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Prompt]]:
    """Every prompt of every shipped case in every built-in arm, with what the real tools say.

    What a tool said is kept between test runs, by a digest over tool, version and input.
    """
    tools = find_tools(ROOT / "config" / "tools")
    loaded = [load_once(name) for name in SHIPPED]
    jobs = [(task, load_tool(tools[name])) for task in loaded for name in task.tools]
    cache = getattr(pytestconfig, "cache", None)
    kept = cache.mkdir("contexts") if cache else tmp_path_factory.mktemp("contexts")

    def collect(job: tuple[Task, ToolSpec]) -> list[ToolResult]:
        known = kept / f"{job[0].id}.{job[1].id}.jsonl"
        rows = collect_contexts(*job, CORPORA, read_contexts(known))
        write_contexts(known, rows)
        return rows

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(collect, jobs))
    contexts: dict[str, dict[str, dict[str, ToolResult]]] = {}
    for (task, spec), rows in zip(jobs, results, strict=True):
        contexts.setdefault(task.id, {})[spec.id] = {row.case: row for row in rows}
    return {task.id: render_prompts(task, contexts.get(task.id, {}), APPROACHES.values(), CORPORA) for task in loaded}


def expected_values(truth: Any) -> Iterator[str]:
    """Every single word that an answer is made of; numbers and yes or no stand in any text."""
    match truth:
        case dict():
            for value in truth.values():
                yield from expected_values(value)
        case list():
            for value in truth:
                yield from expected_values(value)
        case str():
            yield truth


def says(text: str, value: str) -> bool:
    """Whether a lower-case text has the word; of a dotted name, each part somewhere."""
    if states(text, value):
        return True
    parts = value.split(".")
    return len(parts) > 1 and all(part and says(text, part) for part in parts)


def states(text: str, value: str) -> bool:
    """Whether a lower-case text has the very value, dotted or not, in any case."""
    value = value.lower()
    return value in text and re.search(rf"(?<![a-z0-9_]){re.escape(value)}(?![a-z0-9_])", text) is not None


@functools.cache
def raw_input(task_id: str, case_id: str) -> str:
    """All that a model may know of a case without a tool: files and their paths, question, answer format."""
    task = load_once(task_id)
    texts = case_texts(task, task.case(case_id), CORPORA)
    question = question_of(task, task.case(case_id))
    return "\n".join([*texts.values(), *texts, question, json.dumps(task.answer_schema)]).lower()


def asked(rows: list[Prompt], arms: Collection[str]) -> list[Prompt]:
    return [row for row in rows if row.prompt is not None and row.approach in arms]


def undeclared(rows: list[Prompt], raw_of: Callable[[str], str]) -> list[tuple[str, str, str]]:
    """Case, arm and word of each answer that only the context of a tool can have brought, and that no case declares."""
    return [
        (row.case, row.approach, value)
        for row in asked(rows, set(APPROACHES) - set(SEEN_BY_ALL))
        if not row.stratum
        for value in expected_values(row.truth)
        if states(str(row.prompt).lower(), value) and not says(raw_of(row.case), value)
    ]


def smuggled(
    rows: list[Prompt], raw_of: Callable[[str], str], case_of: Callable[[str], Case]
) -> list[tuple[str, str, str]]:
    """Case, arm and text of what no arm may say: remarks about the case; in raw arms also what the input lacks."""
    found = []
    for row in asked(rows, APPROACHES):
        shown, item = str(row.prompt).lower(), case_of(row.case)
        remarks = [text.lower() for text in (item.notes, item.established) if text]
        found += [(row.case, row.approach, text) for text in remarks if text in shown]
        if row.approach in SEEN_BY_ALL:
            # a cut can make another word of the one it goes through
            shortest = 8 if row.approach == "excerpt" else 0
            words = [value for value in expected_values(row.truth) if len(value) > shortest]
            raw = raw_of(row.case)
            found += [(row.case, row.approach, word) for word in words if states(shown, word) and not says(raw, word)]
    return found


@pytest.mark.parametrize(
    ("context", "stratum", "leaks"),
    [
        ("cycle: reader -> writer", "", ["writer"]),
        ("Cycle: reader -> WRITER.", "", ["writer"]),
        ("cycle: reader -> writer", "tool_states_answer", []),
        ("reader imports rewriter", "", []),
        ("nothing", "", []),
    ],
)
def test_a_planted_leak_is_noticed(context: str, stratum: str, leaks: list[str]) -> None:
    row = prompt("one", "tools", context, truth={"names": ["reader", "writer"], "count": 2}, stratum=stratum)
    assert [word for _, _, word in undeclared([row], lambda case: "import reader, rewriter\n")] == leaks


def test_every_tool_runs_on_every_case(task: Task, rendered: dict[str, list[Prompt]]) -> None:
    broken = [
        (p.case, p.approach, p.error.message) for p in rendered[task.id] if p.error and p.error.class_ != "corpus"
    ]
    assert broken == []


def test_the_question_of_a_case_does_not_answer_itself(task: Task) -> None:
    """All cases of a task share the question's words; what differs are the variables."""
    for item in task.cases:
        given = json.dumps(item.vars)
        expected = [value for value in expected_values(item.truth) if len(value) > 2]
        assert [v for v in expected if re.search(rf"(?<![.\w]){re.escape(v)}(?!\w)", given)] == [], item.id


def test_raw_arms_say_only_what_the_raw_input_says(task: Task, rendered: dict[str, list[Prompt]]) -> None:
    """Neither notes, labels, truth nor the establishing of it enter a prompt."""
    assert smuggled(rendered[task.id], functools.partial(raw_input, task.id), task.case) == []


@pytest.mark.parametrize(
    ("text", "arm", "leaks"),
    [
        ("The answer is writer.", "baseline", ["writer"]),
        ("Found by READING twice", "no_context", ["reading twice"]),
        ("a hard negative", "tools", ["a hard negative"]),
        ("import reader", "baseline", []),
        ("rewriter", "excerpt", []),
    ],
)
def test_a_smuggled_answer_is_noticed(text: str, arm: str, leaks: list[str], tmp_path: Path) -> None:
    item = case("one", notes="a hard negative", established="Reading twice")
    task = load_task(write_task(tmp_path, item))
    row = prompt("one", arm, text, truth={"names": ["reader", "writer"]})
    assert [word for _, _, word in smuggled([row], lambda case: "import reader\n", task.case)] == leaks


def test_tool_arms_add_no_answer_unless_the_case_declares_it(task: Task, rendered: dict[str, list[Prompt]]) -> None:
    """A word of the answer that the raw input lacks can only come from the tool, and then the case says so."""
    assert undeclared(rendered[task.id], functools.partial(raw_input, task.id)) == []


def test_no_file_of_a_tool_knows_a_case() -> None:
    """What a tool says must come from its output: no identifier that an answer has stands in its template or rules."""
    for task in map(load_once, SHIPPED):
        for name in task.tools:
            path = ROOT / "config" / "tools" / f"{name}.yaml"
            text = "".join(file.read_text() for file in [path, *companions(path)]).lower()
            for item in task.cases:
                lists = [value for value in (item.truth or {}).values() if isinstance(value, list)]
                names = {v for v in [item.id, *expected_values(lists)] if re.search(r"[a-z0-9][_.][a-z0-9]", v)}
                assert [value for value in names if states(text, value)] == [], (name, item.id)


def test_prompts_fit_the_context_window(task: Task, rendered: dict[str, list[Prompt]]) -> None:
    """S: at most 2,500 tokens, L: so that 8,192 hold prompt and answer; 3.2 characters to a token is cautious."""
    too_long = [
        (row.case, row.approach, round(len(row.prompt) / 3.2))
        for row in rendered[task.id]
        if row.prompt and row.approach == "baseline" and len(row.prompt) / 3.2 > (2_900 if row.size == "S" else 7_680)
    ]
    assert too_long == []
