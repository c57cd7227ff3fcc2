"""The quality gate: is the cheaper answer not worse, and do the answers carry information at all?

Whether the answers are worse is asked once for a claim, over all its models; whether they say anything, of each model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate, integer_labels
from ai_dev_tools.benchmark.analysis.decision_power import QualityTest
from ai_dev_tools.benchmark.analysis.noninferiority import LossTest, shown_losses
from ai_dev_tools.benchmark.analysis.pair_columns import Pairs
from ai_dev_tools.benchmark.analysis.reasons import Code, Reason, reason
from ai_dev_tools.benchmark.analysis.statistics import infer
from ai_dev_tools.benchmark.records.plan import QualityRule


def gate_level(alpha: float, look: int) -> float:
    """Level of gate and floor tests at a look.

    It is 4/5 of `alpha` at the first look; the rest is halved at each later one.

    All looks together cannot exceed `alpha`. Most runs are looked at once, and quality is what needs the samples.
    """
    return float(alpha * 4 / 5 if look <= 1 else alpha / 5 / 2 ** (look - 1))


@dataclass(frozen=True)
class ClaimQuality:
    """Quality of an approach against its reference over all models of a claim: the primary test.

    Attributes:
        estimate: mean difference in score, tasks weighted equally, models of a case averaged.
        p: one-sided p-value of 'the loss is at least the margin'; `bound` its lower confidence bound at `level`.
        adjusted: `p` after the family of gates of the plan, which are `tests`.
        worst_task, worst_difference: the task with the lowest estimate.
        vetoed: tasks that lie below the veto and in which a loss is shown.
        unscored: tasks that were answered but have no pair with two scores.
    """

    estimate: ClusterEstimate
    p: float
    bound: float
    level: float
    adjusted: float
    tests: int
    worst_task: str
    worst_difference: float
    vetoed: tuple[str, ...]
    unscored: tuple[str, ...]

    @property
    def unproven(self) -> bool:
        """Whether the loss may exceed the margin."""
        return not self.adjusted <= self.level


@dataclass(frozen=True)
class Gate:
    """What the quality of a claim says about one of its models.

    Attributes:
        claim: the test over all models.
        difference, bound: mean difference of this model alone and its lower bound at the same level; they do not decide.
        floor_p: one-sided p that the reference does not beat the floor arm; NaN without floor arm.
        own_floor_p: the same for the approach itself.
        brevity_p: one-sided p that the approach does not beat `excerpt`; NaN if excerpt did not run.
        floor_level: level of these tests.
        reasons: why the gate did not pass; empty when it passed.
        equal, seen: what an equal tool, and one whose answers differ as was seen, must pass, if the arms beat the floor by
            as much as was seen; None if more of the same would not pass.
    """

    claim: ClaimQuality
    difference: float
    bound: float
    floor_p: float
    own_floor_p: float
    brevity_p: float
    floor_level: float
    reasons: tuple[Reason, ...]
    equal: QualityTest | None
    seen: QualityTest | None

    @property
    def passed(self) -> bool:
        """Whether 'not worse' was shown."""
        return not self.reasons


def lower_bound(estimate: ClusterEstimate, alpha: float) -> float:
    """Lower confidence bound of a mean quality difference; NaN without any value."""
    return LossTest(estimate).bound(alpha)


def superiority_p(estimate: ClusterEstimate) -> float:
    """One-sided p-value of 'the mean difference is at most 0'.

    A t test on clusters, or the exact sign test if all are tied.
    """
    if not estimate.clusters:
        return float("nan")
    inference = infer(estimate, resamples=0)
    if inference.usable:
        return inference.p_above(0.0)
    return 0.5**estimate.clusters if _all_tied(estimate) and estimate.estimate > 0 else 1.0


def _all_tied(estimate: ClusterEstimate) -> bool:
    """Whether all clusters gave one value; with one cluster in each task it is not known whether they did."""
    return estimate.clusters == 1 or bool(np.isfinite(estimate.df))


def estimate_differences(pairs: Pairs) -> ClusterEstimate:
    """Cluster estimate of quality differences over pairs whose quality is known and not void."""
    kept = _scored(pairs)
    return kept.nesting.estimate(kept["quality_low"] - kept["quality_low_ref"])


def _scored(pairs: Pairs) -> Pairs:
    keep = np.isfinite(pairs["quality_low"]) & np.isfinite(pairs["quality_low_ref"]) & ~pairs["lost"]
    return pairs.part(keep & ~pairs["void_quality"] if "void_quality" in pairs else keep)


def claim_quality(pairs: Pairs, rule: QualityRule, level: float, tests: int = 1) -> ClaimQuality:
    """Judge the pairs of all models of a claim (see `pairing.pair_up`, with `quality`).

    Args:
        level: of the gate at this look.
        tests: gates of the same family: each p-value counts as many times (Bonferroni).
    """
    estimate = estimate_differences(pairs)
    test, tasks = LossTest(estimate), _tasks(pairs, estimate)
    p = test.p(rule.margin)
    worst = min(tasks, key=lambda task: (tasks[task][0], task)) if tasks else ""
    lost = {
        task for task, (mean, p_none) in tasks.items() if mean < -rule.task_veto and p_none <= level / 2 / len(tasks)
    }
    answered = set(pairs.part(~pairs["lost"]).texts("task"))
    scored = set(_scored(pairs).texts("task"))
    return ClaimQuality(
        estimate=estimate,
        p=p,
        bound=test.bound(level),
        level=level,
        adjusted=min(1.0, p * tests) if np.isfinite(p) else p,
        tests=tests,
        worst_task=worst,
        worst_difference=tasks[worst][0] if tasks else float("nan"),
        vetoed=tuple(sorted(lost)),
        unscored=tuple(sorted(answered - scored)) if scored else (),
    )


def _tasks(pairs: Pairs, estimate: ClusterEstimate) -> dict[str, tuple[float, float]]:
    """By task of an estimate: mean difference, and p-value of 'nothing was lost'."""
    kept = _scored(pairs)
    if not len(estimate.cells):
        return {}
    number = integer_labels(kept["task_number"])
    first = [int(np.flatnonzero(number == task)[0]) for task in range(int(number.max()) + 1)]
    categories, code = kept.frame["task"].cat.categories, kept["task"]
    names = [str(categories[code[row]]) for row in first]
    inside = [name for task, name in enumerate(names) if task not in estimate.left_out]
    return {inside[task]: found for task, found in shown_losses(estimate).items()}


def quality_gate(
    claim: ClaimQuality,
    pairs: Pairs,
    floor: Pairs | None,
    own_floor: Pairs | None,
    brevity: Pairs | None,
    rule: QualityRule,
    models: int = 1,
) -> Gate:
    """What the quality of a claim says about one of its models.

    Args:
        claim: the test over all models.
        pairs: this model's pairs, approach against reference.
        floor, own_floor: reference, and approach, against the floor arm; None if that did not run.
        brevity: approach against `excerpt`; None if that did not run.
        models: how many models the claim has: each gets its share of the level.
    """
    own, level = estimate_differences(pairs), claim.level / models
    at_floor, own_at_floor, at_excerpt = (
        estimate_differences(other) if other is not None and len(other) else None
        for other in (floor, own_floor, brevity)
    )
    p_floor, p_own, p_brevity = (
        float("nan") if other is None else superiority_p(other) for other in (at_floor, own_at_floor, at_excerpt)
    )
    equal, seen = _chances(claim, (at_floor, own_at_floor), rule, models)
    unproven = _why_unproven(claim, rule)
    lasting = [reason("vetoed", task=task, veto=f"{rule.task_veto:g}") for task in claim.vetoed]
    if claim.unscored:
        lasting.append(reason("unscored_tasks", tasks=", ".join(claim.unscored)))
    if models > 1 and own.estimate < -rule.task_veto and infer(own, resamples=0).p_below(0.0) <= level:
        lasting.append(reason("vetoed_here", difference=f"{own.estimate:+.2f}"))
    return Gate(
        claim=claim,
        difference=own.estimate,
        bound=lower_bound(own, claim.level),
        floor_p=p_floor,
        own_floor_p=p_own,
        brevity_p=p_brevity,
        floor_level=level,
        reasons=(*unproven, *lasting, *_floor_reasons(p_floor, p_own, floor is not None, rule, level)),
        equal=equal,
        seen=None if lasting else seen,
    )


def _why_unproven(claim: ClaimQuality, rule: QualityRule) -> list[Reason]:
    if not claim.estimate.clusters:
        return [reason("unscored")]
    if not claim.unproven:
        return []
    code: Code = "unproven_family" if claim.p <= claim.level else "unproven"
    return [reason(code, clusters=claim.estimate.clusters, margin=f"{rule.margin:g}")]


def _floor_reasons(p_floor: float, p_own: float, ran: bool, rule: QualityRule, level: float) -> list[Reason]:
    """Why the floor tests do not let the answers count; empty when they do."""
    if not np.isfinite(p_floor):
        return [reason("floor_apart" if ran else "no_floor", floor=rule.floor)]
    if p_floor > level:
        return [reason("floor", floor=rule.floor)]
    if not p_own <= level:
        return [reason("own_floor", floor=rule.floor)]
    return []


def _chances(
    claim: ClaimQuality, at_floor: Sequence[ClusterEstimate | None], rule: QualityRule, models: int
) -> tuple[QualityTest | None, QualityTest | None]:
    """What an equal tool, and one like what was seen, must pass at this spread.

    None if no number of clusters would do.
    """
    found = claim.estimate
    arms = [arm for arm in at_floor if arm is not None and arm.clusters]
    if not found.clusters or len(arms) < len(at_floor) or any(arm.estimate <= 0 for arm in arms):
        return None, None
    # where all are tied the sign test needs a handful of clusters only
    floors = tuple(arm.estimate / arm.spread for arm in arms if arm.spread > 1e-9)
    spread = found.spread if np.isfinite(found.spread) else 0.0
    share = claim.level / claim.tests
    equal = QualityTest(spread, rule.margin, share, max(1, found.tasks), rule.task_veto, floors, models)
    seen = replace(equal, distance=rule.margin + min(0.0, found.estimate))
    return equal, seen if seen.distance > 0 else None
