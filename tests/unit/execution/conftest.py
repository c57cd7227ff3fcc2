"""A bench and a fake for each test; nothing waits longer than it must."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.execution import request as measure
from ai_dev_tools.benchmark.execution.job import RUN_PID
from support.bench import Bench, Fake


@pytest.fixture
def fake() -> Iterator[Fake]:
    with Fake() as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, and no waiting for the disk: that files are durable is a matter of test_benchmark_samples."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(measure, "BACKOFF_BASE_S", 0.01)


@pytest.fixture
def bench(tmp_path: Path, fake: Fake) -> Bench:
    return Bench(tmp_path / "light", fake)


@pytest.fixture
def one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks belong to a run that lives."""
    monkeypatch.setenv(RUN_PID, str(os.getpid()))
