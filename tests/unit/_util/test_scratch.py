"""Temporary folders: what a killed program leaves, the next one removes, and nothing that belongs to anyone else."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ai_dev_tools.benchmark._util import scratch
from ai_dev_tools.benchmark._util.scratch import scratch_folder, sweep

HOLD = """
from ai_dev_tools.benchmark._util.scratch import scratch_folder
with scratch_folder("tool") as folder:
    print(folder, flush=True)
    input()
"""


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of all programs."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@contextmanager
def held(shared: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A temporary folder of another program, which is killed in the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], env={**os.environ, "TMPDIR": str(shared)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        assert program.stdout is not None
        try:
            yield Path(program.stdout.readline().strip()), program
        finally:
            program.kill()


def test_a_folder_is_removed_when_it_is_left(shared: Path) -> None:
    with scratch_folder("tool") as folder:
        (folder / "file").touch()
        assert folder.parent == shared
    assert list(shared.iterdir()) == []


def test_what_a_killed_program_leaves_goes_and_what_a_living_one_has_stays(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with held(shared) as (living, _), held(shared) as (left, killed), scratch_folder("meter") as own:
        locked = left / "case" / "locked"
        locked.mkdir(parents=True)
        (locked / "file").touch()
        (left / "case" / "link").symlink_to(tmp_path)
        locked.chmod(0)
        killed.kill()
        killed.wait()
        sweep()
        assert sorted(shared.iterdir()) == sorted([living, own])
    assert (tmp_path / "mine").read_text() == "x"


def test_the_first_folder_of_a_program_removes_what_others_left(shared: Path) -> None:
    with held(shared) as (left, killed):
        killed.kill()
        killed.wait()
    assert left.is_dir()
    scratch._sweep_once.cache_clear()
    with scratch_folder("tool") as own:
        assert list(shared.iterdir()) == [own]


def test_what_has_no_owner_is_not_touched(shared: Path, tmp_path: Path) -> None:
    (shared / f"{scratch.PREFIX}file").touch()
    (shared / f"{scratch.PREFIX}folder").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / scratch.OWNER).touch()
    (shared / f"{scratch.PREFIX}link").symlink_to(tmp_path / "elsewhere")
    sweep()
    assert len(list(shared.iterdir())) == 3 and (tmp_path / "elsewhere").is_dir()
