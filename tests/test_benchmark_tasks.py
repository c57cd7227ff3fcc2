"""Tasks: every mistake is one line naming file and field; the shipped ones load, can be solved, and leak nothing."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from making import SCHEMA, TASK, case, prompt, write_task

from ai_dev_tools.benchmark import audit
from ai_dev_tools.benchmark.approaches import APPROACHES
from ai_dev_tools.benchmark.audit import audit_task
from ai_dev_tools.benchmark.caselists import CaseList
from ai_dev_tools.benchmark.contexts import ToolResult, collect_contexts, read_contexts, write_contexts
from ai_dev_tools.benchmark.corpora import CorpusUnavailable
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts import Prompt, render_prompts
from ai_dev_tools.benchmark.scoring import NORMALISATIONS, SCORERS, parse_answer, score_answer
from ai_dev_tools.benchmark.tasks import (
    Case,
    ScoringRule,
    Task,
    case_texts,
    check_names,
    find_tasks,
    load_task,
    render_question,
)
from ai_dev_tools.benchmark.tools import ToolSpec, companions, find_tools, load_tool
from ai_dev_tools.benchmark.validation import StrictModel

ROOT = Path(__file__).parents[1]
SHIPPED = find_tasks([ROOT / "config" / "tasks"])
CORPORA = ROOT / "resources" / "corpora"


@functools.cache
def load_once(task_id: str) -> Task:
    """A shipped task."""
    return load_task(SHIPPED[task_id])


def error_of(folder: Path) -> str:
    """The one line that loading the task ends with."""
    with pytest.raises(ConfigurationError) as caught:
        load_task(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- a task folder ------------------------------------------------------------------------------------------------


def test_a_task_is_a_folder_of_data(tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path))
    assert (task.id, task.tools, task.case_ids(), task.corpora) == ("colours", ("echo",), ["one", "two"], [])
    assert render_question(task, task.case("one")) == "Which colour has the sky?"
    assert case_texts(task, task.case("one"), tmp_path) == {"app.py": "# one\nx = 1\n"}
    assert [path.name for path in task.input_files()] == ["one.yaml", "two.yaml", "app.py", "app.py", "task.yaml"]


def test_a_later_folder_replaces_a_task_of_the_same_name(tmp_path: Path) -> None:
    first, second = write_task(tmp_path / "a"), write_task(tmp_path / "b")
    assert find_tasks([first.parent]) == {"colours": first}
    assert find_tasks([first.parent, second.parent]) == {"colours": second}


def test_a_task_folder_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere does not exist.*'task_folders'"):
        find_tasks([tmp_path / "nowhere"])


def test_files_come_in_the_order_of_the_globs_and_once(tmp_path: Path) -> None:
    sources = {"one/b.py": "b", "one/a.py": "a", "one/sub/c.py": "c", "one/__pycache__/a.pyc": "x", "one/notes.md": "m"}
    task = load_task(write_task(tmp_path, case("one", files=["notes.md", "**/*.py"]), sources=sources))
    assert list(case_texts(task, task.case("one"), tmp_path)) == ["notes.md", "a.py", "b.py", "sub/c.py"]


def test_files_may_stand_in_the_case_itself(tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path, case("one", source=None, inline={"a.py": "x = 1\n"})))
    assert case_texts(task, task.case("one"), tmp_path) == {"a.py": "x = 1\n"}


def test_a_corpus_that_is_not_there_is_told_apart_from_a_mistake(tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path, case("one", source="corpus:flask")))
    assert task.corpora == ["flask"]
    with pytest.raises(CorpusUnavailable, match="'flask' is not at hand"):
        case_texts(task, task.case("one"), tmp_path)


@pytest.mark.parametrize("field", ["id", "name", "description", "workflow_type", "question", "answer_schema"])
def test_a_missing_field_of_a_task(field: str, tmp_path: Path) -> None:
    assert error_of(write_task(tmp_path, **{field: None})).endswith(f"colours/task.yaml: '{field}' is missing")


@pytest.mark.parametrize("field", ["id", "cluster", "size"])
def test_a_missing_field_of_a_case(field: str, tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    data = case("one")
    del data[field]
    (folder / "cases" / "one.yaml").write_text(yaml.safe_dump(data))
    assert error_of(folder).endswith(f"cases/one.yaml: '{field}' is missing")


BAD_SCHEMA = {"type": "object", "properties": {"colour": {"type": "strng"}}}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"scoring": [{"field": "colour", "scorer": "set_f2"}]}, ["scoring.0.scorer", "'set_f2'", "'set_f1'"]),
        ({"scoring": [{"field": "color", "scorer": "exact"}]}, ["'scoring'", "'color'", "did you mean 'colour'"]),
        (
            {"scoring": [{"field": "colour", "scorer": "exact", "normalise": ["lowr"]}]},
            ["'lowr'", "did you mean 'lower'"],
        ),
        ({"scoring": [{"field": "colour", "scorer": "exact", "weight": 0}]}, ["scoring.0.weight", "greater than 0"]),
        ({"answer_schema": BAD_SCHEMA}, ["'answer_schema' is not JSON Schema", "strng", "$.properties.colour.type"]),
        ({"answer_schema": {"type": "object", "properties": []}}, ["'answer_schema' is not JSON Schema"]),
        ({"answer_schema": SCHEMA | {"$ref": "#/$defs/none"}}, ["'answer_schema' cannot be used", "$defs/none"]),
        (
            {"answer_schema": {"type": "object", "properties": {"colour": {"pattern": "("}}}},
            ["'answer_schema' is not JSON Schema"],
        ),
        ({"question": "Which {{ thing"}, ["'question' is not a valid Jinja2 template"]),
        ({"question": "Which {{ thong }}?"}, ["cases/one.yaml", "'vars' do not fit", "'thong' is undefined"]),
        ({"question": "{{ thing / 0 }}"}, ["cases/one.yaml", "'vars' do not fit"]),
        ({"question": "{{ ''.__class__.__mro__ }}"}, ["cases/one.yaml", "'vars' do not fit", "unsafe"]),
        ({"id": "colors"}, ["'id' is 'colors'", "the folder is named 'colours'"]),
        ({"id": "../x"}, ["'id' is '../x'", "becomes part of a path"]),
        ({"workflow_type": "saftey_check"}, ["'workflow_type' is 'saftey_check'", "did you mean 'safety_check'"]),
        ({"toolz": []}, ["unknown setting 'toolz'", "did you mean 'tools'"]),
        ({"timeout": -1}, ["'timeout' is -1"]),
    ],
    ids=str,
)
def test_a_mistake_in_a_task_is_one_line_naming_file_and_field(
    changed: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    line = error_of(write_task(tmp_path, case("one"), **changed))
    assert "task.yaml" in line
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"truth": {"colour": "blue"}}, ["'truth' violates the task's answer_schema", "'blue'"]),
        ({"truth": {}}, ["'truth' violates the task's answer_schema", "required"]),
        ({"source": "nowhere"}, ["'source' folder", "does not exist"]),
        ({"files": ["*.c"]}, ["'files' entry '*.c' matches no file"]),
        ({"files": ["../two/app.py"]}, ["'files' entry '../two/app.py' leads out"]),
        ({"files": ["/etc/hostname"]}, ["'/etc/hostname' leads out"]),
        ({"files": [""]}, ["'files' entry ''"]),
        ({"files": ["**.py"]}, ["'files' entry '**.py'"]),
        ({"source": "../../.."}, ["'source' ../../.. leads out"]),
        ({"source": "/etc"}, ["'source' /etc leads out"]),
        ({"source": ""}, ["'source' is ''"]),
        ({"source": None}, ["give exactly one of 'source', 'inline' and 'contexts'"]),
        ({"inline": {"a": "b"}}, ["give exactly one of"]),
        ({"source": None, "inline": {"../a.py": "x"}}, ["'inline'", "'../a.py' is no path below"]),
        ({"source": None, "inline": {"/a.py": "x"}}, ["'inline'", "'/a.py' is no path below"]),
        ({"established": None}, ["'established' is missing"]),
        ({"size": "XXS"}, ["'size' is 'XXS'", "did you mean 'S'"]),
        ({"cluster": "a/b"}, ["'cluster' is 'a/b'"]),
        ({"tool_state_answer": True}, ["unknown setting 'tool_state_answer'", "did you mean 'tool_states_answer'"]),
        ({"excerpt": {"file": "app.py"}}, ["excerpt", "symbols"]),
    ],
    ids=str,
)
def test_a_mistake_in_a_case_is_one_line_naming_file_and_field(
    changed: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    folder = write_task(tmp_path, case("one"), case("two"))
    (folder / "cases" / "one.yaml").write_text(yaml.safe_dump(case("one", **changed)))
    line = error_of(folder)
    assert "one.yaml" in line
    assert all(word in line for word in words), line


@pytest.mark.parametrize("bad", ["../x", "a/b", "", ".", "a b", "-x", "ä"])
def test_an_id_that_is_not_path_safe(bad: str, tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "cases" / "one.yaml").write_text(yaml.safe_dump(case("one") | {"id": bad}))
    assert "becomes part of a path" in error_of(folder)


def test_two_cases_with_one_id(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "cases" / "two.yaml").write_text(yaml.safe_dump(case("one")))
    assert "two.yaml: 'id' is 'one' but the file is named 'two'" in error_of(folder)


def test_a_task_without_cases(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    for path in (folder / "cases").iterdir():
        path.unlink()
    assert "cases: no case found. Add at least one" in error_of(folder)


def test_a_case_that_is_no_yaml_or_no_mapping(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "cases" / "one.yaml").write_text("id: [")
    assert re.search(r"one.yaml line \d+ is not valid YAML", error_of(folder))
    (folder / "cases" / "one.yaml").write_text("- id")
    assert "one.yaml: expected a mapping of settings, found list" in error_of(folder)


@pytest.mark.parametrize("link", ["sources/one/secret.py", "sources/one", "sources"])
def test_a_link_that_leads_out_of_the_folder(link: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "one").mkdir(parents=True)
    for path in (outside / "app.py", outside / "one" / "app.py", tmp_path / "secret.py"):
        path.write_text("password = 1\n")
    folder = write_task(tmp_path, case("one"))
    place = folder / link
    if link.endswith(".py"):
        place.symlink_to(tmp_path / "secret.py")
    else:
        place.rename(tmp_path / "moved")
        place.symlink_to(outside)
    assert "leads out of" in error_of(folder)


def test_a_link_within_the_source_folder_is_fine(tmp_path: Path) -> None:
    folder = write_task(tmp_path, case("one"))
    (folder / "sources" / "one" / "b.py").symlink_to("app.py")
    assert list(case_texts(load_task(folder), load_task(folder).case("one"), tmp_path)) == ["app.py", "b.py"]


def test_a_task_folder_that_is_itself_a_link_is_fine(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "colours").symlink_to(write_task(tmp_path))
    assert load_task(tmp_path / "here" / "colours").case_ids() == ["one", "two"]


def test_a_corpus_name_that_leads_out(tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path, case("one", source="corpus:../..")))
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="leads out"):
        case_texts(task, task.case("one"), tmp_path / "a" / "b")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    folder = write_task(tmp_path, case("one"))
    (folder / "sources" / "one" / "app.py").write_bytes(b"\xff\xfe")
    task = load_task(folder)
    with pytest.raises(ConfigurationError, match=r"one.yaml: .*app.py is not readable as UTF-8"):
        case_texts(task, task.case("one"), tmp_path)


def test_each_wrong_case_has_its_line(tmp_path: Path) -> None:
    folder = write_task(tmp_path, *(case(name, truth={"colour": "blue"}) for name in ("one", "two", "three")))
    with pytest.raises(ConfigurationError) as caught:
        load_task(folder)
    assert len(str(caught.value).split("\n")) == 3


def test_unknown_names_each_have_a_line_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_names(["bandt", "ruff", "x"], ["bandit", "ruff"], "tool")
    assert str(caught.value).split("\n") == [
        "unknown tool 'bandt', did you mean 'bandit'?",
        "unknown tool 'x', valid: bandit, ruff",
    ]


def test_the_task_of_these_tests_uses_every_field_that_is_required() -> None:
    assert {name for name, field in Task.model_fields.items() if field.is_required()} <= {*TASK, "folder", "cases"}


# --- the shipped tasks --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    return {name: load_once(name) for name in SHIPPED}


@pytest.fixture(params=sorted(SHIPPED))
def task(request: pytest.FixtureRequest, tasks: dict[str, Task]) -> Task:
    return tasks[request.param]


def test_the_six_tasks_are_there() -> None:
    assert set(SHIPPED) == {
        "safety_assessment",
        "pattern_detection",
        "context_analysis",
        "tensorflow_context",
        "repo_analysis",
        "systematic_fix",
    }


def test_a_shipped_task_has_cases_enough_for_a_paired_test(task: Task) -> None:
    assert len(task.cases) >= 24
    assert len(task.case_ids(["S"])) >= 8
    assert len({case.cluster for case in task.cases}) >= 12
    assert all(case.truth is not None for case in task.cases)


def test_every_tool_of_a_shipped_task_is_there_and_loads(task: Task) -> None:
    files = find_tools(ROOT / "config" / "tools")
    assert task.tools
    for name in task.tools:
        spec = load_tool(files[name])
        assert spec.version
        assert spec.package


def test_a_perfect_answer_scores_1_and_an_absent_one_0(task: Task) -> None:
    rules = [rule.as_dict() for rule in task.scoring]
    for item in task.cases:
        perfect = parse_answer(json.dumps(item.truth))
        assert score_answer(perfect, item.truth, rules) == 1, item.id
        for absent in (None, {}, [], "", parse_answer("I do not know."), parse_answer(json.dumps(item.truth)[:-1])):
            assert score_answer(absent, item.truth, rules) == 0, item.id


def test_answers_are_bounded(task: Task) -> None:
    """Or constrained decoding goes on until the cap."""

    def unbounded(schema: dict[str, Any], where: str) -> Iterator[str]:
        match schema.get("type"):
            case "object":
                if schema.get("additionalProperties") is not False:
                    yield f"{where}: additionalProperties"
                for key, value in schema["properties"].items():
                    yield from unbounded(value, f"{where}.{key}")
            case "array":
                if "maxItems" not in schema:
                    yield f"{where}: maxItems"
                yield from unbounded(schema["items"], f"{where}[]")
            case "string":
                if "maxLength" not in schema and "enum" not in schema:
                    yield f"{where}: maxLength"

    assert list(unbounded(task.answer_schema, task.id)) == []
    assert set(task.answer_schema["required"]) == set(task.answer_schema["properties"])
    assert {rule.field for rule in task.scoring} <= set(task.answer_schema["properties"])


# --- the leak check -----------------------------------------------------------------------------------------------

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
    return {task.id: render_prompts(task, contexts[task.id], APPROACHES.values(), CORPORA) for task in loaded}


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
    question = render_question(task, task.case(case_id))
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


def test_no_file_of_a_tool_knows_a_case(tasks: dict[str, Task]) -> None:
    """What a tool says must come from its output: no identifier that an answer has stands in its template or rules."""
    for task in tasks.values():
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


# --- what is said about them --------------------------------------------------------------------------------------


def test_the_reference_has_the_numbers_of_the_shipped_tasks(task: Task) -> None:
    states = sum(case.tool_states_answer for case in task.cases)
    clusters = len({case.cluster for case in task.cases})
    cells = [len(task.cases), clusters, len(task.case_ids(["S"])), len(task.case_ids(["L"])), states]
    row = f"({task.id}/README.md) | {' | '.join(map(str, cells))} | {', '.join(task.tools)} |".replace(
        f"({task.id}", f"(../config/tasks/{task.id}"
    )
    assert row in (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", [Task, Case, ToolSpec, CaseList, ScoringRule], ids=lambda model: model.__name__)
def test_the_reference_names_every_field_scorer_and_rule(model: type[StrictModel]) -> None:
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    own = {name for name, field in model.model_fields.items() if not field.exclude}
    named = set(re.findall(r"\w+", text))
    assert own | set(SCORERS) | set(NORMALISATIONS) | set(APPROACHES) <= named


def test_only_the_task_about_one_file_is_of_a_single_source(tasks: dict[str, Task]) -> None:
    assert [name for name, task in tasks.items() if task.single_source] == ["tensorflow_context"]


# --- audits -------------------------------------------------------------------------------------------------------


def test_every_truth_is_what_its_audit_finds(task: Task) -> None:
    """Independently of the tools. Tasks of fetched files are audited where those are at hand."""
    if not all((CORPORA / corpus).is_dir() for corpus in task.corpora):
        pytest.skip("its corpora are not at hand")
    assert audit_task(task.folder, CORPORA) == []


def test_an_audit_is_a_module_like_any_other(tmp_path: Path) -> None:
    """Dataclasses look their module up by name."""
    code = "from __future__ import annotations\nimport dataclasses\n\n@dataclasses.dataclass\nclass A:\n    x: int\n"
    (tmp_path / "audit.py").write_text(f"{code}\ndef audit(folder):\n    return [f'{{folder.name}}: {{A(1)}}']\n")
    assert audit_task(tmp_path, CORPORA) == [f"{tmp_path.name}: A(x=1)"]


@pytest.mark.parametrize(("code", "words"), [(None, "audit.py does not exist"), ("x = 1\n", "no function `audit(task")])
def test_a_task_without_an_audit_is_one_line(code: str | None, words: str, tmp_path: Path) -> None:
    if code:
        (tmp_path / "audit.py").write_text(code)
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        audit_task(tmp_path, CORPORA)


@pytest.mark.parametrize(
    ("truth", "code", "said"), [("red", 0, "2 cases, 0 differences"), ("green", 1, "one: expected red")]
)
def test_the_audit_of_all_tasks(
    truth: str,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_task(tmp_path / "config" / "tasks", case("one", truth={"colour": truth}), case("two"))
    (tmp_path / "config" / "corpora.yaml").write_text("{}\n")
    (folder / "audit.py").write_text(
        "def audit(folder):\n"
        "    return ['one: expected red'] if 'green' in (folder / 'cases' / 'one.yaml').read_text() else []\n"
    )
    monkeypatch.chdir(tmp_path)
    assert audit.main() == code
    assert said in capsys.readouterr().out


def test_auditing_nothing_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config" / "tasks").mkdir(parents=True)
    (tmp_path / "config" / "corpora.yaml").write_text("{}\n")
    monkeypatch.chdir(tmp_path)
    assert audit.main() == 2
    assert "nothing could be audited" in capsys.readouterr().err
