"""The quality gates of a plan: one per approach and reference, and its result for each model."""

from __future__ import annotations

from functools import cached_property

import pandas as pd

from ai_dev_tools.benchmark.analysis.controls import COMPARABLE
from ai_dev_tools.benchmark.analysis.money import is_priced
from ai_dev_tools.benchmark.analysis.pair_columns import Pairs
from ai_dev_tools.benchmark.analysis.pairing import pair_up
from ai_dev_tools.benchmark.analysis.plan_in_force import PlanInForce, floor_of
from ai_dev_tools.benchmark.analysis.quality import ClaimQuality, Gate, claim_quality, gate_level, quality_gate
from ai_dev_tools.benchmark.analysis.samples_table import ALL, levels
from ai_dev_tools.benchmark.records.plan import Claim, QualityRule
from ai_dev_tools.benchmark.records.prices import MONEY

Arms = tuple[str, str]
COSTS = ("tokens", "time")
Scope = tuple[str, str, str, str]
"""Approach, reference, model and task."""


class Gates:
    """Pairs and gates of every scope of a plan; claims on tokens and on time share them."""

    def __init__(self, table: pd.DataFrame, in_force: PlanInForce) -> None:
        self._table, self.in_force = table, in_force
        self._present = set(levels(table["approach"]))
        self._costs = (*COSTS, *([MONEY] if is_priced(table) else []))
        self._pairs: dict[Arms, Pairs] = {}
        self._excerpts: dict[str, Pairs] = {}
        self._claims: dict[tuple[str, str, str], ClaimQuality] = {}
        self._gates: dict[Scope, Gate] = {}

    @cached_property
    def _arms(self) -> list[Arms]:
        return list(dict.fromkeys((claim.approach, claim.reference) for claim in self.in_force.plan.claims))

    def pairs(self, claim: Claim, model: str | None, task: str) -> Pairs:
        """Pairs of a claim's arms in one scope; of all models where `model` is None."""
        return self.scope((claim.approach, claim.reference), model, task)

    def scope(self, arms: Arms, model: str | None, task: str) -> Pairs:
        """Pairs of any two arms in one scope."""
        return _of_scope(self.pairs_of(*arms), model, task)

    def gate(self, claim: Claim, model: str, task: str) -> Gate:
        """What the quality of a claim says about one model, over all tasks or in one."""
        key = (claim.approach, claim.reference, model, task)
        if key not in self._gates:
            rule, models = _rule_for(claim, self.in_force.plan.quality), len(self.in_force.plan.models)
            floor, own_floor = (
                self.scope((arm, rule.floor), model, task)
                if {arm, rule.floor} <= self._present and arm != rule.floor
                else None
                for arm in (claim.reference, claim.approach)
            )
            excerpt = self._excerpt(claim.approach)
            brevity = None if excerpt is None else _of_scope(excerpt, model, task)
            part = self.pairs(claim, model, task)
            self._gates[key] = quality_gate(self.quality(claim, task), part, floor, own_floor, brevity, rule, models)
        return self._gates[key]

    def quality(self, claim: Claim, task: str) -> ClaimQuality:
        """The quality of a claim over all its models."""
        key = (claim.approach, claim.reference, task)
        if key not in self._claims:
            plan = self.in_force.plan
            tests = len(self._arms) * (1 if task == ALL else len(plan.tasks))
            level = gate_level(plan.quality.alpha, self._look(claim))
            self._claims[key] = claim_quality(self.pairs(claim, None, task), plan.quality, level, tests)
        return self._claims[key]

    def _look(self, claim: Claim) -> int:
        """How often the quality of these arms has been looked at: on whichever outcome and model most often.

        Other prices are another look at money, and none at quality.
        """
        arms = (claim.approach, claim.reference)
        claims = [c for c in self.in_force.plan.claims if (c.approach, c.reference) == arms]
        same = {c.id for c in claims if c.outcome != MONEY} or {c.id for c in claims}
        return max((look for (name, _), look in self.in_force.looks.items() if name in same), default=1)

    def pairs_of(self, approach: str, reference: str) -> Pairs:
        """All pairs of two arms."""
        key = approach, reference
        if key not in self._pairs:
            self._pairs[key] = pair_up(
                self._table,
                approach,
                reference,
                [*self._costs, "quality"],
                columns=["place", "tool_calls", *(f"{name}_open" for name in self._costs)],
            )
        return self._pairs[key]

    def _excerpt(self, approach: str) -> Pairs | None:
        """An approach against the excerpt; None if that did not run."""
        if "excerpt" not in self._present or approach == "excerpt":
            return None
        if approach not in self._excerpts:
            self._excerpts[approach] = _equally_long(self._table, approach)
        return self._excerpts[approach]


def _rule_for(claim: Claim, rule: QualityRule) -> QualityRule:
    """The rule with the floor of the claim's arms: agents have their own."""
    return rule.model_copy(update={"floor": floor_of(claim.reference, rule)})


def _of_scope(pairs: Pairs, model: str | None, task: str) -> Pairs:
    here = pairs if model is None else pairs.part(pairs.have("model", model))
    return here if task == ALL else here.part(here.have("task", task))


def _equally_long(table: pd.DataFrame, approach: str) -> Pairs:
    """Pairs with the excerpt, from models and tasks where it is about as long as what it controls for."""
    pairs = pair_up(table, approach, "excerpt", ["quality", "input_tokens"])
    # totals of two arms are comparable only over the pairs in which both are known
    frame = pairs.frame
    known = frame["input_tokens_low"].notna() & frame["input_tokens_low_ref"].notna()
    own, other = (
        frame[name].where(known).groupby([frame["model"], frame["task"]], sort=False, observed=True).transform("sum")
        for name in ("input_tokens_low", "input_tokens_low_ref")
    )
    return pairs.part((other / own).between(*COMPARABLE).to_numpy())
