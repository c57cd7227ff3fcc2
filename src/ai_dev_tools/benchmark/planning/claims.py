"""The claims of a run that follow from its settings and arms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ai_dev_tools.benchmark.config.models import PlanSettings
from ai_dev_tools.benchmark.plugins import AGENT, AGENT_FLOOR, is_agent, reference_for
from ai_dev_tools.benchmark.prompts.approaches import TOOL_PREFIX
from ai_dev_tools.benchmark.records.plan import CLAIMED_OUTCOMES, Claim, ClaimedOutcome
from ai_dev_tools.benchmark.records.prices import MONEY


def claims_of(settings: PlanSettings, approaches: Sequence[str], priced: bool = False) -> Iterator[Claim]:
    """A claim for each outcome and arm of a tool; none about an arm whose reference is not asked.

    An agent with a tool is compared with the same agent without it, because an agent in itself costs many requests.

    Args:
        priced: whether the run has prices: it then claims money too, unless the settings name what is claimed.
    """
    named: tuple[ClaimedOutcome, ...] = (*CLAIMED_OUTCOMES, MONEY) if settings.outcomes is None else settings.outcomes
    for outcome in dict.fromkeys(outcome for outcome in named if outcome != MONEY or priced):
        for name in approaches:
            reference = reference_for(name, settings.reference)
            if _has_tool(name) and reference in approaches and name != reference:
                yield Claim(
                    id=f"{outcome}:{name}",
                    outcome=outcome,
                    approach=name,
                    reference=reference,
                    margin_ratio=settings.margin_ratio,
                )


def _has_tool(name: str) -> bool:
    return name == "tools" or name.startswith(TOOL_PREFIX) or (is_agent(name) and name not in (AGENT, AGENT_FLOOR))
