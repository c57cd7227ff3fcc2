"""A tool's maker at work: what is run, what is kept, what is noticed early; through the real workflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fakes.ollama import FakeOllama
from support.making import case, write_task
from support.workflow_project import Project

MODEL = "llama3.2:1b"
CONTEXTS = "results/contexts/colours.now.jsonl"
CASES = [case(f"c{n}", source=None, inline={"app.py": f"x = {n}\n"}) for n in range(8)]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A clone with one task of eight cases, and a tool beside it that says what time it is."""
    (tmp_path / "clone").mkdir()
    project = Project.create(tmp_path / "clone")
    write_task(tmp_path / "mytasks", *CASES, sources={"x": ""}, tools=[])
    (tmp_path / "mytools").mkdir()
    write_program(tmp_path, "date +%s%N")
    fields = {
        "id": "now",
        "description": "the time",
        "install": "nothing to install",
        "version_command": ["echo", "1.0"],
        "command": ["{tool_dir}/program"],
        "output": "text",
        "template": "{{ text }}",
    }
    (tmp_path / "mytools" / "now.yaml").write_text(yaml.safe_dump(fields))
    yield project
    project.clean_up()


def write_program(folder: Path, text: str) -> None:
    program = folder / "mytools" / "program"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def settings(project: Project, endpoint: str) -> dict[str, object]:
    beside = project.folder.parent
    return {
        "profile": "light",
        "endpoint": endpoint,
        "tasks": "colours",
        "task_folders": beside / "mytasks",
        "tool_folders": beside / "mytools",
        "tools": "now",
    }


def said(project: Project) -> dict[str, str]:
    """What the tool said, by case."""
    rows = [json.loads(line) for line in (project.folder / CONTEXTS).read_text().splitlines()]
    return {row["case"]: row["text"] for row in rows}


def test_a_tool_runs_on_the_cases_that_are_asked_and_again_when_it_changed(project: Project, fake: FakeOllama) -> None:
    given = settings(project, fake.url)
    project.run("run", **given)
    first = said(project)
    assert len(first) == 3, "light asks three cases of the eight"

    project.run("run", **given, samples=4)
    more = said(project)
    assert len(more) == 4
    assert first.items() <= more.items()

    project.run("run", **given)
    assert said(project) == more, "fewer samples take nothing away"

    write_program(project.folder.parent, "echo v2; date +%s%N")
    project.run("run", **given)
    changed = said(project)
    assert len(changed) == 3
    assert all(text.startswith("v2") for text in changed.values())

    project.run("run", "--forcerun", "collect_contexts", **given)
    forced = said(project)
    assert forced.keys() == changed.keys()
    assert not set(forced.values()) & set(changed.values())
    assert "Nothing to be done" in project.run("run", **given)


def test_a_control_that_needs_other_cases_runs_the_tool_on_them(project: Project, fake: FakeOllama) -> None:
    given = settings(project, fake.url) | {"approaches": "baseline,tools,mismatched", "samples": 2}
    project.run("run", **given)
    samples = project.sample_files("light")
    assert {sample["status"] for sample in samples.values()} == {"completed"}
    assert len(said(project)) in (3, 4), "two cases, and the next one of each"


def test_a_wrong_endpoint_is_noticed_before_a_tool_runs(project: Project) -> None:
    given = settings(project, "http://127.0.0.1:9")
    done = project.snakemake("run", **given)
    assert done.returncode == 1
    assert "error: instance small: no Ollama answers at http://127.0.0.1:9" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (project.folder / CONTEXTS).exists()

    project.run(CONTEXTS, **given)
    assert len(said(project)) == 8, "what needs no server runs without one, and asked for itself, on all cases"
