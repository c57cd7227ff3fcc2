"""A workflow folder of its own for a test: the real Snakefile, rules and settings, and just the wanted tasks."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from support.repository import ROOT


def make_project(folder: Path, tasks: Sequence[str] = (), pyproject: str = "") -> Path:
    """Lay out a project in `folder`.

    Args:
        tasks: shipped tasks to have; none means a folder of tasks that is empty.
        pyproject: content of its pyproject.toml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "Snakefile", folder / "Snakefile")
    for name in ("workflow", "profiles", "notebooks", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    (folder / "config" / "tasks").mkdir(parents=True)
    for name in ("config.yaml", "corpora.yaml", "models.yaml"):
        shutil.copy(ROOT / "config" / name, folder / "config" / name)
    (folder / "config" / "tools").symlink_to(ROOT / "config" / "tools")
    (folder / "resources").symlink_to(ROOT / "resources")
    (folder / "results").mkdir()
    for task in tasks:
        (folder / "config" / "tasks" / task).symlink_to(ROOT / "config" / "tasks" / task)
    if pyproject:
        (folder / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    return folder
