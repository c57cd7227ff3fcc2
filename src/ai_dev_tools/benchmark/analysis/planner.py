"""How many cases, repeats and models a wished minimal effect needs, and how long that takes on this machine.

From a pilot (any samples table) or from stated assumptions. Sizes follow the tests that will be made: the word "saves"
needs both the cost test and the quality gate, so the larger of the two counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special, stats

from ai_dev_tools.benchmark.analysis.claims import CONTROLS
from ai_dev_tools.benchmark.analysis.pairing import costs, pair_up
from ai_dev_tools.benchmark.analysis.pairs import Pairs
from ai_dev_tools.benchmark.analysis.power import clusters_needed, gate_clusters
from ai_dev_tools.benchmark.analysis.quality import estimate_differences
from ai_dev_tools.benchmark.analysis.sampletable import codes, levels, prepare, words
from ai_dev_tools.benchmark.analysis.validity import assess
from ai_dev_tools.benchmark.errors import ConfigurationError

Floats = NDArray[np.float64]
PLAN_COLUMNS = words(
    "model endpoint effect power alpha tests repeats sd sd_quality basis clusters_cost clusters_quality "
    "clusters samples_per_task requests hours hours_low hours_high note"
)
MODEL_COLUMNS = [
    "model",
    "samples",
    "intercept_s",
    "s_per_input_token",
    "s_per_output_token",
    "median_error",
    "total_error",
    "note",
]


@dataclass(frozen=True)
class Assumptions:
    """What is taken for granted where no pilot tells; argued in docs/statistics.md.

    Attributes:
        sd: standard deviation of log ratios between clusters.
        sd_quality: standard deviation of quality differences between clusters.
        sd_repeat: standard deviation of log ratios between repeats of a case.
        seconds: mean seconds of one request; NaN = unknown, and no duration is given.
        error: relative error of that guess.
    """

    sd: float = 0.40
    sd_quality: float = 0.25
    sd_repeat: float = 0.10
    seconds: float = float("nan")
    error: float = 1.0


@dataclass(frozen=True)
class DurationModel:
    """Seconds of a request = intercept + input tokens x a + output tokens x b, for each model; no part is negative.

    `table` has one row per model (and "(all)"): the coefficients, and by cross-validation over cases the median
    absolute relative error of one request and the absolute relative error of the total.
    """

    table: pd.DataFrame
    _coefficients: dict[str, Floats] = field(default_factory=dict)

    def predict(self, model: str, input_tokens: Any, output_tokens: Any) -> Floats:
        """Expected seconds of requests; a model that was never seen is predicted from all. NaN when nothing was."""
        c = self._coefficients.get(model, self._coefficients.get("(all)", np.full(3, np.nan)))
        read, written = np.asarray(input_tokens, dtype=np.float64), np.asarray(output_tokens, dtype=np.float64)
        return np.asarray(c[0] + c[1] * read + c[2] * written)

    def error(self, model: str) -> float:
        """Cross-validated relative error of a total; 1 (a factor of two) when it could not be measured."""
        rows = self.table[self.table["model"].isin([model, "(all)"])]["total_error"].dropna()
        return float(rows.iloc[0]) if len(rows) else 1.0


def fit_durations(samples: pd.DataFrame, folds: int = 5) -> DurationModel:
    """Fit the duration model on completed samples by non-negative least squares.

    Cross-validation leaves whole cases out, since the requests of one case resemble each other.
    """
    table = prepare(samples)
    needed = table[["duration_s", "input_tokens", "output_tokens"]].notna().all(axis=1)
    table = table[(table["status"] == "completed") & needed]
    rows, found = [], {}
    for model in [*levels(table["model"]), "(all)"]:
        part = table if model == "(all)" else table[table["model"] == model]
        y = part["duration_s"].to_numpy(dtype=np.float64)
        x = np.column_stack([np.ones(len(part)), part["input_tokens"], part["output_tokens"]]).astype(np.float64)
        row: dict[str, Any] = {"model": model, "samples": len(part), "note": ""}
        if len(part) < 3:
            row["note"] = "needs at least 3 completed samples"
            if len(part):
                found[model] = np.array([y.mean(), 0.0, 0.0])
        else:
            found[model] = optimize.nnls(x, y)[0]
            row |= dict(zip(("intercept_s", "s_per_input_token", "s_per_output_token"), found[model], strict=True))
            row |= _cross_validate(x, y, codes(part, ["task", "case"]), folds)
        rows.append(row)
    return DurationModel(pd.DataFrame(rows, columns=MODEL_COLUMNS), found)


def _cross_validate(x: Floats, y: Floats, case: NDArray[np.int64], folds: int) -> dict[str, Any]:
    fold = case % min(folds, int(case.max()) + 1)
    guess = np.full(len(y), np.nan)
    totals = []
    for k in range(int(fold.max()) + 1):
        out = fold == k
        if out.all() or (~out).sum() < 3:
            continue
        guess[out] = x[out] @ optimize.nnls(x[~out], y[~out])[0]
        totals.append(abs(float(guess[out].sum() / y[out].sum()) - 1))
    if not totals:
        return {"note": "error unknown: needs two cases"}
    known = np.isfinite(guess)
    return {
        "median_error": float(np.median(np.abs(guess[known] / y[known] - 1))),
        # the worst fold: a plan is longer than a fold, so this errs on the safe side
        "total_error": max(totals),
    }


def plan(
    samples: pd.DataFrame | None = None,
    *,
    effect: float = 0.80,
    margin_ratio: float = 0.95,
    approach: str | None = None,
    reference: str = "baseline",
    models: Sequence[str] | None = None,
    tasks: int | None = None,
    arms: int = 3,
    alpha: float = 0.05,
    power: float = 0.80,
    look: int = 1,
    quality_margin: float = 0.10,
    quality_alpha: float = 0.05,
    repeats: Sequence[int] = (1, 2, 3),
    assume: Assumptions | None = None,
) -> pd.DataFrame:
    """Sizes and durations for finding a true ratio of `effect` with `power`, for each model, endpoint and repeats.

    Args:
        samples: a pilot; None plans from `assume` alone.
        approach: the arm whose spread counts; by default the first one that is neither reference nor control.
        tasks: number of tasks the run will have; by default the pilot's.
        arms: arms per case, the floor included.
        look: which plan of these claims it will be; the test is at alpha / 2^look, Holm over models x endpoints.

    Returns:
        One row per model, endpoint and number of repeats: the spread used (for a pilot its upper 80 % limit), `basis`
        (pilot or assumed), clusters needed in all tasks together, samples per task, requests, hours with a range from
        the duration model's cross-validated error.

    Raises:
        ConfigurationError: an effect that the margin excludes, or numbers out of range.
    """
    if not 0 < effect < margin_ratio < 1:
        raise ConfigurationError(f"the effect {effect} must be a ratio below the margin {margin_ratio}")
    if not (0 < power < 1 and 0 < alpha < 0.5 and arms >= 2 and look >= 1 and all(r >= 1 for r in repeats)):
        raise ConfigurationError(
            "power and alpha must lie between 0 and 1, arms be 2 or more, look and repeats 1 or more"
        )
    guess = assume or Assumptions()
    table = costs(assess(samples)) if samples is not None and len(samples) else None
    durations = fit_durations(table) if table is not None else DurationModel(pd.DataFrame(columns=MODEL_COLUMNS))
    names = list(models) if models else (levels(table["model"]) if table is not None else ["any model"])
    count = tasks or (int(table["task"].nunique()) if table is not None else 6)
    level = alpha / 2**look / (2 * len(names))
    rows = []
    for model in names:
        for endpoint in ("tokens", "time"):
            spread = _spread(table, approach, reference, model, endpoint, guess)
            for r in repeats:
                rows.append(
                    _size(model, endpoint, r, spread, effect, margin_ratio, power, level, quality_margin, quality_alpha)
                )
                row = rows[-1]
                row |= {"tests": 2 * len(names), "alpha": level}
                if row["clusters"] is not None:
                    # at least two clusters per task, or a task has no spread of its own
                    per_task = max(2, int(np.ceil(row["clusters"] / count)))
                    row |= {"samples_per_task": per_task * r, "requests": per_task * r * count * arms}
                    row |= _hours(table, durations, model, row["requests"], guess)
    return pd.DataFrame(rows, columns=PLAN_COLUMNS)


def _size(
    model: str,
    endpoint: str,
    repeats: int,
    spread: dict[str, Any],
    effect: float,
    margin: float,
    power: float,
    level: float,
    quality_margin: float,
    quality_alpha: float,
) -> dict[str, Any]:
    # repeats average out only the part of the spread that lies within cases
    within = spread["sd_repeat"] ** 2
    sd = float(np.sqrt(max(spread["sd"] ** 2 + within * (1 / repeats - 1 / spread["repeats"]), 1e-12)))
    distance = float(np.log(margin) - np.log(effect))
    cost = clusters_needed(distance / sd, level / 2, power, two_sided=False)
    gate = gate_clusters(spread["sd_quality"], quality_margin, quality_alpha, power)
    both = None if cost is None or gate is None else max(cost, gate, 6)
    row: dict[str, Any] = {
        "model": model,
        "endpoint": endpoint,
        "effect": effect,
        "power": power,
        "repeats": repeats,
        "sd": sd,
    }
    row |= {"sd_quality": spread["sd_quality"], "basis": spread["basis"], "note": spread["note"]}
    return row | {"clusters_cost": cost, "clusters_quality": gate, "clusters": both}


def _spread(
    table: pd.DataFrame | None, approach: str | None, reference: str, model: str, endpoint: str, guess: Assumptions
) -> dict[str, Any]:
    """Standard deviations between clusters and between repeats, from the pilot where it can tell."""
    assumed: dict[str, Any] = {
        "sd": guess.sd,
        "sd_quality": guess.sd_quality,
        "sd_repeat": guess.sd_repeat,
        "repeats": 1.0,
    }
    assumed |= {"basis": "assumed", "note": ""}
    if table is None:
        return assumed
    arms = sorted(set(table["approach"].astype(str)) - CONTROLS - {reference})
    arm = approach or (arms[0] if arms else None)
    if arm is None:
        return assumed | {"note": "the pilot has no arm to compare"}
    pairs = Pairs(pair_up(table, arm, reference, [endpoint, "quality"]))
    pairs = pairs.part(pairs.have("model", model) & ~pairs["lost"] & ~pairs[f"void_{endpoint}"])
    known = pairs.part(np.isfinite(pairs[f"{endpoint}_low"]) & np.isfinite(pairs[f"{endpoint}_low_ref"]))
    y = np.log(known[f"{endpoint}_low"] / known[f"{endpoint}_low_ref"])
    e = known.nesting.estimate(y)
    if e.clusters < 3 or not e.se > 0:
        return assumed | {"note": f"the pilot has {e.clusters} clusters with known {endpoint}: too few, so assumed"}
    quality = estimate_differences(pairs)
    sd_quality = quality.spread if quality.clusters >= 3 and np.isfinite(quality.spread) else float("nan")
    found = {
        "sd": _upper(e.spread, e.df),
        "sd_quality": _upper(sd_quality, quality.df) if np.isfinite(sd_quality) else guess.sd_quality,
        "sd_repeat": _within(y, known["case_number"]),
        "repeats": e.pairs / e.cases,
        "basis": "pilot" if np.isfinite(sd_quality) else "pilot; quality assumed",
        "note": "",
    }
    if not np.isfinite(found["sd_repeat"]):
        found |= {"sd_repeat": 0.0, "note": "no repeats in the pilot: repeats are taken to help nothing"}
    return found


def _upper(sd: float, df: float, confidence: float = 0.80) -> float:
    """Upper confidence limit of a standard deviation, so that a lucky pilot does not make the study too small."""
    return float(sd * np.sqrt(df / special.chdtri(df, confidence))) if sd > 0 and df > 0 else sd


def _within(y: Floats, case: NDArray[np.int64]) -> float:
    """Standard deviation between repeats of a case, pooled; NaN without repeats."""
    counts = np.bincount(case)
    means = np.bincount(case, weights=y) / np.maximum(counts, 1)
    df = int((counts[counts > 0] - 1).sum())
    return float(np.sqrt(np.sum((y - means[case]) ** 2) / df)) if df > 0 else float("nan")


def _hours(
    table: pd.DataFrame | None, durations: DurationModel, model: str, requests: int, guess: Assumptions
) -> dict[str, float]:
    """Hours for a number of requests like the pilot's, one at a time, with the range that the error allows."""
    seconds, error = guess.seconds, guess.error
    if table is not None:
        rows = table[(table["status"] == "completed") & (table["model"] == model)]
        rows = rows if len(rows) else table[table["status"] == "completed"]
        per_request = durations.predict(model, rows["input_tokens"], rows["output_tokens"])
        if np.isfinite(per_request).any():
            seconds, error = float(np.nanmean(per_request)), durations.error(model)
    hours = requests * seconds / 3600
    return {"hours": hours, "hours_low": hours / (1 + error), "hours_high": hours * (1 + error)}


def power_curve(
    clusters: Sequence[int], sd: float, *, alpha: float = 0.025, margin_ratio: float = 0.95
) -> pd.DataFrame:
    """Power of the cost test against true ratios: clusters, ratio, power (t approximation, one-sided alpha/2)."""
    rows = [
        (n, ratio, float(1 - special.nctdtr(n - 1, shift, stats.t.isf(alpha / 2, n - 1))))
        for n in clusters
        if n >= 2
        for ratio in (0.5, 0.6, 0.7, 0.8, 0.85, 0.9)
        for shift in [(np.log(margin_ratio) - np.log(ratio)) / sd * np.sqrt(n)]
    ]
    return pd.DataFrame(rows, columns=["clusters", "ratio", "power"])
