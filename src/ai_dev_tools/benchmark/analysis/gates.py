"""The quality gates of a plan: one for each approach and reference over all models, and what it says of each model."""

from __future__ import annotations

from functools import cached_property

import pandas as pd

from ai_dev_tools.benchmark.analysis.claims import Claim, Undertaking
from ai_dev_tools.benchmark.analysis.controls import COMPARABLE
from ai_dev_tools.benchmark.analysis.pairing import pair_up
from ai_dev_tools.benchmark.analysis.pairs import Pairs
from ai_dev_tools.benchmark.analysis.quality import ClaimQuality, Gate, claim_quality, gate_level, quality_gate
from ai_dev_tools.benchmark.analysis.sampletable import ALL, levels

Arms = tuple[str, str]
BESIDE = ("tokens_open", "time_open", "place")
Scope = tuple[str, str, str, str]
"""Approach, reference, model and task."""


class Gates:
    """Pairs and gates of every scope of a plan; claims on tokens and on time share them."""

    def __init__(self, table: pd.DataFrame, work: Undertaking) -> None:
        self._table, self._work = table, work
        self._present = set(levels(table["approach"]))
        self._pairs: dict[Arms, Pairs] = {}
        self._controls: dict[Arms, tuple[Pairs | None, Pairs | None, Pairs | None]] = {}
        self._claims: dict[tuple[str, str, str], ClaimQuality] = {}
        self._gates: dict[Scope, Gate] = {}

    @cached_property
    def _arms(self) -> list[Arms]:
        return list(dict.fromkeys((claim.approach, claim.reference) for claim in self._work.plan.claims))

    def pairs(self, claim: Claim, model: str | None, task: str) -> Pairs:
        """Pairs of a claim's arms in one scope; of all models where `model` is None."""
        return _of_scope(self._pairs_of(claim.approach, claim.reference), model, task)

    def gate(self, claim: Claim, model: str, task: str) -> Gate:
        """What the quality of a claim says about one model, over all tasks or in one."""
        key = (claim.approach, claim.reference, model, task)
        if key not in self._gates:
            floor, own_floor, brevity = (
                None if pairs is None else _of_scope(pairs, model, task)
                for pairs in self._controls_of(claim.approach, claim.reference)
            )
            rule, models = self._work.plan.quality, len(self._work.plan.models)
            part = self.pairs(claim, model, task)
            self._gates[key] = quality_gate(self.quality(claim, task), part, floor, own_floor, brevity, rule, models)
        return self._gates[key]

    def quality(self, claim: Claim, task: str) -> ClaimQuality:
        """The quality of a claim over all its models."""
        key = (claim.approach, claim.reference, task)
        if key not in self._claims:
            plan = self._work.plan
            tests = len(self._arms) * (1 if task == ALL else len(plan.tasks))
            level = gate_level(plan.quality.alpha, self._look(claim))
            self._claims[key] = claim_quality(self.pairs(claim, None, task), plan.quality, level, tests)
        return self._claims[key]

    def _look(self, claim: Claim) -> int:
        """How often the quality of these arms has been looked at: on whichever endpoint and model most often."""
        same = {c.id for c in self._work.plan.claims if (c.approach, c.reference) == (claim.approach, claim.reference)}
        return max((look for (name, _), look in self._work.looks.items() if name in same), default=1)

    def _pairs_of(self, approach: str, reference: str) -> Pairs:
        key = approach, reference
        if key not in self._pairs:
            self._pairs[key] = Pairs(
                pair_up(self._table, approach, reference, ["tokens", "time", "quality"], columns=BESIDE)
            )
        return self._pairs[key]

    def _controls_of(self, approach: str, reference: str) -> tuple[Pairs | None, Pairs | None, Pairs | None]:
        """Reference, and approach, against the floor arm; approach against the excerpt."""
        key, floor, present = (approach, reference), self._work.plan.quality.floor, self._present
        if key not in self._controls:
            at_floor = [
                self._pairs_of(arm, floor) if {arm, floor} <= present and arm != floor else None
                for arm in (reference, approach)
            ]
            excerpt = None
            if "excerpt" in present and approach != "excerpt":
                excerpt = _equally_long(self._table, approach)
            self._controls[key] = at_floor[0], at_floor[1], excerpt
        return self._controls[key]


def _of_scope(pairs: Pairs, model: str | None, task: str) -> Pairs:
    here = pairs if model is None else pairs.part(pairs.have("model", model))
    return here if task == ALL else here.part(here.have("task", task))


def _equally_long(table: pd.DataFrame, approach: str) -> Pairs:
    """Pairs with the excerpt of those models and tasks where it really is about as long as what it controls for."""
    pairs = pair_up(table, approach, "excerpt", ["quality", "input_tokens"])
    # totals of two arms are comparable only over the pairs in which both are known
    known = pairs["input_tokens_low"].notna() & pairs["input_tokens_low_ref"].notna()
    own, other = (
        pairs[name].where(known).groupby([pairs["model"], pairs["task"]], sort=False, observed=True).transform("sum")
        for name in ("input_tokens_low", "input_tokens_low_ref")
    )
    return Pairs(pairs).part((other / own).between(*COMPARABLE).to_numpy())
