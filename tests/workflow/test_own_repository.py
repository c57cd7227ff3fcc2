"""Questions about a repository of the user's, through the whole workflow, with a labelled fake that plays the agent."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from fakes.agent_model import Message, action, answer, playing
from fakes.ollama import FakeOllama
from support.workflow_project import Project

MODEL = "llama3.2:1b"
NAMES = ("dock", "sail", "sink", "anchor", "moor", "row")
GUESS = {"caller": "main"}
TASK: dict[str, Any] = {
    "id": "harbour", "name": "Harbour", "description": "Who calls what?", "workflow_type": "custom", "agents_only": True,
    "single_source": True, "question": "Which function calls {{ thing }}?",
    "answer_schema": {
        "type": "object", "additionalProperties": False, "required": ["caller"],
        "properties": {"caller": {"type": "string", "maxLength": 20}},
    },
    "scoring": [{"field": "caller", "scorer": "exact"}],
}  # fmt: skip


def write_harbour(folder: Path, place: dict[str, str]) -> None:
    """A task about the folder `repo`: a file and a question for each name."""
    (folder / "mine" / "harbour").mkdir(parents=True, exist_ok=True)
    (folder / "mine" / "harbour" / "task.yaml").write_text(yaml.safe_dump(TASK))
    rows = [
        {
            "id": name, "cluster": f"{name}.py", "size": "S", "workspace": place, "vars": {"thing": name},
            "truth": {"caller": f"call_{name[::-1]}"}, "established": "written so",
        }
        for name in NAMES
    ]  # fmt: skip
    (folder / "mine" / "harbour" / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_repo(folder: Path) -> Path:
    for name in NAMES:
        (folder / "repo" / "harbour").mkdir(parents=True, exist_ok=True)
        (folder / "repo" / "harbour" / f"{name}.py").write_text(f"def call_{name[::-1]}():\n    {name}()\n")
    (folder / "repo" / "logo.png").write_bytes(b"\x89PNG\0")
    return folder / "repo"


def write_plain(folder: Path) -> None:
    """A task beside it whose files fit a prompt."""
    (folder / "mine" / "plain").mkdir(parents=True)
    plain = TASK | {"id": "plain", "name": "Plain", "agents_only": False, "single_source": False}
    (folder / "mine" / "plain" / "task.yaml").write_text(yaml.safe_dump(plain))
    rows = [
        {
            "id": name, "cluster": name, "size": "S", "inline": {"a.py": f"def call_{name[::-1]}():\n    {name}()\n"},
            "vars": {"thing": name}, "truth": {"caller": f"call_{name[::-1]}"}, "established": "written so",
        }
        for name in NAMES
    ]  # fmt: skip
    (folder / "mine" / "plain" / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def seeker(conversation: Sequence[Message], turn: int) -> Message:
    """Looks for the call, reads that file, and answers with the function in it."""
    asked = re.search(r"Which function calls (\w+)\?", conversation[0]["content"])
    if not asked:  # a warm-up
        return answer(GUESS)
    if turn == 0:
        return action("search", pattern=f"    {asked[1]}(", path="")
    if turn == 1 and (found := re.search(r"(\S+\.py):\d+:", conversation[-1]["content"])):
        return action("read_file", path=found[1], start=1)
    found = re.search(r"def (\w+)\(", conversation[-1]["content"])
    return answer({"caller": found[1]} if found else GUESS)


def asked(project: Project) -> Counter[tuple[str, str]]:
    return Counter((name.split("/")[1], name.split("/")[2]) for name in project.sample_files("light"))


def test_an_agent_is_asked_about_a_folder_and_a_commit(project: Project) -> None:
    repo = write_repo(project.folder)
    write_harbour(project.folder, {"path": "../../repo"})
    write_plain(project.folder)
    run: dict[str, Any] = {"profile": "light", "task_folders": "mine", "tasks": "harbour,plain", "samples": 6}
    run |= {"approaches": "baseline,agent,agent-none"}
    with FakeOllama([MODEL]) as fake:
        fake.converse = playing(seeker, last=GUESS)
        said = project.run("run", endpoint=fake.url, **run)
        assert "note: task harbour has no arm baseline: only an agent can read its workspaces" in said
        assert "left out as they are not text: logo.png" in said
        arms = {"harbour": ("agent", "agent-none"), "plain": ("baseline", "agent", "agent-none")}
        assert asked(project) == {(task, arm): 6 for task, names in arms.items() for arm in names}
        scores = {name: sample["score"] for name, sample in project.sample_files("light").items()}
        assert {score for name, score in scores.items() if "/harbour/agent/" in name} == {1.0}
        assert {score for name, score in scores.items() if "/harbour/agent-none/" in name} == {0.0}

        before = len(fake.requests)
        (repo / "harbour" / "dock.py").write_text("def call_kcod():\n    dock()\n    pass\n")
        project.run("run", endpoint=fake.url, **run)
        assert len(fake.requests) == before + 6 * 3, "the folder is another one: each question about it is asked again"

        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
            who = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
            subprocess.run(["git", "-C", str(repo), *who, *words], check=True, capture_output=True)
        head = subprocess.run(["git", "-C", str(repo), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        write_harbour(project.folder, {"git": "../../repo", "commit": head.stdout.strip()})
        before = len(fake.requests)
        project.run("run", endpoint=fake.url, **run)
        assert len(fake.requests) == before, "the same files as a commit are the same questions"
