"""Where CI says that all is installed, a slow test that is skipped has failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import ROOT

TESTS = """
import pytest

@pytest.fixture
def engine():
    pytest.skip("no container engine")

@pytest.mark.slow
def test_needs_an_engine(engine): ...

@pytest.mark.slow
@pytest.mark.skipif(True, reason="no Slurm")
def test_needs_slurm(): ...

def test_quick():
    pytest.skip("does not apply")

@pytest.mark.slow
@pytest.mark.xfail(reason="known")
def test_known(): assert False
"""


@pytest.mark.parametrize(
    ("value", "counts", "status"),
    [("1", "1 skipped, 1 xfailed, 2 errors", 1), ("", "3 skipped, 1 xfailed", 0), ("0", "3 skipped, 1 xfailed", 0)],
)
def test_a_slow_test_may_be_skipped_unless_all_is_required(
    tmp_path: Path, value: str, counts: str, status: int
) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(TESTS)
    environment = {**os.environ, "CI_REQUIRE_ALL": value, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert counts in done.stdout
    assert done.returncode == status
    if value == "1":
        assert "no container engine" in done.stdout
        assert "no Slurm" in done.stdout
