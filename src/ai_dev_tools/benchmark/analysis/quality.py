"""The quality gate: is the cheaper answer not worse, and do the answers carry information at all?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from ai_dev_tools.benchmark.analysis.claims import QualityRule
from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate, group_means
from ai_dev_tools.benchmark.analysis.pairs import Pairs
from ai_dev_tools.benchmark.analysis.power import clusters_needed, gate_clusters
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
        worst_task, worst_difference: the task with the lowest estimate.
        floor_p: one-sided p that the reference does not beat the floor arm; NaN without floor arm.
        own_floor_p: the same for the approach itself.
        brevity_p: one-sided p that the approach does not beat `excerpt`; NaN where excerpt did not run.
        reasons: why the gate did not pass; empty when it passed.
        clusters_needed: clusters at which an equal tool would pass with 80 % power, if the arms beat the floor by as
            much as was seen; None when unknown, and where more of the same would not pass.
    """

    difference: float
    bound: float
    worst_task: str
    worst_difference: float
    floor_p: float
    own_floor_p: float
    brevity_p: float
    reasons: tuple[str, ...]
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
    return 0.5**estimate.clusters if _all_tied(estimate) and estimate.estimate > 0 else 1.0


def _all_tied(estimate: ClusterEstimate) -> bool:
    """Whether all clusters gave one value; with one cluster in each task it is not known whether they did."""
    return estimate.clusters == 1 or bool(np.isfinite(estimate.df))


def superiority_clusters(estimate: ClusterEstimate, alpha: float) -> int | None:
    """Clusters at which `superiority_p` is at most `alpha` with 80 % power if what was seen is true; None for never."""
    if not (estimate.clusters and estimate.estimate > 0):
        return None
    if infer(estimate, resamples=0).usable:
        return clusters_needed(estimate.estimate / estimate.spread, alpha, two_sided=False)
    return int(np.ceil(np.log(alpha) / np.log(0.5))) if _all_tied(estimate) else None


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
    estimate, tasks = estimate_differences(pairs), task_differences(pairs)
    bound = lower_bound(estimate, rule.alpha)
    worst = min(tasks, key=lambda task: (tasks[task], task)) if tasks else ""
    at_floor, own_at_floor, at_excerpt = (
        estimate_differences(other) if other is not None and len(other) else None
        for other in (floor, own_floor, brevity)
    )
    p_floor, p_own, p_brevity = (
        float("nan") if other is None else superiority_p(other) for other in (at_floor, own_at_floor, at_excerpt)
    )
    unproven = []
    if not estimate.clusters:
        unproven.append("quality unknown: no pair has two scores")
    elif not bound > -rule.margin:
        unproven.append(f"quality unproven at n = {estimate.clusters}: the loss may exceed {rule.margin:g}")
    lasting = []
    if tasks and tasks[worst] < -rule.task_veto:
        lasting.append(f"quality vetoed by {worst}: {tasks[worst]:+.2f}")
    answered = set(pairs.part(~pairs["lost"]).texts("task"))
    if tasks and (unscored := sorted(answered - set(tasks))):
        lasting.append(f"quality unknown in {', '.join(unscored)}: no pair has two scores")
    return Gate(
        difference=estimate.estimate,
        bound=bound,
        worst_task=worst,
        worst_difference=tasks.get(worst, float("nan")),
        floor_p=p_floor,
        own_floor_p=p_own,
        brevity_p=p_brevity,
        reasons=(*unproven, *lasting, *_floor_reasons(p_floor, p_own, floor is not None, rule)),
        clusters_needed=None if lasting else _clusters_to_pass(estimate, (at_floor, own_at_floor), rule),
    )


def _floor_reasons(p_floor: float, p_own: float, ran: bool, rule: QualityRule) -> list[str]:
    """Why the floor tests do not let the answers count; empty when they do."""
    if not np.isfinite(p_floor):
        absent = "shares no scored case with the reference" if ran else "did not run"
        return [f"floor: {rule.floor} {absent}, so guessing cannot be told from answering"]
    if p_floor > rule.alpha:
        return [f"floor: the reference does not beat {rule.floor}, so equal quality means nothing"]
    if not p_own <= rule.alpha:
        return [f"floor: the approach's own answers do not beat {rule.floor}"]
    return []


def _clusters_to_pass(
    estimate: ClusterEstimate, at_floor: Sequence[ClusterEstimate | None], rule: QualityRule
) -> int | None:
    """Clusters at which an equal tool would pass; None when what was seen, if it is true, would not pass at any."""
    if not estimate.clusters or estimate.estimate <= -rule.margin:
        return None
    spread = estimate.spread if np.isfinite(estimate.spread) else 0.0
    needs = [gate_clusters(spread, rule.margin, rule.alpha)]
    needs += [None if arm is None else superiority_clusters(arm, rule.alpha) for arm in at_floor]
    known = [need for need in needs if need is not None]
    return max(known) if len(known) == len(needs) else None
