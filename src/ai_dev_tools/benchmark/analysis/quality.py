"""The quality gate: is the cheaper answer not worse, and do the answers carry information at all?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from ai_dev_tools.benchmark.analysis.claims import QualityRule
from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate, group_means
from ai_dev_tools.benchmark.analysis.pairs import Pairs
from ai_dev_tools.benchmark.analysis.power import gate_clusters
from ai_dev_tools.benchmark.analysis.statistics import (
    infer,
    with_extra_value,
)

WORST = -1.0
"""The imagined case: the reference answered perfectly and the approach not at all."""


@dataclass(frozen=True)
class Gate:
    """Outcome of the non-inferiority test and of the floor tests.

    Attributes:
        difference: mean quality of the approach minus the reference, tasks weighted equally.
        bound: its lower confidence bound after adding one case of -1.
        spread: standard deviation of the difference between clusters.
        worst_task, worst_difference: the task with the lowest estimate.
        floor_p: one-sided p that the reference does not beat the floor arm; NaN without floor arm.
        own_floor_p: the same for the approach itself.
        brevity_p: one-sided p that the approach does not beat `excerpt`; NaN where excerpt did not run.
        reasons: why the gate did not pass; empty when it passed.
        clusters_needed: clusters at which an equal tool would pass with 80 % power; None when unknown.
    """

    difference: float
    bound: float
    spread: float
    worst_task: str
    worst_difference: float
    floor_p: float
    own_floor_p: float
    brevity_p: float
    reasons: tuple[str, ...]
    clusters: int
    clusters_needed: int | None

    @property
    def passed(self) -> bool:
        """Whether 'not worse' was shown."""
        return not self.reasons


def lower_bound(estimate: ClusterEstimate, alpha: float) -> float:
    """Lower bound of a mean quality difference, one case of -1 added; NaN without any value.

    Where no cluster gained, the exact binomial bound on the sum of losses applies too: rare total losses among ties are
    the one pattern that the t bound lets through too often (up to 6.2 % instead of 5 %).
    """
    if not estimate.clusters:
        return float("nan")
    bound = infer(with_extra_value(estimate, WORST), resamples=0).bound("low", alpha)
    n, losses = estimate.clusters, -float(estimate.influence.sum())
    if (estimate.influence <= 1e-9).all() and losses < n:
        return min(bound, -float(special.betainccinv(losses + 1, n - losses, alpha)))
    return bound


def superiority_p(estimate: ClusterEstimate) -> float:
    """One-sided p of 'the mean difference is at most 0': t on clusters, or the exact sign test when all are tied."""
    if not estimate.clusters:
        return float("nan")
    inference = infer(estimate, resamples=0)
    if inference.usable:
        return inference.p_above(0.0)
    return 0.5**estimate.clusters if estimate.estimate > 0 else 1.0


def estimate_differences(pairs: Pairs) -> ClusterEstimate:
    """Cluster estimate of quality differences over pairs whose quality is known and not void."""
    kept = _scored(pairs)
    return kept.nesting.estimate(kept["quality_low"] - kept["quality_low_ref"])


def _scored(pairs: Pairs) -> Pairs:
    keep = np.isfinite(pairs["quality_low"]) & np.isfinite(pairs["quality_low_ref"]) & ~pairs["lost"]
    return pairs.part(keep & ~pairs["void_quality"] if "void_quality" in pairs else keep)


def task_differences(pairs: Pairs) -> dict[str, float]:
    """Mean quality difference of each task: repeats, then cases, then clusters averaged."""
    kept, found = _scored(pairs), {}
    for task in kept.texts("task"):
        part = kept.part(kept.have("task", task))
        values, first = group_means(part["quality_low"] - part["quality_low_ref"], part["case_number"])
        values, _ = group_means(values, part["unit"][first])
        found[task] = float(values.mean())
    return found


def quality_gate(
    pairs: Pairs,
    floor: Pairs | None,
    own_floor: Pairs | None,
    brevity: Pairs | None,
    rule: QualityRule,
) -> Gate:
    """Test one model's pairs (see `pairing.pair_up`, with `quality`).

    Args:
        pairs: approach against reference.
        floor, own_floor: reference, and approach, against the floor arm; None where that did not run.
        brevity: approach against `excerpt`; None where that did not run.
    """
    estimate = estimate_differences(pairs)
    bound = lower_bound(estimate, rule.alpha)
    tasks = task_differences(pairs)
    worst = min(tasks, key=lambda task: (tasks[task], task)) if tasks else ""
    p_floor, p_own, p_brevity = (
        superiority_p(estimate_differences(other)) if other is not None and len(other) else float("nan")
        for other in (floor, own_floor, brevity)
    )
    spread = estimate.spread if np.isfinite(estimate.spread) else 0.0
    reasons = []
    if not estimate.clusters:
        reasons.append("quality unknown: no pair has two scores")
    elif not bound > -rule.margin:
        reasons.append(f"quality unproven at n = {estimate.clusters}: the loss may exceed {rule.margin:g}")
    if tasks and tasks[worst] < -rule.task_veto:
        reasons.append(f"quality vetoed by {worst}: {tasks[worst]:+.2f}")
    answered = set(pairs.part(~pairs["lost"]).texts("task"))
    if tasks and (unscored := sorted(answered - set(tasks))):
        reasons.append(f"quality unknown in {', '.join(unscored)}: no pair has two scores")
    if not np.isfinite(p_floor):
        absent = "did not run" if floor is None else "shares no scored case with the reference"
        reasons.append(f"floor: {rule.floor} {absent}, so guessing cannot be told from answering")
    elif p_floor > rule.alpha:
        reasons.append(f"floor: the reference does not beat {rule.floor}, so equal quality means nothing")
    elif not p_own <= rule.alpha:
        reasons.append(f"floor: the approach's own answers do not beat {rule.floor}")
    return Gate(
        difference=estimate.estimate,
        bound=bound,
        spread=estimate.spread,
        worst_task=worst,
        worst_difference=tasks.get(worst, float("nan")),
        floor_p=p_floor,
        own_floor_p=p_own,
        brevity_p=p_brevity,
        reasons=tuple(reasons),
        clusters=estimate.clusters,
        clusters_needed=gate_clusters(spread, rule.margin, rule.alpha) if estimate.clusters else None,
    )
