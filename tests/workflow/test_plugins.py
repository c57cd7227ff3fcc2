"""A plugin's approach and scorer through the whole workflow, from a file and from an installed package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fakes.ollama import FakeOllama
from support.documents import PYTHON, blocks
from support.repository import ROOT
from support.workflow_project import Project

MODEL = "llama3.2:1b"
PLUGIN = '''
from ai_dev_tools.benchmark.plugins import approach, scorer

@approach("names_only", "file names alone")
def names_only(inputs):
    return "Files: " + ", ".join(inputs.texts)

@scorer("share")
def share(expected, actual, most=1.0):
    """How large a part of the expected number was answered, at most `most`."""
    return min(most, actual / expected)
'''


def write_task(folder: Path, rule: dict[str, object]) -> None:
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 0}}}
    task = {
        "id": folder.name, "name": "Count", "description": "How many lines?", "workflow_type": "custom", "tools": [],
        "question": "How many lines?", "answer_schema": schema,
        "scoring": [{"field": "n", **rule}],
    }  # fmt: skip
    (folder / "task.yaml").write_text(yaml.safe_dump(task))
    for number in range(2):
        case = {"id": f"c{number}", "cluster": f"c{number}", "size": "S", "inline": {f"a{number}.py": "x = 1\n"},
                "truth": {"n": 10}, "established": "counted"}  # fmt: skip
        (folder / "cases" / f"c{number}.yaml").write_text(yaml.safe_dump(case))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "project").mkdir()
    project = Project.create(tmp_path / "project")
    write_task(project.folder / "own" / "count", {"scorer": "share", "most": 1.0})
    yield project
    project.clean_up()


def scores(project: Project) -> dict[str, float]:
    return {str(sample["approach"]): sample["score"] for sample in project.sample_files("light").values()}  # type: ignore[misc]


def five(prompt: str, schema: object) -> str:
    return json.dumps({"n": 5})


def test_a_file_adds_an_arm_and_a_scorer_and_a_change_of_them_asks_no_more_than_it_must(project: Project) -> None:
    plugin = project.folder / "mine.py"
    plugin.write_text(PLUGIN)
    with FakeOllama(models=[MODEL], answer=five) as fake:
        settings = {
            "profile": "light", "endpoint": fake.url, "task_folders": "own", "tasks": "count", "samples": 2,
            "approaches": "baseline,names_only", "plugins": "mine.py",
        }  # fmt: skip
        project.run("run", **settings)
        assert len(fake.requests) == 4
        shown = [json.dumps(request) for request in fake.requests]
        assert sum("Files: a" in text for text in shown) == 2
        assert scores(project) == {"baseline": 0.5, "names_only": 0.5}

        plugin.write_text(PLUGIN.replace("actual / expected", "2 * actual / expected"))
        project.run("run", **settings)
        assert scores(project) == {"baseline": 1.0, "names_only": 1.0}, "another scorer scores what is there"
        assert len(fake.requests) == 4, "and asks nothing"

        plugin.write_text(PLUGIN.replace("Files:", "Names:"))
        project.run("run", **settings)
        assert len(fake.requests) == 6, "another arm is asked again, and no other"

        plugin.write_text(PLUGIN.replace("min(most, actual / expected)", "1 / 0 if actual == 5 else 1.0"))
        done = project.snakemake("run", **settings)
        assert done.returncode == 1
        assert "scorer 'share' (mine.py) raised ZeroDivisionError" in done.stdout
        assert scores(project) == {"baseline": 0.5, "names_only": 0.5}, "nothing is lost"
        assert len(fake.requests) == 6, "the answers at hand show it before anything is asked"


def example() -> str:
    """The plugin that docs/plugins.md shows."""
    return next(block.text for block in blocks(ROOT / "docs" / "plugins.md") if block.language in PYTHON)


def test_an_installed_package_adds_an_arm_and_a_scorer(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "site" / "lab_tools-1.0.dist-info"
    about.mkdir(parents=True)
    (tmp_path / "site" / "lab_tools.py").write_text(example())
    write_task(project.folder / "own" / "count", {"scorer": "close", "within": 0.5})
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-tools\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[ai_dev_tools.plugins]\nlab = lab_tools\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with FakeOllama(models=[MODEL], answer=five) as fake:
        settings = {
            "profile": "light", "endpoint": fake.url, "task_folders": "own", "tasks": "count", "samples": 1,
            "approaches": "baseline,names_only",
        }  # fmt: skip
        refused = project.snakemake("run", **settings)
        assert refused.returncode == 1
        assert "unknown scorer 'close'" in refused.stdout
        project.run("tables", **settings, plugins="lab")
        assert len(fake.requests) == 2
        assert scores(project) == {"baseline": 1.0, "names_only": 1.0}
    metrics = (project.folder / "results" / "light" / "tables" / "metrics.csv").read_text()
    assert "letters_per_answer" in metrics
