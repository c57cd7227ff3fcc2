"""The benchmark: `from ai_dev_tools.benchmark import BenchmarkRunner, HardwareProfile, OutputFormat`.

Names are imported when first used (PEP 562), so that importing one module of the package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ai_dev_tools.benchmark._util.old_names import keep_old_names

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.config.models import ExecutionMode, HardwareProfile, OutputFormat, WorkflowType
    from ai_dev_tools.benchmark.errors import BenchmarkError
    from ai_dev_tools.benchmark.runner import BenchmarkRunner, Progress
    from ai_dev_tools.benchmark.runner.results import BatchResults, BenchmarkResults, ComparisonResults

keep_old_names()

_HOME = {
    "BenchmarkRunner": "runner",
    "BenchmarkResults": "runner.results",
    "BatchResults": "runner.results",
    "ComparisonResults": "runner.results",
    "Progress": "runner",
    "HardwareProfile": "config",
    "OutputFormat": "config",
    "ExecutionMode": "config",
    "WorkflowType": "config",
    "BenchmarkError": "errors",
}

__all__ = [
    "BatchResults",
    "BenchmarkError",
    "BenchmarkResults",
    "BenchmarkRunner",
    "ComparisonResults",
    "ExecutionMode",
    "HardwareProfile",
    "OutputFormat",
    "Progress",
    "WorkflowType",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
