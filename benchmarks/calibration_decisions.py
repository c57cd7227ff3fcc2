"""How often each single decision of the protocol is right, on samples that `calibration_data` invents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from calibration_data import (
    DRAWS,
    LOG_MARGIN,
    LOSSES,
    Floats,
    crashing_tool,
    crashing_tool_truth,
    cut_off,
    deviation,
    distant_models,
    generator,
    is_skewed,
    nested,
    one_each,
    shared_clusters,
    three_arms,
)
from scipy import stats

from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate
from ai_dev_tools.benchmark.analysis.quality import gate_level, lower_bound, superiority_p
from ai_dev_tools.benchmark.analysis.signed_ranks import signed_rank_p
from ai_dev_tools.benchmark.analysis.statistics import (
    Inference,
    benjamini_hochberg,
    effect_size,
    holm,
    infer,
    quantile_interval,
    wilson,
)

RESAMPLES = 999
FIRST_LOOK = gate_level(0.05, 1)
COVERAGE = "coverage of the 95 % interval"
WORD = "a wrong word at a true ratio on the margin"


@dataclass(frozen=True)
class Rate:
    """One simulated rate: at most `limit` (or at least, for coverage) is promised where `promised`."""

    group: str
    cell: str
    n: int
    rate: float
    limit: float
    at_least: bool
    promised: bool
    replicates: int

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of the rate."""
        return float(np.sqrt(max(self.rate * (1 - self.rate), 1 / self.replicates) / self.replicates))

    def broken(self, cells: int) -> bool:
        """Whether the promise is refuted at 5 %, Bonferroni over `cells`."""
        if not self.promised:
            return False
        hits = round(self.rate * self.replicates)
        side = (
            stats.binom.cdf(hits, self.replicates, self.limit)
            if self.at_least
            else stats.binom.sf(hits - 1, self.replicates, self.limit)
        )
        return bool(side < 0.05 / cells)


def _judge(estimate: ClusterEstimate) -> Inference:
    return infer(estimate, RESAMPLES)


def _two_sided(inference: Inference) -> float:
    """The p-value of no difference; 1 where there is no spread to judge by."""
    return min(1.0, 2 * min(inference.p_below(0.0), inference.p_above(0.0))) if inference.usable else 1.0


def _misses(
    make: Callable[[np.random.Generator], ClusterEstimate], truth: float, replicates: int, *key: object
) -> tuple[float, float]:
    """How often the true value lies below and above the 95 % interval."""
    rng = generator(*key)
    below = above = 0
    for _ in range(replicates):
        inference = _judge(make(rng))
        if not inference.usable:
            continue
        below += inference.p_above(truth) <= 0.025
        above += inference.p_below(truth) <= 0.025
    return below / replicates, above / replicates


def intervals(replicates: int) -> Iterator[Rate]:
    """Coverage of the 95 % interval and error of a word at the margin, cluster means drawn directly."""
    for name, draw in DRAWS.items():
        for n in (6, 12, 20, 24, 60):
            low, high = _misses(lambda rng, draw=draw, n=n: one_each(draw(rng, n)), 0.0, replicates, "i", name, n)
            least = 0.90 if is_skewed(name) else 0.93
            yield Rate(COVERAGE, name, n, 1 - low - high, least, True, n >= 20, replicates)
            holds = not is_skewed(name) and n >= 12
            yield Rate("two-sided p <= 0.05 at no difference", name, n, low + high, 0.05, False, holds, replicates)
            yield Rate(WORD, name, n, max(low, high), 0.05, False, holds, replicates)


def designs(replicates: int) -> Iterator[Rate]:
    """The same with tasks, unequal numbers of cases and repeats, and strong case, cluster and task effects."""
    for name, sizes, heavy, uneven in (
        ("1 task, unequal cases and repeats", (24,), False, False),
        ("6 tasks x 3 clusters", (3,) * 6, False, False),
        ("6 tasks x 4 clusters, t3", (4,) * 6, True, False),
        ("6 tasks x 12 clusters, t3", (12,) * 6, True, False),
        ("3 tasks of 3, 6, 20 clusters", (3, 6, 20), False, False),
        ("4 tasks x 6, one four times as variable", (6,) * 4, False, True),
        ("6 tasks x 3, one four times as variable", (3,) * 6, False, True),
    ):
        truth, n = 5.0 * float(np.mean(np.arange(len(sizes)))), sum(sizes)
        low, high = _misses(
            lambda rng, design=(sizes, heavy, uneven): nested(rng, *design), truth, replicates, "d", name
        )
        yield Rate(WORD, name, n, max(low, high), 0.05, False, True, replicates)
        yield Rate(COVERAGE, name, n, 1 - low - high, 0.93, True, n >= 20, replicates)
    low, high = _misses(shared_clusters, 0.0, replicates, "shared")
    yield Rate(WORD, "3 tasks that share 12 clusters", 12, max(low, high), 0.05, False, True, replicates)
    low, high = _misses(distant_models, 0.0, replicates, "models")
    yield Rate(WORD, "4 models far apart, 12 shared clusters, t3", 12, max(low, high), 0.05, False, True, replicates)


def near_one(replicates: int) -> Iterator[Rate]:
    """'Saves' at a true ratio of 1.01, standard deviation 0.3."""
    for name, draw in DRAWS.items():
        scale = 0.3 / deviation(name)
        for n in (12, 24):
            rng, hits = generator("near", name, n), 0
            for _ in range(replicates):
                hits += _judge(one_each(np.log(1.01) + scale * draw(rng, n))).p_below(LOG_MARGIN) <= 0.025
            limit = 0.04 if is_skewed(name) else 0.005
            yield Rate("'saves' at a true ratio of 1.01", name, n, hits / replicates, limit, False, True, replicates)


def _passes(y: Floats, margin: float = 0.10) -> bool:
    return lower_bound(one_each(y), FIRST_LOOK) > -margin


def gate(replicates: int) -> Iterator[Rate]:
    """The quality gate at a true loss of exactly the margin, and how often it passes an equal tool."""
    for name, draw in LOSSES.items():
        for n in (12, 18, 27, 45, 72, 150):
            rng = generator("gate", name, n)
            rate = sum(_passes(draw(rng, n)) for _ in range(replicates)) / replicates
            yield Rate("gate passes a true loss of the margin", name, n, rate, 0.05, False, True, replicates)
    for n in (18, 24, 36, 48, 72):
        rng = generator("equal", n)
        rate = sum(_passes(0.2 * rng.standard_normal(n)) for _ in range(replicates)) / replicates
        yield Rate("gate passes an equal tool (power)", "graded, sd 0.2", n, rate, 0.0, True, False, replicates)


def floor(replicates: int) -> Iterator[Rate]:
    """An arm that says nothing scores as `no_context` does: how often gate and floor tests let it through."""
    for name, draw in DRAWS.items():
        for n in (6, 12, 24, 72):
            rng = generator("superiority", name, n)
            rate = sum(superiority_p(one_each(draw(rng, n))) <= 0.05 for _ in range(replicates)) / replicates
            holds = not is_skewed(name) and n >= 12
            yield Rate("floor test p <= 0.05 at no advantage", name, n, rate, 0.05, False, holds, replicates)
    for n in (24, 72, 200):
        for advantage in (0.0, 0.05, 0.1, 0.2):
            rng, both, design = generator("floor", n, advantage), 0, 0
            for _ in range(replicates):
                base, nothing, tool = three_arms(rng, n, advantage)
                if not _passes(tool - base):
                    continue
                beats = superiority_p(one_each(base - nothing)) <= 0.05
                design += beats
                both += beats and superiority_p(one_each(tool - nothing)) <= 0.05
            cell = f"baseline {advantage:.2f} above guessing"
            for group, passed, promised in (
                ("information-free arm passes the gate", both, True),
                ("same, without the approach's own floor test", design, False),
            ):
                yield Rate(group, cell, n, passed / replicates, 0.05, False, promised, replicates)


def families(replicates: int) -> Iterator[Rate]:
    """Holm over eight correlated tests; optional stopping with alpha / 2^k; Benjamini-Hochberg."""
    n, tests = 18, 8
    rng, wrong, uncorrected, discoveries = generator("families"), 0, 0, 0
    for _ in range(replicates):
        common = DRAWS["t3"](rng, n)
        p = [_two_sided(_judge(one_each(0.6 * common + 0.8 * DRAWS["t3"](rng, n)))) for _ in range(tests)]
        wrong += bool((holm(p) <= 0.05).any())
        uncorrected += min(p) <= 0.05
        discoveries += bool((benjamini_hochberg(p) <= 0.05).any())
    for group, found, promised in (
        ("any word in a family of 8 (Holm)", wrong, True),
        ("any discovery in a family of 8 (Benjamini-Hochberg)", discoveries, True),
        ("any of 8 without adjustment", uncorrected, False),
    ):
        yield Rate(group, "correlated, t3", n, found / replicates, 0.05, False, promised, replicates)
    looks = (6, 8, 12, 20, 32)
    for name in ("normal", "75 % ties"):
        rng, spent, naive = generator("looks", name), 0, 0
        for _ in range(replicates):
            y = DRAWS[name](rng, looks[-1])
            p = [_two_sided(_judge(one_each(y[:n]))) for n in looks]
            spent += any(value <= 0.05 / 2**k for k, value in enumerate(p, start=1))
            naive += min(p) <= 0.05
        cell = f"{name}, looks at n = {', '.join(map(str, looks))}"
        for way, found, promised in (("alpha / 2^k", spent, True), ("no spending", naive, False)):
            group = f"optional stopping, {way}"
            yield Rate(group, cell, looks[-1], found / replicates, 0.05, False, promised, replicates)


def censoring(replicates: int) -> Iterator[Rate]:
    """Long requests are cut off: bounded as intervals, or the pair dropped. The tools arm is truly no faster."""
    for limit in (0.5, 1.5):
        rng, bounded, dropped, n = generator("censoring", limit), 0, 0, 24
        for _ in range(replicates):
            at_bounds, kept = cut_off(rng, n, limit)
            bounded += _judge(one_each(at_bounds)).p_below(LOG_MARGIN) <= 0.025
            left = _judge(one_each(kept))
            dropped += left.usable and left.p_below(LOG_MARGIN) <= 0.025
        cell = f"cut off at {np.exp(limit):.1f} x the median"
        for way, saved, promised in (("bounded", bounded, True), ("dropped", dropped, False)):
            group = f"'saves' with cut-off requests, {way}"
            yield Rate(group, cell, n, saved / replicates, 0.05, False, promised, replicates)


def failures(replicates: int) -> Iterator[Rate]:
    """A tool that crashes in a fifth of cases costs its time and the fallback; the ratio with that is the truth."""
    n = 24
    low, high = _misses(lambda rng: one_each(crashing_tool(rng, n)), crashing_tool_truth(), replicates, "failures")
    yield Rate(WORD, "tool crashes in 20 % of cases", n, max(low, high), 0.05, False, True, replicates)


def descriptive(replicates: int) -> Iterator[Rate]:
    """Intervals of the metrics table, and p-values that are shown for sensitivity only."""
    for n, share in ((18, 0.9), (100, 0.98)):
        rng = generator("wilson", n)
        counts = rng.binomial(n, share, replicates)
        ends = {int(k): wilson(int(k), n) for k in np.unique(counts)}
        rate = float(np.mean([ends[int(k)][0] <= share <= ends[int(k)][1] for k in counts]))
        yield Rate("coverage of Wilson's interval", f"true share {share}", n, rate, 0.93, True, False, replicates)
    for n, q in ((50, 0.5), (100, 0.9)):
        rng, hits = generator("quantile", n), 0
        truth = float(stats.lognorm.ppf(q, 1.0))
        for _ in range(replicates):
            low, high = quantile_interval(np.sort(np.exp(rng.standard_normal(n))), q)
            hits += not (low > truth or high < truth)
        cell, rate = f"p{100 * q:.0f}, lognormal", hits / replicates
        yield Rate("coverage of percentile intervals", cell, n, rate, 0.95, True, True, replicates)
    fewer = replicates // 5
    rng, hits, n = generator("d_z"), 0, 20
    for _ in range(fewer):
        _, low, high = effect_size(one_each(0.5 + rng.standard_normal(n)))
        hits += low <= 0.5 <= high
    yield Rate("coverage of the interval of d_z", "normal, d_z = 0.5", n, hits / fewer, 0.95, True, True, fewer)
    for name, draw in DRAWS.items():
        rng = generator("rank", name)
        rate = float(np.mean([signed_rank_p(draw(rng, 20)) <= 0.05 for _ in range(fewer)]))
        yield Rate("signed-rank p <= 0.05 at equal means", name, 20, rate, 0.05, False, not is_skewed(name), fewer)


def power(replicates: int) -> list[dict[str, float | str]]:
    """Share of replicates in which each method finds a true d_z beyond the margin (one-sided 2.5 %)."""
    rows: list[dict[str, float | str]] = []
    for name in ("normal", "t3", "lognormal, right"):
        for n in (12, 24):
            for effect in (0.0, 0.3, 0.6, 0.9, 1.2):
                rng = generator("power", name, n, effect)
                found = np.zeros(4)
                index = rng.integers(0, n, (RESAMPLES, n))
                signs = rng.choice([-1.0, 1.0], (RESAMPLES, n))
                for _ in range(replicates):
                    y = DRAWS[name](rng, n) / deviation(name) - effect
                    e = one_each(y)
                    t = stats.t.cdf(e.estimate / e.se, e.df)
                    percentile = np.mean(y[index].mean(axis=1) >= 0)
                    flip = (1 + np.sum((signs * y).mean(axis=1) <= y.mean())) / (RESAMPLES + 1)
                    found += [_judge(e).p_below(0.0) <= 0.025, t <= 0.025, percentile <= 0.025, flip <= 0.025]
                ours, by_t, by_percentile, by_flip = (float(v) for v in found / replicates)
                rows.append(
                    {
                        "distribution": name,
                        "n": n,
                        "true d_z": effect,
                        "this protocol": ours,
                        "t alone": by_t,
                        "percentile bootstrap": by_percentile,
                        "sign flips": by_flip,
                    }
                )
    return rows
