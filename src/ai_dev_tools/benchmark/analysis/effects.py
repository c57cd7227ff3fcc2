"""Inference on one comparison over a set of pairs.

For what was seen, and for both ends of what censoring leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ai_dev_tools.benchmark.analysis.bills import Bill, bill
from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate, Floats
from ai_dev_tools.benchmark.analysis.pair_columns import Pairs
from ai_dev_tools.benchmark.analysis.statistics import (
    RESAMPLES,
    Inference,
    infer,
)
from ai_dev_tools.benchmark.plugins import COMPARISONS


@dataclass(frozen=True)
class Effect:
    """Inference on one set of pairs at its observed values and at both ends of what censoring leaves open.

    `seen`, `least` and `most` are the estimates with the compared arm at what was seen, at its lower end against the
    reference's upper, and the reverse; without censoring the three are one object. `bill` is total over total of what was paid.
    """

    seen: Inference
    least: Inference
    most: Inference
    bill: Bill = field(default_factory=lambda: Bill(float("nan")))

    @property
    def source(self) -> ClusterEstimate:
        """The estimate at observed values."""
        return self.seen.source

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Two-sided interval at level 1 - alpha that covers every value censoring leaves possible."""
        low, high = self.least.source.estimate, self.most.source.estimate
        return (
            low if np.isinf(low) else self.least.bound("low", alpha / 2),
            high if np.isinf(high) else self.most.bound("high", alpha / 2),
        )

    def p_below(self, margin: float) -> float:
        """One-sided p-value for 'below margin', the compared arm at its upper end.

        1 when that end is unbounded.
        """
        return 1.0 if not np.isfinite(self.most.source.estimate) else self.most.p_below(margin)

    def p_above(self, margin: float) -> float:
        """One-sided p-value for 'above margin', the compared arm at its lower end.

        1 when that end is unbounded.
        """
        return 1.0 if not np.isfinite(self.least.source.estimate) else self.least.p_above(margin)


def effect(pairs: Pairs, name: str, resamples: int = RESAMPLES, end: Literal["high", "open"] = "high") -> Effect | None:
    """Estimate one comparison over the given pairs; None when none has both values.

    Args:
        end: the upper ends, of what timed out (`high`), or of capped answers too, had they run on (`open`).
    """
    ratio = COMPARISONS[name].scale == "ratio"
    pairs = pairs.part(np.isfinite(pairs[f"{name}_low"]) & np.isfinite(pairs[f"{name}_low_ref"]))
    if not len(pairs):
        return None
    low, high, low_ref, high_ref = (pairs[f"{name}_{which}"] for which in ("low", end, "low_ref", f"{end}_ref"))

    def inference(a: Floats, b: Floats) -> Inference:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log(a / b) if ratio else a - b
        if np.isinf(values).any():
            # an unbounded end: everything on that side stays possible
            sign = float(np.sign(values[np.isinf(values)][0]))
            return Inference(ClusterEstimate(sign * np.inf, np.empty(0), np.nan, np.nan, len(pairs), 0, 0, 0), None)
        return infer(pairs.nesting.estimate(values), resamples)

    seen = inference(low, low_ref)
    censored = bool((high != low).any() or (high_ref != low_ref).any())
    least, most = (inference(low, high_ref), inference(high, low_ref)) if censored else (seen, seen)
    inside = pairs.nesting.inside
    paid = bill(low[inside], low_ref[inside], pairs["unit"][inside]) if ratio else Bill(float("nan"))
    return Effect(seen, least, most, paid)
