"""An agent of others through the whole workflow, in each sandbox: archive, verify, replay. Model and agent are labelled fakes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.agents.sandbox import agent_sandbox
from ai_dev_tools.benchmark.archive import verify
from ai_dev_tools.benchmark.errors import ConfigurationError
from fakes import agent_program
from fakes.ollama import FakeOllama
from support.workflow_project import Project

pytestmark = pytest.mark.slow
MODEL = "llama3.2:1b"
SCRIPT = "ask+look+complete+chat+answer"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project.create(tmp_path)
    words = [SCRIPT, "{base_url}", "{model}", "{question_file}", "{answer_file}"]
    command = [sys.executable, "{folder}/agent_program.py", *words]
    about = {"id": "scripted", "description": "LABELLED FAKE", "install": "comes with the test", "command": command}
    (tmp_path / "config" / "agents" / "scripted.yaml").write_text(yaml.safe_dump(about))
    folder = tmp_path / "resources" / "agents" / "scripted"
    folder.mkdir(parents=True)
    shutil.copy(agent_program.__file__, folder)
    yield project
    project.clean_up()


@pytest.mark.parametrize("sandbox", ["bubblewrap", "podman"])
def test_its_episodes_are_archived_verified_and_replayed(project: Project, sandbox: Any) -> None:
    try:
        agent_sandbox("scripted", sandbox)
    except ConfigurationError as error:
        pytest.skip(str(error))
    run: dict[str, Any] = {
        "profile": "light", "tasks": "systematic_fix", "samples": 2, "approaches": "agent,agent-none",
        "agent": f"{{program: scripted, sandbox: {sandbox}}}",
    }  # fmt: skip
    with FakeOllama([MODEL]) as fake:
        project.run("archive", endpoint=fake.url, **run)
        assert {body["options"]["seed"] for body in fake.requests} == {
            sample["seed"] for sample in project.sample_files("light").values()
        }
    recorded = project.sample_files("light")
    assert all(sample["status"] == "completed" for sample in recorded.values())
    (archive,) = (project.folder / "results" / "light" / "archive").glob("*.zip")
    result = verify(archive)
    assert result.ok, result.findings
    project.run("tables", endpoint="replay", **run)
    replayed = project.sample_files("light@replay")
    assert {name: said(sample) for name, sample in replayed.items()} == {
        name: said(sample) for name, sample in recorded.items()
    }
    assert [len(said(sample)[2]) for name, sample in recorded.items() if "/agent/" in name] == [3, 3]


def said(sample: dict[str, Any]) -> tuple[Any, Any, list[Any]]:
    """What a sample says of its answer and its turns; times are measured again."""
    turns = [[turn[name] for name in ("text", "input_tokens", "output_tokens")] for turn in sample["turns"]]
    return json.dumps(sample["answer"]), sample["input_tokens"], turns
