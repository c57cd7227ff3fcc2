"""Inference on one comparison over a set of pairs, at what was seen and at both ends of what censoring leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark.plugins import COMPARISONS
from ai_dev_tools.benchmark.statistics import RESAMPLES, ClusterEstimate, Floats, Inference, cluster_estimate, infer

ENDS = ("low", "high", "low_ref", "high_ref")


@dataclass(frozen=True)
class Effect:
    """Inference on one set of pairs at its observed values and at both ends of what censoring leaves open.

    `seen`, `least` and `most` are the estimates with the compared arm at what was seen, at its lower end against the
    reference's upper, and the reverse; without censoring the three are one object.
    """

    seen: Inference
    least: Inference
    most: Inference
    bill: float
    pairs: int

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
        """One-sided p-value for 'below margin', the compared arm at its upper end; 1 when that end is unbounded."""
        return 1.0 if not np.isfinite(self.most.source.estimate) else self.most.p_below(margin)

    def p_above(self, margin: float) -> float:
        """One-sided p-value for 'above margin', the compared arm at its lower end; 1 when that end is unbounded."""
        return 1.0 if not np.isfinite(self.least.source.estimate) else self.least.p_above(margin)


def effect(pairs: pd.DataFrame, name: str, rows: NDArray[Any], resamples: int = RESAMPLES) -> Effect | None:
    """Estimate one comparison over the given rows of `pairs` (a mask or positions); None when none has both values."""
    ratio = COMPARISONS[name].options["kind"] == "ratio"
    low, high, low_ref, high_ref = (pairs[f"{name}_{end}"].to_numpy()[rows] for end in ENDS)
    known = np.isfinite(low) & np.isfinite(low_ref)
    if not known.any():
        return None
    labels = [pairs[label].to_numpy()[rows][known] for label in ("unit", "task_number", "case_number")]

    def inference(a: Floats, b: Floats) -> Inference:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log(a[known] / b[known]) if ratio else a[known] - b[known]
        if np.isinf(values).any():
            # an unbounded end: everything on that side stays possible
            sign = float(np.sign(values[np.isinf(values)][0]))
            return Inference(
                ClusterEstimate(sign * np.inf, np.empty(0), np.nan, np.nan, int(known.sum()), 0, 0, 0), None
            )
        return infer(cluster_estimate(values, *labels), resamples)

    seen = inference(low, low_ref)
    censored = bool((high != low)[known].any() or (high_ref != low_ref)[known].any())
    least, most = (inference(low, high_ref), inference(high, low_ref)) if censored else (seen, seen)
    bill = float(low[known].sum() / low_ref[known].sum()) if ratio else float("nan")
    return Effect(seen, least, most, bill, int(known.sum()))
