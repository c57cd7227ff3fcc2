"""Whether a run is alive is known by a lock that the kernel holds: what a killed run left is cleared, a living one is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.workflow import run_lock

HOLD = """
import sys
from pathlib import Path
from ai_dev_tools.benchmark.workflow.run_lock import clear_stale_lock
clear_stale_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def a_run(folder: Path) -> subprocess.Popen[bytes]:
    """A process that holds the lock as a run does, until its input ends."""
    run = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stdout.readline() == b"held\n"
    return run


def end(run: subprocess.Popen[bytes]) -> None:
    run.kill()
    run.communicate()


def test_snakemakes_lock_is_stale_only_when_no_run_is_alive(tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    first, second = a_run(tmp_path), a_run(tmp_path)
    locks.mkdir()
    end(first)
    end(a_run(tmp_path))
    assert locks.exists(), "the second run is alive, although it was not the first to come"
    end(second)
    end(a_run(tmp_path))
    assert not locks.exists(), "all were killed"


def test_another_run_that_is_alive_is_known_and_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "LockException:\nError: Directory cannot be locked. … --unlock argument."
    assert not run_lock.another_run(tmp_path)
    assert run_lock.in_one_line(message) == message
    first = a_run(tmp_path)
    monkeypatch.setattr(run_lock, "_run_lock", None)
    monkeypatch.setattr(run_lock, "_met_another", False)
    assert run_lock.another_run(tmp_path)
    run_lock.clear_stale_lock(tmp_path)
    assert run_lock.in_one_line(message) == run_lock.ANOTHER_RUN
    assert run_lock.in_one_line("other") == "other"
    end(first)
    assert run_lock._run_lock is not None
    run_lock._run_lock.close()
