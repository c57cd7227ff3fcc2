"""What a run claims, as far as its settings and arms decide it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ai_dev_tools.benchmark.config.models import PlanSettings
from ai_dev_tools.benchmark.prompts.approaches import TOOL_PREFIX
from ai_dev_tools.benchmark.records.plan import Claim


def claims_of(settings: PlanSettings, approaches: Sequence[str]) -> Iterator[Claim]:
    """A claim for each outcome and arm of a tool; none if the reference is not asked."""
    if settings.reference not in approaches:
        return
    for outcome in settings.outcomes:
        for name in approaches:
            if (name == "tools" or name.startswith(TOOL_PREFIX)) and name != settings.reference:
                yield Claim(
                    id=f"{outcome}:{name}",
                    outcome=outcome,
                    approach=name,
                    reference=settings.reference,
                    margin_ratio=settings.margin_ratio,
                )
