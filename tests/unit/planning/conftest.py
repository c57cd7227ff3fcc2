"""The project that most tests of this folder plan."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support.making import case, write_task


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one task of three cases and two tools."""
    (tmp_path / "config" / "tools").mkdir(parents=True)
    for name in ("echo", "grep"):
        fields = {
            "id": name,
            "description": "d",
            "install": "i",
            "command": ["x"],
            "output": "text",
            "template": "{{ text }}",
        }
        (tmp_path / "config" / "tools" / f"{name}.yaml").write_text(yaml.safe_dump(fields))
    write_task(tmp_path / "config" / "tasks", case("one"), case("two"), case("big", size="L"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A project with a task of files, and one of workspaces that only agents can read."""
    tasks = tmp_path / "config" / "tasks"
    write_task(tasks, tools=None)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "app.py").write_text("x = 1\n")
    spaces = [case(name, source=None, workspace={"path": "../../../mine"}) for name in ("one", "two")]
    extra = {"id": "repo", "tools": None, "agents_only": True, "single_source": True}
    write_task(tmp_path / "more", *spaces, **extra).rename(tasks / "repo")
    (tmp_path / "config" / "tools").mkdir()
    return tmp_path
