"""What `make run` does with further words: settings are passed on, anything else is refused before it starts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.repository import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A dry run, if `-n` is among the words."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *words], cwd=ROOT, env=environment | more, text=True, capture_output=True, check=False
    )


@pytest.mark.parametrize("words", [("run", "foo"), ("run", "config"), ("light",), ("test", "tests")])
def test_a_word_that_is_not_a_target_is_one_line_and_nothing_runs(words: tuple[str, ...]) -> None:
    done = make("-n", *words)
    assert done.returncode != 0 and "snakemake" not in done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert f"unknown: {words[-1]}. Targets: run test" in line and "samples=4" in line


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ((), "snakemake --cores all"),
        (("CORES=2",), "snakemake --cores 2"),
        (("samples=4",), "snakemake --cores all --config samples=4"),
        (("samples=4", "CORES=2", "PYTHON=python3"), "snakemake --cores 2 --config samples=4"),
        (("agent={turns: 3}",), "snakemake --cores all --config agent={turns:\\ 3}"),
    ],
)
def test_settings_are_passed_to_the_run_and_variables_of_make_are_not(words: tuple[str, ...], command: str) -> None:
    done = make("-n", "run", *words)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].strip().endswith(command)


def test_what_is_compiled_is_kept_whatever_the_environment_says(tmp_path: Path) -> None:
    """Else each of the hundreds of processes of a run or of the tests would compile the package again."""
    (tmp_path / "ready").touch()
    (tmp_path / "python").write_text('#!/bin/sh\necho "[$PYTHONDONTWRITEBYTECODE]"\n')
    (tmp_path / "python").chmod(0o755)
    done = make("test", f"BIN={tmp_path}", f"READY={tmp_path / 'ready'}", PYTHONDONTWRITEBYTECODE="1")
    assert done.stdout.splitlines()[-1] == "[]"
