"""Agents through the whole workflow, with a labelled fake that plays an agent: run, report, archive, verify, replay."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import Any

import yaml

from ai_dev_tools.benchmark.archive import verify
from ai_dev_tools.benchmark.comparison.repetition import compare_requests
from ai_dev_tools.benchmark.comparison.run import open_run
from ai_dev_tools.cli.benchmark_cli import main
from fakes.agent_model import Message, action, answer, playing
from fakes.ollama import FakeOllama
from support.needles import COLOURS, write_needles
from support.workflow_project import Project

MODEL = "llama3.2:1b"
GUESS = {"colour": COLOURS[0]}
UNUSED = {
    "id": "unused",
    "description": "Is not called",
    "install": "comes with the test",
    "agent": {"commands": [{"name": "never", "description": "Is not called.", "argv": ["{python}", "-V"]}]},
}


def seeker(conversation: Sequence[Message], turn: int) -> Message:
    """Searches for what it is asked, and answers what it has found."""
    asked = re.search(r"Which colour has (\w+)\?", conversation[0]["content"])
    if turn == 0 and asked:
        return action("search", pattern=f"COLOUR_OF_{asked[1]} ", path="")
    found = re.search(r"= '(\w+)'", conversation[-1]["content"])
    return answer({"colour": found[1]} if found else GUESS)


def counted(project: Project, run: str) -> list[dict[str, str]]:
    """All that the table of a run says of tokens, answers and turns; times are measured again."""
    rows = csv.DictReader((project.folder / "results" / run / "tables" / "metrics.csv").open(newline=""))
    units = ("tokens", "0..1", "share", "requests", "samples")
    return [
        row for row in rows if row["unit"] in units and row["metric"] not in ("efficiency_score", "peak_concurrency")
    ]


def test_episodes_from_the_question_to_an_archive_that_is_verified_replayed_and_compared(project: Project) -> None:
    write_needles(project.folder / "mine", 4)
    (project.folder / "tools").mkdir()
    (project.folder / "tools" / "unused.yaml").write_text(yaml.safe_dump(UNUSED))
    run: dict[str, Any] = {"profile": "light", "task_folders": "mine", "tasks": "needle", "samples": 4}
    agents = run | {"approaches": "agent,agent-none", "tools": "unused", "tool_folders": "tools"}
    with FakeOllama([MODEL]) as fake:
        fake.converse = playing(seeker, last=GUESS)
        project.run("archive", endpoint=fake.url, **agents)
        assert len(fake.requests) == 2 * 4 * 2 + 4, "two turns for each agent, one for each floor"
    files = project.sample_files("light")
    assert all(sample["score"] == 1.0 for name, sample in files.items() if "/agent-none/" not in name)
    page = (project.folder / "results" / "light" / "report" / "report.html").read_text()
    assert "Where the tokens of an episode go" in page and "Turns, tool calls and limits" in page
    assert '"turns":[{' in page.replace(" ", ""), "the sample browser shows them one by one"
    (archive,) = (project.folder / "results" / "light" / "archive").glob("*.zip")
    result = verify(archive, recompute=True)
    assert result.ok, result.findings
    project.run("tables", endpoint="replay", **agents)
    rows = counted(project, "light")
    assert counted(project, "light@replay") == rows and {"tokens", "0..1"} <= {row["unit"] for row in rows}
    replayed = project.sample_files("light@replay")
    assert {name: sample["answer"] for name, sample in replayed.items()} == {
        name: sample["answer"] for name, sample in files.items()
    }
    assert all(len(sample["turns"]) == (1 if "/agent-none/" in name else 2) for name, sample in replayed.items())  # type: ignore[arg-type]
    stored = [str(project.folder / "results" / name) for name in ("light", "light@replay")]
    again = compare_requests(*map(open_run, stored))
    assert again.holds and set(again.differing.values()) == {0} and (again.shared, len(again.verdicts)) == (12, 2)
    root = ["--root", str(project.folder)]
    assert main(["compare", "--runs", *stored, "--same-verdicts", *root]) == 0
    junit = project.folder / "gate.xml"
    judged = ["--run", stored[1], "--baseline", stored[0], "--approach", "agent-unused", "--metric", "tokens", "time"]
    assert main(["gate", *judged, "--junit", str(junit), *root]) == 0 and "tokens on" in junit.read_text()
    assert main(["import", str(archive), "--as", "imported", *root]) == 0
    for name in ("light__light@replay", "imported"):
        effects = csv.DictReader(
            (project.folder / "results/comparison" / name / "effects_within_each_run.csv").open(newline="")
        )
        assert {(row["approach"], row["reference"]) for row in effects} == {
            ("agent-none", "agent"),
            ("agent-unused", "agent"),
        }
