"""The run that most tests of the report read, and what its report says; a file may have a `run` of its own."""

from __future__ import annotations

import pytest

from ai_dev_tools.benchmark.reporting.document import Report
from support.report_runs import Run, make_run, report_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def report(run: Run) -> Report:
    return report_of(run)
