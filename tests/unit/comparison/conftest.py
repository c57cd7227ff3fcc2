"""Runs and pages of the comparison's tests share their pictures; two runs are compared once for all that only read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark.comparison import write_comparison
from ai_dev_tools.benchmark.comparison.run import StoredRun, open_run
from support import drawn_once
from support.overviews import LARGE, SMALL
from support.report_runs import make_run, with_identity


@pytest.fixture(scope="module", autouse=True)
def pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        drawn_once.use(patch)
        yield


@pytest.fixture(scope="session")
def members(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredRun, StoredRun]:
    """A small model on one machine, and two models on another one, under another version of the server."""
    folder = tmp_path_factory.mktemp("runs")
    light = make_run(folder / "light", profile="light", models=(SMALL,), samples=8)
    medium = make_run(folder / "medium", profile="medium", models=(SMALL, LARGE), samples=8)
    with_identity(light, cpu="Laptop", sizes={SMALL: "1.2B"})
    with_identity(medium, cpu="Server", sizes={SMALL: "1.2B", LARGE: "3.2B"}, quantization="Q8_0")
    return open_run(folder / "light"), open_run(folder / "medium")


@pytest.fixture(scope="session")
def comparison(members: tuple[StoredRun, StoredRun], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    write_comparison(*members, folder, "baseline")
    return folder


@pytest.fixture(scope="session")
def content(comparison: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((comparison / "overview.json").read_text())
    return found
