"""Simulated error rates of every decision in the protocol, on the functions that make the real ones.

    python benchmarks/calibration.py --replicates 10000 --write docs/statistics.md

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
from numpy.typing import NDArray
from scipy import stats

from ai_dev_tools.benchmark.analysis.clusters import cluster_estimate
from ai_dev_tools.benchmark.analysis.quality import lower_bound, superiority_p
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

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]
RESAMPLES = 999
LOG_MARGIN = float(np.log(0.95))
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


def _ties(rng: np.random.Generator, n: int) -> Floats:
    return np.where(rng.random(n) < 0.75, 0.0, 2.0 * rng.standard_normal(n))


DRAWS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "t3": lambda rng, n: rng.standard_t(3, n) / np.sqrt(3),
    "75 % ties": _ties,
    "lognormal, right": lambda rng, n: np.exp(rng.standard_normal(n)) - np.exp(0.5),
    "lognormal, left": lambda rng, n: np.exp(0.5) - np.exp(rng.standard_normal(n)),
}


def _rng(*key: object) -> np.random.Generator:
    return np.random.default_rng([ord(c) for c in "|".join(map(str, key))])


def _misses(
    make: Callable[[np.random.Generator], Inference], truth: float, replicates: int, *key: object
) -> tuple[float, float]:
    """How often the true value lies below and above the 95 % interval."""
    rng = _rng(*key)
    below = above = 0
    for _ in range(replicates):
        inference = make(rng)
        if not inference.usable:
            continue
        below += inference.p_above(truth) <= 0.025
        above += inference.p_below(truth) <= 0.025
    return below / replicates, above / replicates


def intervals(replicates: int) -> Iterator[Rate]:
    """Coverage of the 95 % interval and error of a word at the margin, cluster means drawn directly."""
    for name, draw in DRAWS.items():
        skew = name.startswith("lognormal")
        for n in (6, 12, 20, 24, 60):
            low, high = _misses(
                lambda rng, draw=draw, n=n: infer(cluster_estimate(draw(rng, n), np.arange(n)), RESAMPLES),
                0.0,
                replicates,
                "i",
                name,
                n,
            )
            yield Rate(
                "coverage of the 95 % interval",
                name,
                n,
                1 - low - high,
                0.90 if skew else 0.93,
                True,
                n >= 20,
                replicates,
            )
            holds = not skew and n >= 12
            yield Rate("two-sided p <= 0.05 at no difference", name, n, low + high, 0.05, False, holds, replicates)
            yield Rate(WORD, name, n, max(low, high), 0.05, False, holds, replicates)


def designs(replicates: int) -> Iterator[Rate]:
    """The same with tasks, unequal numbers of cases and repeats, and strong case, cluster and task effects."""

    def nested(rng: np.random.Generator, sizes: tuple[int, ...], heavy: bool, uneven: bool) -> Inference:
        task = np.repeat(np.arange(len(sizes)), sizes)
        clusters = len(task)
        cases = rng.integers(1, 7, clusters)
        cluster_of_case = np.repeat(np.arange(clusters), cases)
        repeats = rng.integers(1, 4, len(cluster_of_case))
        row = np.repeat(np.arange(len(cluster_of_case)), repeats)
        draw = DRAWS["t3"] if heavy else DRAWS["normal"]
        spread = (1 + 3 * (task == 0)) if uneven else np.ones(clusters)
        y = (5.0 * (task - task.mean() * 0))[cluster_of_case[row]] + (spread * draw(rng, clusters))[
            cluster_of_case[row]
        ]
        y = y + 0.7 * draw(rng, len(cluster_of_case))[row] + 0.5 * draw(rng, len(row))
        return infer(cluster_estimate(y, cluster_of_case[row], task[cluster_of_case[row]], row), RESAMPLES)

    for name, sizes, heavy, uneven in (
        ("1 task, unequal cases and repeats", (24,), False, False),
        ("6 tasks x 3 clusters", (3,) * 6, False, False),
        ("6 tasks x 4 clusters, t3", (4,) * 6, True, False),
        ("6 tasks x 12 clusters, t3", (12,) * 6, True, False),
        ("3 tasks of 3, 6, 20 clusters", (3, 6, 20), False, False),
        ("4 tasks x 6, one four times as variable", (6,) * 4, False, True),
        ("6 tasks x 3, one four times as variable", (3,) * 6, False, True),
    ):
        truth = 5.0 * float(np.mean(np.arange(len(sizes))))
        low, high = _misses(
            lambda rng, design=(sizes, heavy, uneven): nested(rng, *design), truth, replicates, "d", name
        )
        yield Rate(WORD, name, sum(sizes), max(low, high), 0.05, False, True, replicates)
        yield Rate(
            "coverage of the 95 % interval", name, sum(sizes), 1 - low - high, 0.93, True, sum(sizes) >= 20, replicates
        )

    def shared(rng: np.random.Generator) -> Inference:
        base = rng.standard_normal(12)
        y = np.concatenate([base[:12], base[:8], base[4:]]) + 0.5 * rng.standard_normal(28)
        cluster = np.concatenate([np.arange(12), np.arange(8), np.arange(4, 12)])
        return infer(cluster_estimate(y, cluster, np.repeat([0, 1, 2], [12, 8, 8])), RESAMPLES)

    low, high = _misses(shared, 0.0, replicates, "shared")
    yield Rate(WORD, "3 tasks that share 12 clusters", 12, max(low, high), 0.05, False, True, replicates)

    def models(rng: np.random.Generator) -> Inference:
        # four models far apart, asked the same two cases of each cluster: the margin over models of these models
        cluster, model, _ = (part.ravel() for part in np.indices((12, 4, 2)))
        level = DRAWS["t3"](rng, 12)[cluster] + 0.7 * rng.standard_normal((12, 4))[cluster, model]
        y = np.array([-3.0, -1.0, 0.0, 4.0])[model] + level + 0.5 * rng.standard_normal(len(cluster))
        return infer(cluster_estimate(y, cluster), RESAMPLES)

    low, high = _misses(models, 0.0, replicates, "models")
    yield Rate(WORD, "4 models far apart, 12 shared clusters, t3", 12, max(low, high), 0.05, False, True, replicates)


def near_one(replicates: int) -> Iterator[Rate]:
    """'Saves' at a true ratio of 1.01, standard deviation 0.3."""
    for name, draw in DRAWS.items():
        scale = 0.3 / (np.sqrt((np.e - 1) * np.e) if name.startswith("lognormal") else 1.0)
        for n in (12, 24):
            rng, hits = _rng("near", name, n), 0
            for _ in range(replicates):
                y = np.log(1.01) + scale * draw(rng, n)
                hits += infer(cluster_estimate(y, np.arange(n)), RESAMPLES).p_below(LOG_MARGIN) <= 0.025
            limit = 0.04 if name.startswith("lognormal") else 0.005
            yield Rate("'saves' at a true ratio of 1.01", name, n, hits / replicates, limit, False, True, replicates)


def _passes(y: Floats, margin: float = 0.10) -> bool:
    return lower_bound(cluster_estimate(y, np.arange(len(y))), 0.05) > -margin


def gate(replicates: int) -> Iterator[Rate]:
    """The quality gate at a true loss of exactly the margin, and how often it passes an equal tool."""
    losses: dict[str, Draw] = {
        "rare total loss (-1 or 0)": lambda rng, n: -(rng.random(n) < 0.1).astype(float),
        "total losses and gains": lambda rng, n: rng.choice([-1.0, 1.0, 0.0], n, p=[0.2, 0.1, 0.7]),
        "graded, sd 0.2": lambda rng, n: -0.1 + 0.2 * rng.standard_normal(n),
        "rare total loss, small gains": lambda rng, n: rng.choice([-1.0, 0.1, 0.0], n, p=[0.15, 0.5, 0.35]),
    }
    for name, draw in losses.items():
        for n in (12, 18, 27, 45, 72, 150):
            rng = _rng("gate", name, n)
            rate = sum(_passes(draw(rng, n)) for _ in range(replicates)) / replicates
            yield Rate("gate passes a true loss of the margin", name, n, rate, 0.05, False, True, replicates)
    for n in (18, 24, 36, 48, 72):
        rng = _rng("equal", n)
        rate = sum(_passes(0.2 * rng.standard_normal(n)) for _ in range(replicates)) / replicates
        yield Rate("gate passes an equal tool (power)", "graded, sd 0.2", n, rate, 0.0, True, False, replicates)


def floor(replicates: int) -> Iterator[Rate]:
    """An arm that says nothing scores as `no_context` does: how often gate and floor tests let it through."""
    for name, draw in DRAWS.items():
        for n in (6, 12, 24, 72):
            rng = _rng("superiority", name, n)
            rate = sum(superiority_p(cluster_estimate(draw(rng, n), np.arange(n))) <= 0.05 for _ in range(replicates))
            holds = not name.startswith("lognormal") and n >= 12
            yield Rate(
                "floor test p <= 0.05 at no advantage", name, n, rate / replicates, 0.05, False, holds, replicates
            )
    for n in (24, 72, 200):
        for advantage in (0.0, 0.05, 0.1, 0.2):
            rng, both, design = _rng("floor", n, advantage), 0, 0
            for _ in range(replicates):
                level = np.clip(0.4 + 0.2 * rng.standard_normal(n), 0, 1)
                base, nothing, tool = (
                    np.clip(level + a + 0.15 * rng.standard_normal(n), 0, 1) for a in (advantage, 0.0, 0.0)
                )
                if not _passes(tool - base):
                    continue
                beats = superiority_p(cluster_estimate(base - nothing, np.arange(n))) <= 0.05
                design += beats
                both += beats and superiority_p(cluster_estimate(tool - nothing, np.arange(n))) <= 0.05
            cell = f"baseline {advantage:.2f} above guessing"
            yield Rate(
                "information-free arm passes the gate", cell, n, both / replicates, 0.05, False, True, replicates
            )
            yield Rate(
                "same, without the approach's own floor test",
                cell,
                n,
                design / replicates,
                0.05,
                False,
                False,
                replicates,
            )


def families(replicates: int) -> Iterator[Rate]:
    """Holm over eight correlated tests; optional stopping with alpha / 2^k; Benjamini-Hochberg."""
    n, tests = 18, 8
    rng, wrong, uncorrected, discoveries = _rng("families"), 0, 0, 0.0
    for _ in range(replicates):
        common = DRAWS["t3"](rng, n)
        p = []
        for _ in range(tests):
            e = infer(cluster_estimate(0.6 * common + 0.8 * DRAWS["t3"](rng, n), np.arange(n)), RESAMPLES)
            p.append(min(1.0, 2 * min(e.p_below(0.0), e.p_above(0.0))))
        wrong += bool((holm(p) <= 0.05).any())
        uncorrected += min(p) <= 0.05
        discoveries += bool((benjamini_hochberg(p) <= 0.05).any())
    yield Rate(
        "any word in a family of 8 (Holm)", "correlated, t3", n, wrong / replicates, 0.05, False, True, replicates
    )
    yield Rate(
        "any discovery in a family of 8 (Benjamini-Hochberg)",
        "correlated, t3",
        n,
        discoveries / replicates,
        0.05,
        False,
        True,
        replicates,
    )
    yield Rate(
        "any of 8 without adjustment", "correlated, t3", n, uncorrected / replicates, 0.05, False, False, replicates
    )
    looks = (6, 8, 12, 20, 32)
    for name in ("normal", "75 % ties"):
        rng, spent, naive = _rng("looks", name), 0, 0
        for _ in range(replicates):
            y = DRAWS[name](rng, looks[-1])
            p = []
            for n in looks:
                e = infer(cluster_estimate(y[:n], np.arange(n)), RESAMPLES)
                p.append(min(1.0, 2 * min(e.p_below(0.0), e.p_above(0.0))) if e.usable else 1.0)
            spent += any(value <= 0.05 / 2**k for k, value in enumerate(p, start=1))
            naive += min(p) <= 0.05
        cell = f"{name}, looks at n = {', '.join(map(str, looks))}"
        yield Rate("optional stopping, alpha / 2^k", cell, looks[-1], spent / replicates, 0.05, False, True, replicates)
        yield Rate(
            "optional stopping, no spending", cell, looks[-1], naive / replicates, 0.05, False, False, replicates
        )


def censoring(replicates: int) -> Iterator[Rate]:
    """Long requests are cut off: bounded as intervals, or the pair dropped. The tools arm is truly no faster."""
    for limit in (0.5, 1.5):
        rng, bounded, dropped, n = _rng("censoring", limit), 0, 0, 24
        for _ in range(replicates):
            level = 0.6 * rng.standard_normal(n)
            tools = np.exp(level + 0.5 * rng.standard_normal(n))
            base = np.exp(level + 0.2 * rng.standard_normal(n) - LOG_MARGIN)
            cut_tools, cut_base = tools > np.exp(limit), base > np.exp(limit)
            high = np.where(cut_tools, np.maximum(tools, np.exp(limit)) * 3, tools)
            low = np.where(cut_base, np.exp(limit), base)
            bounded += infer(cluster_estimate(np.log(high / low), np.arange(n)), RESAMPLES).p_below(LOG_MARGIN) <= 0.025
            keep = ~(cut_tools | cut_base)
            e = infer(cluster_estimate(np.log(tools / base)[keep], np.arange(keep.sum())), RESAMPLES)
            dropped += e.usable and e.p_below(LOG_MARGIN) <= 0.025
        cell = f"cut off at {np.exp(limit):.1f} x the median"
        yield Rate(
            "'saves' with cut-off requests, bounded", cell, n, bounded / replicates, 0.05, False, True, replicates
        )
        yield Rate(
            "'saves' with cut-off requests, dropped", cell, n, dropped / replicates, 0.05, False, False, replicates
        )


def failures(replicates: int) -> Iterator[Rate]:
    """A tool that crashes in a fifth of cases costs its time and the fallback; the ratio with that is the truth."""
    n, crash, tool = 24, 0.2, 0.3
    rng = _rng("failures truth")
    size = 400_000
    level = np.exp(0.3 * rng.standard_normal(size))
    works = np.log((0.8 * level * np.exp(0.3 * rng.standard_normal(size)) + tool) / level)
    truth = (1 - crash) * works.mean() + crash * np.log((level + tool) / level).mean()

    def draw(rng: np.random.Generator) -> Inference:
        base = np.exp(0.3 * rng.standard_normal(n))
        own = np.where(rng.random(n) < crash, base, 0.8 * base * np.exp(0.3 * rng.standard_normal(n))) + tool
        return infer(cluster_estimate(np.log(own / base), np.arange(n)), RESAMPLES)

    low, high = _misses(draw, truth, replicates, "failures")
    yield Rate(WORD, "tool crashes in 20 % of cases", n, max(low, high), 0.05, False, True, replicates)


def descriptive(replicates: int) -> Iterator[Rate]:
    """Intervals of the metrics table, and p-values that are shown for sensitivity only."""
    for n, share in ((18, 0.9), (100, 0.98)):
        rng = _rng("wilson", n)
        counts = rng.binomial(n, share, replicates)
        ends = {int(k): wilson(int(k), n) for k in np.unique(counts)}
        rate = float(np.mean([ends[int(k)][0] <= share <= ends[int(k)][1] for k in counts]))
        yield Rate("coverage of Wilson's interval", f"true share {share}", n, rate, 0.93, True, False, replicates)
    for n, q in ((50, 0.5), (100, 0.9)):
        rng, hits = _rng("quantile", n), 0
        truth = float(stats.lognorm.ppf(q, 1.0))
        for _ in range(replicates):
            low, high = quantile_interval(np.sort(np.exp(rng.standard_normal(n))), q)
            hits += not (low > truth or high < truth)
        yield Rate(
            "coverage of percentile intervals",
            f"p{100 * q:.0f}, lognormal",
            n,
            hits / replicates,
            0.95,
            True,
            True,
            replicates,
        )
    rng, hits, n = _rng("d_z"), 0, 20
    for _ in range(replicates // 5):
        _, low, high = effect_size(cluster_estimate(0.5 + rng.standard_normal(n), np.arange(n)))
        hits += low <= 0.5 <= high
    yield Rate(
        "coverage of the interval of d_z",
        "normal, d_z = 0.5",
        n,
        hits / (replicates // 5),
        0.95,
        True,
        True,
        replicates // 5,
    )
    for name, draw in DRAWS.items():
        rng = _rng("rank", name)
        rate = float(np.mean(signed_rank_p([draw(rng, 20) for _ in range(replicates // 5)]) <= 0.05))
        symmetric = not name.startswith("lognormal")
        yield Rate("signed-rank p <= 0.05 at equal means", name, 20, rate, 0.05, False, symmetric, replicates // 5)


def power(replicates: int) -> list[dict[str, float | str]]:
    """Share of replicates in which each method finds a true d_z beyond the margin (one-sided 2.5 %)."""
    rows: list[dict[str, float | str]] = []
    for name in ("normal", "t3", "lognormal, right"):
        scale = np.sqrt((np.e - 1) * np.e) if name.startswith("lognormal") else 1.0
        for n in (12, 24):
            for effect in (0.0, 0.3, 0.6, 0.9, 1.2):
                rng = _rng("power", name, n, effect)
                found = np.zeros(4)
                index = rng.integers(0, n, (RESAMPLES, n))
                signs = rng.choice([-1.0, 1.0], (RESAMPLES, n))
                for _ in range(replicates):
                    y = DRAWS[name](rng, n) / scale - effect
                    e = cluster_estimate(y, np.arange(n))
                    t = stats.t.cdf(e.estimate / e.se, e.df)
                    percentile = np.mean(y[index].mean(axis=1) >= 0)
                    flip = (1 + np.sum((signs * y).mean(axis=1) <= y.mean())) / (RESAMPLES + 1)
                    found += [infer(e, RESAMPLES).p_below(0.0) <= 0.025, t <= 0.025, percentile <= 0.025, flip <= 0.025]
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


GROUPS = (intervals, designs, near_one, gate, floor, families, censoring, failures, descriptive)


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
    lines = [f"{len(rates)} cells, {promised} of them promised; {max(r.replicates for r in rates):,} replicates each."]
    for group in dict.fromkeys(rate.group for rate in rates):
        lines += ["", f"### {group[0].upper()}{group[1:]}", "", "| cell | n | rate | promised |", "|---|---:|---:|---|"]
        for rate in rates:
            if rate.group == group:
                promise = f"{'≥' if rate.at_least else '≤'} {100 * rate.limit:g} %" if rate.promised else "no promise"
                lines.append(f"| {rate.cell} | {rate.n} | {100 * rate.rate:.2f} % | {promise} |")
    lines += [
        "",
        "### Power beside the alternatives",
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
