"""A clone and a server that tests of this folder start from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.ollama import FakeOllama
from support import making
from support.workflow_project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A user's clone."""
    project = Project.create(tmp_path)
    yield project
    project.clean_up()


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    """The server of the profile `light`."""
    with FakeOllama(models=["llama3.2:1b"]) as fake:
        yield fake


@pytest.fixture
def four_cases(project: Project) -> Project:
    """A clone whose only task is an invented one with four cases."""
    shutil.rmtree(project.folder / "config" / "tasks")
    making.write_task(project.folder / "config" / "tasks", *(making.case(f"case{n}") for n in range(4)), tools=[])
    return project
