"""The table of plans: what each added, and at which level its claims are tested, as the cards say it."""

from __future__ import annotations

from typing import Any

import pytest

from ai_dev_tools.benchmark.records.about import RunAbout
from ai_dev_tools.benchmark.records.plan import DeclaredPlan
from ai_dev_tools.benchmark.reporting.data import RunData
from ai_dev_tools.benchmark.reporting.sections.ledger import ledger_table
from support.invented import entry, invent

SAMPLES = invent(n=12)


@pytest.mark.parametrize(
    ("later", "levels"),
    [
        ([{}], [0.025, 0.0125]),
        ([{"models": ["another"]}], [0.025, 0.025]),
        ([{"models": ["another"]}, {}], [0.025, 0.025, 0.0125]),
        ([{"outcomes": ["time"]}], [0.025, 0.0125]),
    ],
    ids=["the same claims", "another model", "both", "one of them"],
)
def test_the_level_of_a_plan_is_that_of_its_claim_that_was_made_most_often(
    later: list[dict[str, Any]], levels: list[float]
) -> None:
    plans = [DeclaredPlan.from_content(entry(SAMPLES, f"p{n}", **more)) for n, more in enumerate([{}, *later])]
    rows = ledger_table(RunData(RunAbout(), SAMPLES, plans=plans)).rows
    assert [row["level"] for row in rows] == levels
