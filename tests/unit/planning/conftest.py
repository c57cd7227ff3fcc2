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
