"""A task is a folder of data, and every mistake in it is one line naming file and field.

The shipped tasks are tested in test_shipped_tasks.py (enough cases, an oracle, audits) and test_shipped_leaks.py (no leak).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.tasks.case_files import case_texts
from ai_dev_tools.benchmark.tasks.corpora import CorpusUnavailable
from ai_dev_tools.benchmark.tasks.loading import Task, check_names, find_tasks, load_task
from support.making import SCHEMA, TASK, case, question_of, write_task


def error_of(folder: Path) -> str:
    """The one line that loading the task ends with."""
    with pytest.raises(ConfigurationError) as caught:
        load_task(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_task_is_a_folder_of_data(tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path))
    assert (task.id, task.tools, task.case_ids(), task.corpora) == ("colours", ("echo",), ["one", "two"], [])
    assert question_of(task, task.case("one")) == "Which colour has the sky?"
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
    with pytest.raises(CorpusUnavailable, match="'flask' is not available"):
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
        (
            {"scoring": [{"field": "colour", "scorer": "choice", "normalise": ["strip"]}]},
            ["scoring.0", "scorer 'choice' takes no 'normalise', valid: none"],
        ),
        (
            {"scoring": [{"field": "colour", "scorer": "exact", "tolerance": 1}]},
            ["scoring.0", "takes no 'tolerance', valid: normalise"],
        ),
        (
            {"scoring": [{"field": "colour", "scorer": "exact"}, {"field": "colour", "scorer": "choice"}]},
            ["'scoring' names field 'colour' twice"],
        ),
        ({"tools": ["echo", "echo"]}, ["'tools' names 'echo' twice"]),
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
        ({"source": "a\0b"}, ["'source' is 'a\\x00b': a path cannot hold the character NUL"]),
        ({"files": []}, ["'files' is []"]),
        ({"source": None, "inline": {}}, ["'inline' is {}"]),
        ({"source": None, "contexts": {}}, ["'contexts' is {}"]),
        ({"source": None, "inline": {".": "x"}}, ["'inline'", "'.' is not a path below"]),
        ({"source": None, "inline": {"a\0": "x"}}, ["'inline'", "is not a path below"]),
        ({"source": None, "inline": {"a": "x", "a/b.py": "y"}}, ["'a' is a file, and a folder in 'a/b.py'"]),
        ({"labels": {"x": float("nan")}}, ["holds an invalid number"]),
        ({"source": None}, ["give exactly one of 'source', 'inline', 'contexts' and 'workspace'"]),
        ({"inline": {"a": "b"}}, ["give exactly one of"]),
        ({"source": None, "inline": {"../a.py": "x"}}, ["'inline'", "'../a.py' is not a path below"]),
        ({"source": None, "inline": {"/a.py": "x"}}, ["'inline'", "'/a.py' is not a path below"]),
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


def test_a_source_that_is_a_link_to_a_file_elsewhere(tmp_path: Path) -> None:
    folder = write_task(tmp_path, case("one"))
    (source,) = (folder / "sources" / "one").iterdir()
    source.rename(tmp_path / "elsewhere.py")
    source.symlink_to(tmp_path / "elsewhere.py")
    line = error_of(folder)
    assert "one.yaml: " in line and f"{source.name} is a link that leads out of the source folder" in line


@pytest.mark.parametrize("scorer", ["number", "set_f1", "partition"])
def test_a_truth_that_its_scorer_cannot_compare(scorer: str, tmp_path: Path) -> None:
    line = error_of(write_task(tmp_path, case("one"), scoring=[{"field": "colour", "scorer": scorer}]))
    assert "cases/one.yaml: 'truth' of 'colour' cannot be compared by its scorer" in line


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
    assert "cases: no cases found. Add at least one" in error_of(folder)


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
