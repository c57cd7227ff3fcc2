"""The settings of a run; defined in `models`, and with inheritance applied in `resolving`.

Names are imported when first used, so that the help of a command, which needs no settings, stays fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.config.models import *  # noqa: F403
    from ai_dev_tools.benchmark.config.resolving import *  # noqa: F403

_RESOLVING = frozenset({"ResolvedInstance", "ResolvedProfile", "resolve_profile"})
_NAMES = frozenset(
    {
        "ALL",
        "Amount",
        "ArchiveSettings",
        "Config",
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
        "ServerSettings",
        "Share",
        "TASK_TIMEOUT_S",
        "ValidityThresholds",
        "WorkflowType",
        "as_list",
        "check_endpoint",
        "load_config",
    }
)


def __getattr__(name: str) -> object:
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.models"), name)
    if name in _RESOLVING:
        return getattr(import_module(f"{__name__}.resolving"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
