"""Which sequential rule a run that grows should use: alpha / 2^k for its k-th look, or an anytime-valid bound.

Prints the table of docs/design.md: how often each rule says "saves" at no effect (its error; one-sided 2.5 % is allowed)
and at two true effects, over looks at the sizes that people use. Values are invented cluster means with known spread.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
ALPHA = 0.05
TUNED_AT = 72
"""Clusters at which the confidence sequence is narrowest: the middle of the sizes looked at."""
SCHEDULES = {
    "36": (36,),
    "36, 60": (36, 60),
    "36, 72, 120": (36, 72, 120),
    "72, 120": (72, 120),
    "36, 48, ..., 120": tuple(range(36, 121, 12)),
    "every cluster from 36 to 120": tuple(range(36, 121)),
}
PICKED = "36, then the size that promises most, twice"
SIZES = (42, 48, 60, 72, 84, 96, 108, 120)


def halving(look: int, n: int) -> float:
    """Critical t of the k-th look at alpha / 2^k, two-sided."""
    return float(stats.t.isf(ALPHA / 2**look / 2, n - 1))


def sequence(look: int, n: int) -> float:
    """Boundary of Robbins' normal mixture, two-sided, valid at every n at once when the spread is known."""
    weight = -2 * np.log(ALPHA) + np.log(-2 * np.log(ALPHA) + 1)
    information = n * weight / TUNED_AT
    return float(np.sqrt((information + 1) / information * (np.log(information + 1) - 2 * np.log(ALPHA))))


def t_at(sums: Floats, squares: Floats, n: int) -> Floats:
    mean = sums[:, n - 1] / n
    spread = np.sqrt((squares[:, n - 1] / n - mean**2) * n / (n - 1))
    return np.asarray(mean / spread * np.sqrt(n))


def fixed(schedule: tuple[int, ...], rule: Callable[[int, int], float], sums: Floats, squares: Floats) -> float:
    said = np.zeros(len(sums), dtype=bool)
    for look, n in enumerate(schedule, start=1):
        said |= t_at(sums, squares, n) > rule(look, n)
    return float(said.mean())


def picked(rule: Callable[[int, int], float], sums: Floats, squares: Floats) -> float:
    """After the first look, twice the size at which the trend so far would most probably pass."""
    at = np.full(len(sums), 36)
    t = t_at(sums, squares, 36)
    said = t > rule(1, 36)
    for look in (2, 3):
        promise = np.full((len(SIZES), len(sums)), -np.inf)
        for place, n in enumerate(SIZES):
            later = n > at
            ahead = (rule(look, n) * np.sqrt(n) - t * np.sqrt(at) - t / np.sqrt(at) * (n - at)) / np.sqrt(
                np.maximum(n - at, 1)
            )
            promise[place, later] = -ahead[later]
        going = at < max(SIZES)
        chosen = np.array(SIZES)[promise.argmax(axis=0)]
        for n in SIZES:
            here = going & (chosen == n)
            t[here], at[here] = t_at(sums[here], squares[here], n), n
        said |= going & (t > np.array([rule(look, int(n)) for n in at]))
    return float(said.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=20_000)
    replicates = parser.parse_args().replicates
    print("| looks at (clusters) | rule | no effect | d_z 0.3 | d_z 0.4 |\n|---|---|---:|---:|---:|")
    draws = np.random.default_rng(14).normal(size=(replicates, 120))
    table: dict[tuple[str, str], list[float]] = {}
    for effect in (0.0, 0.3, 0.4):
        sums, squares = (np.cumsum(part, axis=1) for part in (draws + effect, (draws + effect) ** 2))
        for name, rule in (("α/2^k", halving), ("confidence sequence", sequence)):
            for label, schedule in SCHEDULES.items():
                table.setdefault((label, name), []).append(fixed(schedule, rule, sums, squares))
            table.setdefault((PICKED, name), []).append(picked(rule, sums, squares))
    for label in (*SCHEDULES, PICKED):
        for name in ("α/2^k", "confidence sequence"):
            print(f"| {label} | {name} | " + " | ".join(f"{100 * x:.1f} %" for x in table[label, name]) + " |")


if __name__ == "__main__":
    main()
