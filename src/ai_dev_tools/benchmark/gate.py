"""The regression gate: did a declared metric get worse than a stored run, beyond its bound and beyond chance?

Cases are paired between the runs and averaged within clusters, each metric is tested one-sided *against its
bound* (not against zero), and Holm's correction covers all metrics and models, so that a run that is no worse
than the bounds fails with a probability of at most alpha. Time is judged relative to the reference arm of the
same run: two runs are two days, or two machines, and what they differ in divides out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pandas as pd

from ai_dev_tools.benchmark.analysis.clusters import cluster_estimate
from ai_dev_tools.benchmark.analysis.comparison import DESCRIPTIVE_BELOW
from ai_dev_tools.benchmark.analysis.pairing import costs, pair_up
from ai_dev_tools.benchmark.analysis.statistics import (
    RESAMPLES,
    Inference,
    holm,
    infer,
)
from ai_dev_tools.benchmark.analysis.validity import assess
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.overview import together
from ai_dev_tools.benchmark.report.text import is_missing, xml_text
from ai_dev_tools.benchmark.runs import Run
from ai_dev_tools.benchmark.validation import nearest

NOW, BEFORE = "now", "before"
COLUMNS = [
    "metric", "model", "approach", "verdict", "value", "low", "high", "bound", "p", "p_adjusted", "alpha",
    "pairs", "clusters", "note",
]  # fmt: skip
KEY = ["model", "task", "case", "repeat"]


@dataclass(frozen=True)
class Metric:
    """A metric that can be declared.

    Attributes:
        bound: how much worse it may be by default: a ratio (tokens, time) or a difference (quality, failures).
        worse: the direction that is worse.
    """

    bound: float
    worse: Literal["higher", "lower"]
    ratio: bool
    meaning: str


METRICS: dict[str, Metric] = {
    "tokens": Metric(1.05, "higher", True, "tokens of the arm, now / before"),
    "time": Metric(1.10, "higher", True, "time of the arm relative to the reference arm, now / before"),
    "quality": Metric(-0.05, "lower", False, "score of the arm, now - before"),
    "failures": Metric(0.05, "higher", False, "share of requests without a complete answer, now - before"),
}
DEFAULT_METRICS = ("tokens", "quality", "failures")


def parse_metrics(declared: Sequence[str]) -> dict[str, float]:
    """Bounds by metric from `tokens`, `tokens=1.10`; the default ones from an empty list.

    Raises:
        ConfigurationError: an unknown metric, or a bound that bounds nothing.
    """
    found: dict[str, float] = {}
    for item in declared or DEFAULT_METRICS:
        name, separator, text = item.partition("=")
        if name not in METRICS:
            raise ConfigurationError(f"unknown metric '{name}' for the gate, {nearest(name, METRICS)}")
        metric = METRICS[name]
        try:
            bound = float(text) if separator else metric.bound
        except ValueError:
            raise ConfigurationError(f"--metric {item}: '{text}' is no number") from None
        if metric.ratio and not 1 <= bound < 100:
            raise ConfigurationError(f"--metric {item}: the bound is a ratio of at least 1, for example {name}=1.05")
        if not metric.ratio and not 0 <= abs(bound) < 1:
            raise ConfigurationError(f"--metric {item}: the bound is a difference below 1, for example {name}=0.05")
        found[name] = bound if metric.ratio else -abs(bound) if metric.worse == "lower" else abs(bound)
    return found


def judge_gate(
    now: Run,
    before: Run,
    bounds: dict[str, float],
    approach: str = "tools",
    reference: str = "baseline",
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """One row per metric and model.

    Args:
        bounds: by metric, see `parse_metrics`.
        approach: the arm that is judged; `reference` is what its time is relative to.
        alpha: family-wise error rate over all rows.

    Returns:
        metric, model, approach, verdict (worse, ok, undecided), value with 95 % interval, bound, p,
        Holm-adjusted p, pairs, clusters, note. Ratios and differences are now against before.

    Raises:
        ConfigurationError: an arm that is needed was not asked in both runs, or the runs share no case or model.
    """
    samples = together([Run(BEFORE, before.samples), Run(NOW, now.samples)])
    for run in (before, now):
        arms = set(run.samples["approach"].astype(str))
        for name in (approach, reference) if "time" in bounds else (approach,):
            if name not in arms:
                raise ConfigurationError(f"run '{run.name}' has no approach '{name}', {nearest(name, arms)}")
    names = [name for name in ("tokens", "time", "quality") if name in bounds]
    table = costs(assess(samples))
    pairs = pair_up(table, NOW, BEFORE, names, "run", columns=["status"])
    arm, plain = (pairs[(pairs["approach"] == name).to_numpy()] for name in (approach, reference))
    if arm.empty:
        raise ConfigurationError(
            f"runs '{now.name}' and '{before.name}' share no case of '{approach}' on the same model",
            remedy="Compare runs of the same tasks and models",
        )
    rows = [
        _row(name, bound, str(model), approach, arm[_is(arm, model)], plain[_is(plain, model)], resamples)
        for model in sorted(set(arm["model"].astype(str)))
        for name, bound in bounds.items()
    ]
    result = pd.DataFrame(rows, columns=COLUMNS)
    result["p_adjusted"] = holm([1.0 if np.isnan(p) else p for p in result["p"]])
    result["alpha"] = alpha
    beyond = (result["p_adjusted"] <= alpha) & (result["verdict"] == "")
    result["verdict"] = np.where(result["verdict"] != "", result["verdict"], np.where(beyond, "worse", "ok"))
    return result


def _is(pairs: pd.DataFrame, model: str) -> Any:
    return (pairs["model"].astype(str) == model).to_numpy()


def _row(
    name: str, bound: float, model: str, approach: str, arm: pd.DataFrame, plain: pd.DataFrame, resamples: int
) -> dict[str, Any]:
    """One metric on one model; verdict "" where the p-value decides."""
    metric = METRICS[name]
    row: dict[str, Any] = {"metric": name, "model": model, "approach": approach, "bound": bound, "p": float("nan")}
    row |= {"value": float("nan"), "low": float("nan"), "high": float("nan"), "pairs": 0, "clusters": 0, "note": ""}
    found = _inference(name, arm, plain, resamples)
    if found is None:
        return row | {"verdict": "undecided", "note": f"{name} is not known in both runs"}
    e, limit = found.source, float(np.log(bound)) if metric.ratio else bound
    scale = np.exp if metric.ratio else float
    low, high = found.bound("low", 0.025), found.bound("high", 0.025)
    row |= {"value": float(scale(e.estimate)), "low": float(scale(low)), "high": float(scale(high))}
    row |= {"pairs": e.pairs, "clusters": e.clusters}
    if e.clusters < DESCRIPTIVE_BELOW:
        return row | {"verdict": "undecided", "note": f"only {e.clusters} clusters: too few to generalise"}
    if not found.usable:
        # every cluster moved by the same amount: the exact sign test
        beyond = e.estimate > limit if metric.worse == "higher" else e.estimate < limit
        return row | {"verdict": "", "p": 0.5**e.clusters if beyond else 1.0, "note": "all clusters moved alike"}
    p = found.p_above(limit) if metric.worse == "higher" else found.p_below(limit)
    return row | {"verdict": "", "p": p}


def _inference(name: str, arm: pd.DataFrame, plain: pd.DataFrame, resamples: int) -> Inference | None:
    if name == "failures":
        gap = [(arm[c].astype(str) != "completed").to_numpy(dtype=float) for c in ("status", "status_ref")]
        return _on_clusters(arm, gap[0] - gap[1], resamples)
    usable = _usable(arm, name)
    if name == "time":
        others = _usable(plain, name)[[*KEY, "time_low", "time_low_ref"]]
        usable = usable.merge(others, on=KEY, suffixes=("", "_plain"))
    with np.errstate(divide="ignore", invalid="ignore"):
        if METRICS[name].ratio:
            values = _log_ratio(usable, f"{name}_low", f"{name}_low_ref")
        else:
            values = (usable[f"{name}_low"] - usable[f"{name}_low_ref"]).to_numpy(dtype=float)
        if name == "time":
            values = values - _log_ratio(usable, "time_low_plain", "time_low_ref_plain")
    known = np.isfinite(values)
    return _on_clusters(usable[known], values[known], resamples)


def _usable(pairs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Pairs that no broken connection and no validity check takes out."""
    void = pairs[f"void_{name}"].to_numpy(dtype=bool)
    kept: pd.DataFrame = pairs[(pairs["dropped"].astype(str) == "").to_numpy() & ~void]
    return kept


def _log_ratio(pairs: pd.DataFrame, above: str, below: str) -> Any:
    return np.log((pairs[above] / pairs[below]).to_numpy(dtype=float))


def _on_clusters(pairs: pd.DataFrame, values: Any, resamples: int) -> Inference | None:
    if not len(values):
        return None
    labels = [pairs[label].to_numpy() for label in ("unit", "task_number", "case_number")]
    return infer(cluster_estimate(np.asarray(values, dtype=float), *labels), resamples)


def junit(table: pd.DataFrame) -> str:
    """The gate as JUnit XML: worse is a failure, undecided is skipped."""
    cases = []
    for row in table.to_dict("records"):
        said = xml_text(_sentence(row))
        inner = {
            "worse": f"<failure message={quoteattr(said)}>{escape(said)}</failure>",
            "undecided": f"<skipped message={quoteattr(said)}/>",
        }
        name = quoteattr(xml_text(f"{row['metric']} on {row['model']}"))
        cases.append(f'  <testcase classname="gate" name={name}>{inner.get(row["verdict"], "")}</testcase>')
    counts = table["verdict"].value_counts()
    head = f'tests="{len(table)}" failures="{counts.get("worse", 0)}" skipped="{counts.get("undecided", 0)}"'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuite name="gate" {head}>', *cases, "</testsuite>"]
    return "\n".join(lines) + "\n"


def _sentence(row: Mapping[Any, Any]) -> str:
    meaning = METRICS[row["metric"]].meaning
    if is_missing(row["value"]):
        return f"{meaning}: {row['note']}, bound {row['bound']:g}."
    ends = "no interval" if is_missing(row["low"]) else f"95 % {row['low']:.4g} to {row['high']:.4g}"
    found = f"{row['value']:.4g} ({ends}), bound {row['bound']:g}, adjusted p {row['p_adjusted']:.3g}"
    return f"{meaning}: {found}. {row['note']}".strip()
