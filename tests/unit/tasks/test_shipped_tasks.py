"""The shipped tasks: cases enough, each can be solved, what is said about them holds, and audits find the same truth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.config.parsing import StrictModel
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts.approaches import APPROACHES
from ai_dev_tools.benchmark.prompts.tool_spec import ToolSpec, find_tools, load_tool
from ai_dev_tools.benchmark.tasks import audit
from ai_dev_tools.benchmark.tasks.audit import audit_task
from ai_dev_tools.benchmark.tasks.case_lists import CaseList
from ai_dev_tools.benchmark.tasks.loading import Case, ScoringRule, Task
from ai_dev_tools.benchmark.tasks.scoring import NORMALISATIONS, SCORERS, parse_answer, score_answer
from support.making import case, write_task
from support.repository import ROOT
from support.shipped import CORPORA, SHIPPED, load_once


@pytest.fixture(params=sorted(SHIPPED))
def task(request: pytest.FixtureRequest) -> Task:
    return load_once(request.param)


def test_the_shipped_tasks_are_there() -> None:
    """Six that a default run asks, and one that only agents can be asked."""
    assert {name for name in SHIPPED if load_once(name).agents_only} == {"repo_navigation"}
    assert set(SHIPPED) - {"repo_navigation"} == {
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
    assert bool(task.tools) != task.agents_only
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


# --- what is said about them --------------------------------------------------------------------------------------


def test_the_reference_has_the_numbers_of_the_shipped_tasks(task: Task) -> None:
    states = sum(case.tool_states_answer for case in task.cases)
    clusters = len({case.cluster for case in task.cases})
    cells = [len(task.cases), clusters, len(task.case_ids(["S"])), len(task.case_ids(["L"])), states]
    row = f"({task.id}/README.md) | {' | '.join(map(str, cells))} | {', '.join(task.tools) or '–'} |".replace(
        f"({task.id}", f"(../config/tasks/{task.id}"
    )
    assert row in (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", [Task, Case, ToolSpec, CaseList, ScoringRule], ids=lambda model: model.__name__)
def test_the_reference_names_every_field_scorer_and_rule(model: type[StrictModel]) -> None:
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    own = {name for name, field in model.model_fields.items() if not field.exclude}
    named = set(re.findall(r"\w+", text))
    assert own | set(SCORERS) | set(NORMALISATIONS) | set(APPROACHES) <= named


def test_only_the_task_about_one_file_is_of_a_single_source() -> None:
    assert [name for name in SHIPPED if load_once(name).single_source] == ["tensorflow_context"]


# --- audits -------------------------------------------------------------------------------------------------------


def test_every_truth_is_what_its_audit_finds(task: Task) -> None:
    """Independently of the tools. Tasks of fetched files: test_corpus_tasks.py, test_navigation.py."""
    if task.corpora:
        pytest.skip("its corpora are fetched")
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
