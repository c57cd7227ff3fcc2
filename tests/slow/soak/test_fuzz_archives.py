"""A minute of mutations of a real archive; FUZZ_SECONDS=3600 goes on for longer, FUZZ_SEED starts elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from slow.soak.fuzz_archives import disagreement, fuzz, installed
from support.archived import record_run
from support.zips import Part, seal, zip_bytes

pytestmark = pytest.mark.slow


def test_every_accepted_mutation_unpacks_to_the_same_bytes_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = record_run(tmp_path / "project", monkeypatch, cases=2, samples=2).archive()
    seconds, seed = float(os.environ.get("FUZZ_SECONDS", "3600")), int(os.environ.get("FUZZ_SEED", "1"))
    tries = None if "FUZZ_SECONDS" in os.environ else 4000
    outcome = fuzz(archive, tmp_path, seconds=seconds, seed=seed, tries=tries)
    print(outcome)
    assert outcome.wrong == []
    assert outcome.tried == tries or tries is None


def test_a_program_that_unpacks_something_else_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself: an archive that this project would take, and a program that makes another thing of it."""
    path = seal(tmp_path / "a.zip", zip_bytes([Part("a"), Part("b/c", b"content")]))
    assert disagreement(path, tmp_path / "out") is None
    monkeypatch.setattr("slow.soak.fuzz_archives.READERS", {"Python": lambda *_: {"a": "0"}})
    assert str(disagreement(path, tmp_path / "out")).startswith("Python differs")


def test_all_programs_are_compared_where_all_are_required() -> None:
    if os.environ.get("CI_REQUIRE_ALL"):
        assert set(installed()) == {"unzip", "bsdtar", "Python"}
    else:
        assert "Python" in installed()
    assert shutil.which("unzip") is None or "unzip" in installed()
