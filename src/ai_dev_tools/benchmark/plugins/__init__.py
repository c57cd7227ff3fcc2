"""What you can add: approaches, scorers, metrics, comparisons, checks, plots and endpoint kinds.

One decorated function each.

    from ai_dev_tools.benchmark.plugins import approach, scorer

    @approach("names_only", "file names alone: rules out that names give the answer away")
    def names_only(inputs):
        return "\n".join(inputs.texts)

    @scorer("same_length")
    def same_length(expected, actual):
        return float(len(expected) == len(str(actual)))

The setting `plugins` names the file, an installed package's plugin, or a module; `load_plugins` runs it, and from then on
the function is treated like the built-in ones. Light imports: block jobs use this package.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from ai_dev_tools.benchmark.plugins.kinds import (
    AGENT,
    AGENT_FLOOR,
    AGENT_PREFIX,
    APPROACHES,
    BASELINE,
    CHECKS,
    COMPARISONS,
    DEFAULT_APPROACHES,
    ENDPOINT_KINDS,
    FINDINGS_CONTROLS,
    METRICS,
    MONEY,
    OUTCOMES,
    PLOTS,
    SCORERS,
    SHIPPED_ENDPOINT_KINDS,
    TOOL_PREFIX,
    Approach,
    CaseInputs,
    Check,
    Comparison,
    Context,
    EndpointKind,
    Estimate,
    Metric,
    Outcome,
    Plot,
    Scorer,
    agent_tool_of,
    approach,
    check,
    comparison,
    endpoint_kind,
    is_agent,
    metric,
    plot,
    reads_workspaces,
    reference_for,
    scorer,
    what_a_claim_needs,
)
from ai_dev_tools.benchmark.plugins.loading import (
    LoadedPlugin,
    add_plugin,
    is_file_name,
    load_plugins,
    only_plugins,
    without_plugins,
)
from ai_dev_tools.benchmark.plugins.registry import BUILT_IN, REGISTRIES, Plugin, Registry

# names of earlier versions; `_util.old_names` has those of modules
ENDPOINTS = OUTCOMES
Endpoint = Outcome

__all__ = [
    "AGENT",
    "AGENT_FLOOR",
    "AGENT_PREFIX",
    "APPROACHES",
    "BASELINE",
    "BUILT_IN",
    "CHECKS",
    "COMPARISONS",
    "DEFAULT_APPROACHES",
    "ENDPOINTS",
    "ENDPOINT_KINDS",
    "METRICS",
    "MONEY",
    "OUTCOMES",
    "PLOTS",
    "REGISTRIES",
    "SCORERS",
    "SHIPPED_ENDPOINT_KINDS",
    "FINDINGS_CONTROLS",
    "TOOL_PREFIX",
    "Approach",
    "CaseInputs",
    "Check",
    "Comparison",
    "Context",
    "Endpoint",
    "EndpointKind",
    "Estimate",
    "LoadedPlugin",
    "Metric",
    "Outcome",
    "Plot",
    "Plugin",
    "Registry",
    "Scorer",
    "add_plugin",
    "agent_tool_of",
    "approach",
    "catalogue",
    "check",
    "comparison",
    "endpoint_kind",
    "is_agent",
    "is_file_name",
    "load_plugins",
    "metric",
    "only_plugins",
    "without_plugins",
    "plot",
    "reference_for",
    "what_a_claim_needs",
    "reads_workspaces",
    "scorer",
]


def catalogue(without: Container[str] = ()) -> list[dict[str, str]]:
    """What tables are computed with: every metric, comparison and check.

    Args:
        without: names of those that have nothing to say of the samples.
    """
    tabled: list[Registry[Any]] = [METRICS, COMPARISONS, CHECKS]
    return [
        {
            "kind": registry.kind,
            "name": plugin.name,
            "unit": plugin.unit,
            "description": plugin.description,
            "origin": plugin.origin,
            "options": plugin.options,
        }
        for registry in tabled
        for plugin in registry.values()
        if plugin.name not in without
    ]
