"""Modules keep the names by which users import them."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from ai_dev_tools.benchmark._util.old_names import OLD_NAMES

PACKAGE = "ai_dev_tools.benchmark"


@pytest.mark.parametrize(("old", "new"), OLD_NAMES.items())
def test_an_old_name_is_the_module_itself(old: str, new: str) -> None:
    module = importlib.import_module(f"{PACKAGE}.{new}")
    assert importlib.import_module(f"{PACKAGE}.{old}") is module
    assert module.__spec__ is not None
    assert module.__spec__.name == f"{PACKAGE}.{new}"


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("config", "HardwareProfile WorkflowType OutputFormat ExecutionMode load_config"),
        ("tasks", "get_task_registry create_custom_task Task"),
        ("metrics", "compute_metrics wide"),
        ("execution", "run_block"),
        ("reporting", "build_report read_run"),
        ("runner", "BenchmarkRunner"),
        ("plots", "plot"),
        ("plugins", "metric comparison check Endpoint ENDPOINTS"),
    ],
)
def test_the_modules_that_documents_name_have_their_names(module: str, names: str) -> None:
    found = importlib.import_module(f"{PACKAGE}.{module}")
    assert [name for name in names.split() if not hasattr(found, name)] == []


def test_what_is_not_there_is_an_import_error() -> None:
    for module in ("config", "tasks"):
        assert not hasattr(importlib.import_module(f"{PACKAGE}.{module}"), "nonsense")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{PACKAGE}.nonsense")


def test_a_program_runs_under_its_old_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"{PACKAGE}.watch", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "usage" in done.stdout
