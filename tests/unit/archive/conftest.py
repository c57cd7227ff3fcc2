"""One finished run and its archive, made once; whoever changes the run works on a copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import drawn_once
from support.archived import Recorded, record_run, small_package


@pytest.fixture(scope="module", autouse=True)
def pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        drawn_once.use(patch)
        yield


@pytest.fixture(scope="session")
def run_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    with pytest.MonkeyPatch.context() as patch:
        return record_run(tmp_path_factory.mktemp("run") / "project", patch)


@pytest.fixture(scope="module")
def recorded(run_of_the_session: Recorded) -> Iterator[Recorded]:
    """The run, and the small stand-in for the package while it is archived again."""
    with pytest.MonkeyPatch.context() as patch:
        small_package(run_of_the_session.root.parent / "package", patch)
        yield run_of_the_session


@pytest.fixture(scope="module")
def archive(recorded: Recorded) -> Path:
    path = recorded.root.parent / "run.crate.zip"
    return path if path.exists() else recorded.archive()
