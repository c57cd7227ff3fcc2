"""Simulated error rates of every decision in the protocol, on the functions that make the real ones.

What is judged is invented in `calibration_data` (single decisions) and `calibration_runs` (whole verdicts); here stand the
promises, and how often each is kept.

    python benchmarks/calibration.py --replicates 10000 --write docs/calibration.md

Numbers here are properties of the method on invented data; none of them is a result about a model or a tool.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

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
from calibration_runs import LOSSES_IN_ONE_TASK, POWERS, WORLDS, World, graded, plain, sized
from scipy import stats

from ai_dev_tools.benchmark.analysis.clusters import ClusterEstimate
from ai_dev_tools.benchmark.analysis.quality import gate_level, lower_bound, superiority_p
from ai_dev_tools.benchmark.analysis.statistics import (
    Inference,
    benjamini_hochberg,
    effect_size,
    holm,
    infer,
    quantile_interval,
    signed_rank_p,
    wilson,
)
from ai_dev_tools.benchmark.planning.planner import Assumptions, Target, plan, prospects

RESAMPLES = 999
WHOLE = 20
"""Whole verdicts are simulated this many times less often than single decisions."""
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
        rate = float(np.mean(signed_rank_p([draw(rng, 20) for _ in range(fewer)]) <= 0.05))
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


def wrong_words(replicates: int) -> Iterator[Rate]:
    """Whole runs in which "saves" is wrong: how often any model gets it, at any look."""
    runs = max(1, replicates // WHOLE)
    for world in WORLDS:
        rate, name = world.share_of_runs(runs), f"{world.name}; {_models(world)}"
        group = "whole runs in which any model wrongly gets 'saves'"
        yield Rate(group, name, world.clusters, rate, 0.05, False, world.promised, runs)


def right_words(replicates: int) -> Iterator[Rate]:
    """Whole runs with a true saving of 40 % and equal quality: of how many claims "saves" is said."""
    runs = max(1, replicates // WHOLE)
    for world in POWERS:
        rate, name = world.share_of_claims(runs), f"{world.name}; {_models(world)}"
        yield Rate(
            "'saves' at a true saving of 40 % and equal quality", name, world.clusters, rate, 0.0, True, False, runs
        )
    for models in (1, 4):
        names, assume = [f"m{k}" for k in range(models)], Assumptions(sd=0.4, sd_quality=0.25)
        goal = Target(tests=models)
        need = plan(None, goal, models=names, assume=assume, repeats=(1,)).iloc[0]["clusters"]
        sizes = (int(np.ceil(need / 6)),) * 6
        told = float(prospects(sum(sizes), None, goal, models=names, assume=assume).iloc[0]["power"])
        # the planner speaks of geometric means, whatever their scatter does to the mean ratio
        make = plain(graded(0.25), ratio=0.8 * float(np.exp(0.08)), spread=0.4)
        world = World(f"planned for 80 %, told {100 * told:.0f} %; {sized(sizes)}", make, (sizes,), models)
        rate, name = world.share_of_claims(runs), f"{world.name}; {_models(world)}"
        yield Rate("'saves' at the planner's own size", name, sum(sizes), rate, told - 0.05, True, True, runs)


def single_tasks(replicates: int) -> Iterator[Rate]:
    """How often one task vetoes: an equal tool, which it should not, and a loss in one task of six."""
    runs = max(1, replicates // WHOLE)
    for world in LOSSES_IN_ONE_TASK:
        equal = "loss 0 " in world.name
        name = f"{world.name.replace('loss 0 in one task', 'equal tool')}; {_models(world)}"
        group = "a single task vetoes"
        yield Rate(group, name, world.clusters, world.share_vetoed(runs), 0.05, False, equal, runs)


def _models(world: World) -> str:
    return f"{world.models} models" if world.models > 1 else "1 model"


GROUPS = (
    wrong_words,
    right_words,
    single_tasks,
    intervals,
    designs,
    near_one,
    gate,
    floor,
    families,
    censoring,
    failures,
    descriptive,
)


def run(replicates: int, processes: int = 1) -> tuple[list[Rate], list[dict[str, float | str]]]:
    """All rates and the power table; every cell has its own seed, so the number of processes changes nothing."""
    with ProcessPoolExecutor(processes) as pool:
        powers = pool.submit(power, max(1, replicates // 5))
        rates = [pool.submit(_rates_of, number, replicates) for number in range(len(GROUPS))]
        return [rate for group in rates for rate in group.result()], powers.result()


def _rates_of(group: int, replicates: int) -> list[Rate]:
    return list(GROUPS[group](replicates))


def as_markdown(rates: list[Rate], powers: list[dict[str, float | str]]) -> str:
    """The tables for the documentation."""
    promised = sum(rate.promised for rate in rates)
    most = max(r.replicates for r in rates)
    lines = [
        f"{len(rates)} cells, {promised} of them promised; {most:,} replicates of single decisions, {most // WHOLE:,} of "
        "whole runs. ± is the Monte-Carlo standard error; n counts clusters."
    ]
    for group in dict.fromkeys(rate.group for rate in rates):
        lines += [
            "",
            f"## {group[0].upper()}{group[1:]}",
            "",
            "| cell | n | rate ± error | promised |",
            "|---|---:|---:|---|",
        ]
        for rate in rates:
            if rate.group == group:
                promise = f"{'≥' if rate.at_least else '≤'} {100 * rate.limit:g} %" if rate.promised else "no promise"
                lines.append(
                    f"| {rate.cell} | {rate.n} | {100 * rate.rate:.2f} ± {100 * rate.error:.2f} % | {promise} |"
                )
    lines += [
        "",
        "## Power beside the alternatives",
        "",
        "| " + " | ".join(powers[0]) + " |",
        "|---" + "|---:" * (len(powers[0]) - 1) + "|",
    ]
    for row in powers:
        shown = [
            f"{100 * v:.1f} %" if k not in ("n", "true d_z") and isinstance(v, float) else str(v)
            for k, v in row.items()
        ]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main() -> int:
    """Run, print, and optionally write the tables between the markers of a document; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", type=Path, help="Markdown file with calibration markers")
    parser.add_argument("--json", type=Path, help="write the rates as JSON")
    parser.add_argument("--read", type=Path, help="take the rates from such a file instead of simulating")
    options = parser.parse_args()
    start = time.perf_counter()
    if options.read:
        stored = json.loads(options.read.read_text(encoding="utf-8"))
        rates, powers = [Rate(**rate) for rate in stored["rates"]], stored["power"]
    else:
        rates, powers = run(options.replicates, options.processes)
    text = as_markdown(rates, powers)
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        block = f"<!-- calibration -->\n\n{text}\n\n<!-- /calibration -->"
        options.write.write_text(
            re.sub(r"<!-- calibration -->.*<!-- /calibration -->", lambda _: block, page, flags=re.S), encoding="utf-8"
        )
    if options.json:
        options.json.write_text(
            json.dumps({"rates": [asdict(r) for r in rates], "power": powers}, indent=1) + "\n", encoding="utf-8"
        )
    print(text)
    promised = sum(rate.promised for rate in rates)
    broken = [rate for rate in rates if rate.broken(promised)]
    print(f"\n{time.perf_counter() - start:.0f} s; broken promises: {len(broken)}")
    for rate in broken:
        print("  ", rate)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
