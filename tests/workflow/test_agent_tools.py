"""Tools in an agent through the whole workflow, with a labelled fake that plays an agent: what each comes to."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fakes.agent_model import Message, action, answer, playing
from fakes.ollama import FakeOllama
from support.needles import COLOURS, write_needles
from support.workflow_project import Project

MODEL = "llama3.2:1b"
CASES = 24
"""Enough for a margin of 0.3: what a smaller one needs is a matter of statistics, not of agents."""
INDEX = """
import glob, json, re, sys
if sys.argv[1] == "build":
    found = {n: c for f in glob.glob("*.py") for n, c in re.findall(r"^COLOUR_OF_(\\w+) = '(\\w+)'", open(f).read(), re.M)}
    json.dump(found, open("index.json", "w"))
else:
    print(json.load(open("index.json")).get(sys.argv[2], "unknown"))
"""
SCRIPT = "{tool_dir}/index_program.py"
TOOLS: dict[str, dict[str, Any]] = {
    "index": {
        "prepare": ["{python}", SCRIPT, "build"],
        "agent": {
            "commands": [
                {
                    "name": "lookup",
                    "description": "Finds a colour.",
                    "argv": ["{python}", SCRIPT, "ask", "{name}"],
                    "arguments": {"name": "string"},
                }
            ]
        },
    },
    "astray": {
        "agent": {
            "commands": [
                {"name": "ponder", "description": "Finds out.", "argv": ["{python}", "-c", "print('no idea ' * 400)"]}
            ]
        }
    },
    "unused": {
        "agent": {"commands": [{"name": "never", "description": "Is not called.", "argv": ["{python}", "-V"]}]},
    },
}


def write_tools(folder: Path) -> None:
    folder.mkdir()
    (folder / "index_program.py").write_text(INDEX)
    for name, fields in TOOLS.items():
        about = {"id": name, "description": name, "install": "comes with the test"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(about | fields))


def player(conversation: Sequence[Message], turn: int) -> Message:
    """Asks the index where there is one, ponders where it can, and else reads file after file."""
    offered = conversation[0]["content"]
    asked = re.search(r"Which colour has (\w+)\?", offered)
    newest = conversation[-1]["content"]
    found = re.search(r"COLOUR_OF_\w+ = '(\w+)'", newest) or (re.fullmatch(r"(\w+)", newest) if turn else None)
    if found:
        return answer({"colour": found[1]})
    if '"action":"lookup"' in offered and asked:
        return action("lookup", name=asked[1])
    ponders = '"action":"ponder"' in offered
    if ponders and turn == 0:
        return action("ponder")
    return action("read_file", path=f"part{turn - ponders}.py", start=1)


@pytest.mark.slow
def test_a_good_tool_saves_one_that_misleads_costs_and_one_that_is_never_called_is_undecided(
    project: Project,
) -> None:
    write_needles(project.folder / "mine", CASES, part=2, lines=60, first=1)
    write_tools(project.folder / "tools")
    run: dict[str, Any] = {
        "profile": "light", "task_folders": "mine", "tool_folders": "tools", "tasks": "needle", "samples": CASES,
        "approaches": "agent,agent-none", "tools": "index,astray,unused", "plan": "{quality: {margin: 0.3, task_veto: 0.3}}",
    }  # fmt: skip
    with FakeOllama([MODEL]) as fake:
        fake.converse = playing(player, last={"colour": COLOURS[0]})
        project.run("tables", endpoint=fake.url, **run)
    samples = project.sample_files("light")
    index = [sample for name, sample in samples.items() if "/agent-index/" in name]
    assert all(sample["score"] == 1.0 and sample["tool_calls"] == 1 for sample in index)
    prepared = {
        row["case"]: row["wall_s"]
        for row in map(json.loads, (project.folder / "results/prepared/needle.index.jsonl").read_text().splitlines())
    }
    for sample in index:
        calls = sum(turn.get("tool_s", 0.0) for turn in sample["turns"])  # type: ignore[attr-defined]
        assert sample["tool_s"] == pytest.approx(prepared[str(sample["case"])] + calls, abs=1e-5), "prepare is charged"
    verdicts = json.loads((project.folder / "results/light/tables/verdicts.json").read_text())
    words = {row["claim"]: row for row in verdicts if row["verdict"]}
    assert words["tokens:agent-index"]["verdict"] == "saves"
    assert words["tokens:agent-astray"]["verdict"] == "costs"
    assert words["tokens:agent-unused"]["verdict"] == "inconclusive"
    assert "never used" in json.dumps(words["tokens:agent-unused"])


def test_a_tool_that_can_prepare_nothing_stops_the_run_before_the_first_request(project: Project) -> None:
    write_needles(project.folder / "mine", 2)
    write_tools(project.folder / "tools")
    (project.folder / "tools" / "index_program.py").write_text("import sys; sys.exit('no parser for Python')")
    with FakeOllama([MODEL]) as fake:
        done = project.snakemake(
            "tables", endpoint=fake.url, profile="light", task_folders="mine", tool_folders="tools",
            tasks="needle", samples=2, approaches="agent,agent-none,baseline", tools="index",
        )  # fmt: skip
    assert done.returncode == 1 and not project.sample_files("light")
    told = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert set(told) == {told[0]}, told
    assert "tool 'index' could not prepare any of the 2 workspaces: index (prepare) ended with exit code 1" in told[0]
