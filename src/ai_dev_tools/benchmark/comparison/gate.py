"""The regression gate: did a metric get worse than in a stored run?

Worse means beyond its bound and beyond chance.

Cases are paired between the runs and averaged within clusters, each metric is tested one-sided *against its
bound* (not against zero), and Holm's correction covers all metrics and models, so that a run that is not worse
than the bounds fails with a probability of at most alpha. "ok" is only said where the pairs can be
trusted, and a metric is shown to lie within its bound or a change of twice the bound would have been found. Time is
judged relative to the reference arm of the same run: two runs are two days, or two machines, and what they differ in
divides out.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ai_dev_tools.benchmark._util.junit import TestCase, document
from ai_dev_tools.benchmark._util.text import is_missing, percent, plural
from ai_dev_tools.benchmark.analysis.clusters import Floats, cluster_estimate
from ai_dev_tools.benchmark.analysis.money import is_priced
from ai_dev_tools.benchmark.analysis.pairing import pair_up
from ai_dev_tools.benchmark.analysis.power import t_power
from ai_dev_tools.benchmark.analysis.rows import Row, records
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.statistics import (
    RESAMPLES,
    Inference,
    from_log,
    holm,
    infer,
)
from ai_dev_tools.benchmark.comparison.run import StoredRun
from ai_dev_tools.benchmark.comparison.tables import together
from ai_dev_tools.benchmark.config.parsing import nearest
from ai_dev_tools.benchmark.config.thresholds import ValidityThresholds
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.prices import MONEY

NOW, BEFORE = "now", "before"
COLUMNS = [
    "metric", "model", "approach", "verdict", "value", "low", "high", "bound", "p", "p_adjusted", "alpha",
    "change", "power", "pairs", "clusters", "note",
]  # fmt: skip
KEY = ["model", "task", "case", "repeat"]
_SIDES: dict[str, Literal["low", "high"]] = {"higher": "high", "lower": "low"}
POWER = 0.80
"""With which probability a change of twice the bound must be found before "ok" is said of a metric that is not shown."""


@dataclass(frozen=True)
class GateMetric:
    """A metric that can be declared.

    Attributes:
        bound: how much worse it may be by default: a ratio (tokens, time) or a difference (quality, failures).
        worse: the direction that is worse.
    """

    bound: float
    worse: Literal["higher", "lower"]
    ratio: bool
    meaning: str


GATE_METRICS: dict[str, GateMetric] = {
    "tokens": GateMetric(1.05, "higher", True, "tokens of the arm, now / before"),
    "time": GateMetric(1.10, "higher", True, "time of the arm relative to the reference arm, now / before"),
    "money": GateMetric(1.05, "higher", True, "money for the arm at the prices of each run, now / before"),
    "quality": GateMetric(-0.05, "lower", False, "score of the arm, now - before"),
    "failures": GateMetric(0.05, "higher", False, "share of requests without a complete answer, now - before"),
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
        if name not in GATE_METRICS:
            raise ConfigurationError(f"unknown metric '{name}' for the gate, {nearest(name, GATE_METRICS)}")
        metric = GATE_METRICS[name]
        try:
            bound = float(text) if separator else metric.bound
        except ValueError:
            raise ConfigurationError(f"--metric {item}: '{text}' is not a number") from None
        if metric.ratio and not 1 <= bound < 100:
            raise ConfigurationError(f"--metric {item}: the bound is a ratio of at least 1, for example {name}=1.05")
        if not metric.ratio and not 0 <= abs(bound) < 1:
            raise ConfigurationError(f"--metric {item}: the bound is a difference below 1, for example {name}=0.05")
        found[name] = bound if metric.ratio else -abs(bound) if metric.worse == "lower" else abs(bound)
    return found


def judge_gate(
    now: StoredRun,
    before: StoredRun,
    bounds: dict[str, float],
    approach: str = "tools",
    reference: str = "baseline",
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
    power: float = POWER,
    thresholds: ValidityThresholds | None = None,
) -> pd.DataFrame:
    """One row per metric and model.

    Args:
        bounds: by metric, see `parse_metrics`.
        approach: the arm that is judged; `reference` is what its time is relative to.
        alpha: family-wise error rate over all rows.
        power: with which probability a change of twice the bound must be found before "ok" is said without proof.
        thresholds: when checks flag a sample, and shares of lost and flagged pairs beyond which nothing is decided.

    Returns:
        metric, model, approach, verdict (worse, ok, undecided), value with 95 % interval, bound, p,
        Holm-adjusted p, `power` with which `change` would be found, pairs, clusters, note. Ratios and differences are
        now against before.

    Raises:
        ConfigurationError: an arm that is needed was not asked in both runs, or the runs share no case or model.
    """
    _require_arms((before, now), (approach, reference) if "time" in bounds else (approach,))
    samples, pairs = _paired(now, before, bounds, thresholds, reference)
    arm, plain = (pairs[(pairs["approach"] == name).to_numpy()] for name in (approach, reference))
    if arm.empty:
        raise ConfigurationError(
            f"runs '{now.name}' and '{before.name}' share no case of '{approach}' on the same model",
            remedy="Compare runs of the same tasks and models",
        )
    models = sorted(set(arm["model"].astype(str)))
    level = alpha / (len(models) * len(bounds))
    judged = [
        _GatedMetric(name, bound, model, arm[_is(arm, model)], plain[_is(plain, model)], samples.thresholds)
        for model in models
        for name, bound in bounds.items()
    ]
    rows = [one.row(approach, resamples, level) for one in judged]
    for row, p in zip(rows, holm([1.0 if np.isnan(row["p"]) else row["p"] for row in rows]), strict=True):
        row |= {"p_adjusted": p, "alpha": alpha}
        _decide(row, power)
    return pd.DataFrame(rows, columns=COLUMNS)


def _require_arms(runs: Sequence[StoredRun], needed: Sequence[str]) -> None:
    for run in runs:
        arms = set(run.samples["approach"].astype(str))
        for name in needed:
            if name not in arms:
                raise ConfigurationError(f"run '{run.name}' has no approach '{name}', {nearest(name, arms)}")


def _paired(
    now: StoredRun, before: StoredRun, bounds: Container[str], thresholds: ValidityThresholds | None, reference: str
) -> tuple[Samples, pd.DataFrame]:
    """The samples of both runs, and their pairs: the same case and arm, now and before."""
    names = [name for name in ("tokens", "time", MONEY, "quality") if name in bounds]
    both = together([StoredRun(BEFORE, before.samples), StoredRun(NOW, now.samples)])
    samples = Samples.prepare(both, thresholds, reference)
    if MONEY in names and not is_priced(samples.frame):
        raise ConfigurationError(
            f"the gate cannot compare money: '{now.name}' and '{before.name}' have no prices, or prices in several currencies",
            remedy="Leave --metric money out, or run both with prices",
        )
    return samples, pair_up(samples.frame, NOW, BEFORE, names, "run", columns=["status"]).frame


def _decide(row: Row, power: float) -> None:
    """The word of a row that is not undecided yet."""
    if row["verdict"]:
        return
    metric, side = GATE_METRICS[row["metric"]], 1 if GATE_METRICS[row["metric"]].worse == "higher" else -1
    inside = side * (row["bound"] - row["value"]) >= 0
    shown = side * (row["bound"] - row["worst"]) > 0
    if row["p_adjusted"] <= row["alpha"]:
        row["verdict"] = "worse"
    elif inside and (shown or row["power"] >= power):
        row["verdict"] = "ok"
    else:
        change = f"{row['change']:.3g} times" if metric.ratio else f"a change of {row['change']:+.3g}"
        where = "is within its bound" if inside else "is beyond its bound, which may be chance"
        said = f"it {where}, and {change} would be found with {percent(row['power'], 0)} only"
        row |= {"verdict": "undecided", "note": "; ".join(filter(None, (row["note"], said)))}


def _is(pairs: pd.DataFrame, model: str) -> NDArray[np.bool_]:
    return (pairs["model"].astype(str) == model).to_numpy()


@dataclass(frozen=True)
class _GatedMetric:
    """One metric on one model: the pairs of the arm between the runs, and those of the reference arm."""

    name: str
    bound: float
    model: str
    arm: pd.DataFrame
    plain: pd.DataFrame
    thresholds: ValidityThresholds

    def row(self, approach: str, resamples: int, level: float) -> Row:
        """What is known of it; verdict "" where the p-value decides."""
        metric, nan = GATE_METRICS[self.name], float("nan")
        row: Row = {"metric": self.name, "model": self.model, "approach": approach, "bound": self.bound}
        row |= dict.fromkeys(("value", "low", "high", "worst", "p", "change", "power"), nan)
        row |= {"pairs": 0, "clusters": 0, "note": "", "verdict": "undecided"}
        found = self._inference(resamples)
        if found is None:
            return row | {"note": self._untrusted() or f"{self.name} is not known in both runs"}
        e, side = found.source, _SIDES[metric.worse]
        scale = from_log if metric.ratio else float
        low, high = found.bound("low", 0.025), found.bound("high", 0.025)
        row |= {"value": float(scale(e.estimate)), "low": float(scale(low)), "high": float(scale(high))}
        row |= {"worst": float(scale(found.bound(side, 0.05))), "pairs": e.pairs, "clusters": e.clusters}
        row["change"] = float(scale(self._change))
        if untrusted := self._untrusted():
            return row | {"note": untrusted}
        if e.clusters < self.thresholds.min_clusters:
            return row | {"note": f"only {plural(e.clusters, 'cluster')}: too few to generalise"}
        return row | {"verdict": ""} | self._test(found, level)

    @property
    def _limit(self) -> float:
        return float(np.log(self.bound)) if GATE_METRICS[self.name].ratio else self.bound

    @property
    def _change(self) -> float:
        """The change that a run must be able to find.

        That is twice the bound or, if the bound is small, the default bound more.
        """
        metric = GATE_METRICS[self.name]
        usual = float(np.log(metric.bound)) if metric.ratio else metric.bound
        more = max(abs(self._limit), abs(usual))
        return self._limit + (more if metric.worse == "higher" else -more)

    def _test(self, found: Inference, level: float) -> Row:
        """The p-value against the bound, and the power at a larger change."""
        e, higher = found.source, GATE_METRICS[self.name].worse == "higher"
        if found.usable:
            power = t_power(abs(self._change - self._limit) / e.spread, e.clusters, level, two_sided=False)
            return {"p": found.p_above(self._limit) if higher else found.p_below(self._limit), "power": power}
        # every cluster moved by the same amount: the exact sign test; what is rare may not have come up by chance
        beyond = e.estimate > self._limit if higher else e.estimate < self._limit
        rare = 0.0 if GATE_METRICS[self.name].ratio else max(0.0, 1 - abs(self._change))
        note = "all clusters moved alike"
        return {"p": 0.5**e.clusters if beyond else 1.0, "power": 1 - rare**e.clusters, "note": note}

    def _untrusted(self) -> str:
        """Why the pairs that are left may say something else than those that are not; "" where few are lost."""
        if self.name == "failures" or not len(self.arm):
            return ""
        kept = self.arm[(self.arm["dropped"].astype(str) == "").to_numpy()]
        usable = len(self._usable())
        now, before = (float(kept[f"void_{self.name}_{end}"].mean()) if len(kept) else 0.0 for end in ("own", "ref"))
        for share, most, said in (
            (1 - len(kept) / len(self.arm), self.thresholds.max_dropped, "of pairs were lost to failures"),
            (1 - usable / max(1, len(kept)), self.thresholds.max_flagged, "of pairs are flagged by validity checks"),
            (abs(now - before), self.thresholds.max_arm_difference, "is how far the runs' flagged shares differ"),
        ):
            if share > most + 1e-12:
                left = f"{usable} of {len(self.arm)} pairs are left"
                return f"{percent(share, 0)} {said} (limit {percent(most, 0)}): {left}"
        return ""

    def _usable(self) -> pd.DataFrame:
        """Pairs that no failure and no validity check takes out; for time, on the reference arm too."""
        usable = _usable(self.arm, self.name)
        if self.name != "time":
            return usable
        others = _usable(self.plain, "time")[[*KEY, "time_low", "time_low_ref"]]
        return usable.merge(others, on=KEY, suffixes=("", "_plain"))

    def _inference(self, resamples: int) -> Inference | None:
        if self.name == "failures":
            failed = [(self.arm[c].astype(str) != "completed").to_numpy(dtype=float) for c in ("status", "status_ref")]
            return _on_clusters(self.arm, failed[0] - failed[1], resamples)
        usable = self._usable()
        with np.errstate(divide="ignore", invalid="ignore"):
            if GATE_METRICS[self.name].ratio:
                values = _log_ratio(usable, f"{self.name}_low", f"{self.name}_low_ref")
            else:
                values = (usable[f"{self.name}_low"] - usable[f"{self.name}_low_ref"]).to_numpy(dtype=float)
            if self.name == "time":
                values = values - _log_ratio(usable, "time_low_plain", "time_low_ref_plain")
        known = np.isfinite(values)
        return _on_clusters(usable[known], values[known], resamples)


def _usable(pairs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Pairs that no broken connection and no validity check takes out."""
    void = pairs[f"void_{name}"].to_numpy(dtype=bool)
    kept: pd.DataFrame = pairs[(pairs["dropped"].astype(str) == "").to_numpy() & ~void]
    return kept


def _log_ratio(pairs: pd.DataFrame, above: str, below: str) -> Floats:
    return np.asarray(np.log((pairs[above] / pairs[below]).to_numpy(dtype=float)))


def _on_clusters(pairs: pd.DataFrame, values: Floats, resamples: int) -> Inference | None:
    if not len(values):
        return None
    labels = [pairs[label].to_numpy() for label in ("unit", "task_number", "case_number")]
    return infer(cluster_estimate(np.asarray(values, dtype=float), *labels), resamples)


def junit(table: pd.DataFrame) -> str:
    """The gate as JUnit XML: worse is a failure, undecided is skipped."""
    outcomes = {"worse": "failure", "undecided": "skipped"}
    cases = [
        TestCase(f"{row['metric']} on {row['model']}", "gate", _sentence(row), outcomes.get(row["verdict"]))
        for row in records(table)
    ]
    return document("gate", cases)


def _sentence(row: Row) -> str:
    meaning = GATE_METRICS[row["metric"]].meaning
    if is_missing(row["value"]):
        return f"{meaning}: {row['note']}, bound {row['bound']:g}."
    ends = "no interval" if is_missing(row["low"]) else f"95 % {row['low']:.4g} to {row['high']:.4g}"
    found = f"{row['value']:.4g} ({ends}), bound {row['bound']:g}, adjusted p {row['p_adjusted']:.3g}"
    return f"{meaning}: {found}. {row['note']}".strip()
