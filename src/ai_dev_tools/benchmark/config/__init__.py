"""The settings of a run; defined in `models`.

Names are imported when first used, so that the help of a command, which needs no settings, stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.config.models import *  # noqa: F403

_NAMES = frozenset(
    {
        "ALL",
        "Amount",
        "ArchiveSettings",
        "Config",
        "ENDPOINT_KINDS",
        "ExecutionMode",
        "Folders",
        "HardwareProfile",
        "Instance",
        "Names",
        "Options",
        "OutputFormat",
        "PlanSettings",
        "Profile",
        "QualityGate",
        "ReportSettings",
        "ResolvedInstance",
        "ResolvedProfile",
        "ServerSettings",
        "Share",
        "TASK_TIMEOUT_S",
        "ValidityThresholds",
        "WorkflowType",
        "as_list",
        "check_endpoint",
        "load_config",
        "resolve_profile",
    }
)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.models"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
