"""How many cases, repeats and models a given effect needs, and how long that takes here.

From a pilot (any samples table) or from stated assumptions. Power is the probability of *saying* "saves": cost test, quality
gate, single tasks and floor together, as in `analysis.decision_power`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.analysis.clusters import Floats
from ai_dev_tools.benchmark.analysis.decision_power import CostTest, QualityTest, fewest, ratio_found, says_saves
from ai_dev_tools.benchmark.analysis.money import is_priced
from ai_dev_tools.benchmark.analysis.pairing import FLOOR, pair_up
from ai_dev_tools.benchmark.analysis.plan_in_force import CONTROLS
from ai_dev_tools.benchmark.analysis.quality import estimate_differences, gate_level
from ai_dev_tools.benchmark.analysis.samples import Samples, SamplesLike
from ai_dev_tools.benchmark.analysis.samples_table import levels, words
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.durations import DurationModel, fit_durations
from ai_dev_tools.benchmark.plugins import AGENT_FLOOR, is_agent
from ai_dev_tools.benchmark.records.plan import CLAIMED_OUTCOMES
from ai_dev_tools.benchmark.records.prices import MONEY

PLAN_COLUMNS = words(
    "model outcome effect power alpha tests repeats sd sd_quality basis clusters_cost clusters_quality "
    "clusters samples_per_task requests hours hours_low hours_high note"
)
PROSPECT_COLUMNS = words(
    "model outcome effect alpha tests clusters repeats sd sd_quality basis power cost_power quality_power mde_ratio note"
)


@dataclass(frozen=True)
class Assumptions:
    """What is taken for granted where no pilot tells; argued in docs/statistics.md.

    Attributes:
        sd: standard deviation of log ratios between clusters.
        sd_quality: standard deviation of one model's quality differences between clusters.
        correlation: of quality differences between models, over which the gate averages.
        sd_repeat: standard deviation of log ratios between repeats of a case.
        seconds: mean seconds of one request; NaN = unknown, and no duration is given.
        error: relative error of that guess.
    """

    sd: float = 0.40
    sd_quality: float = 0.25
    sd_repeat: float = 0.10
    correlation: float = 0.30
    seconds: float = float("nan")
    error: float = 1.0


@dataclass(frozen=True)
class Spread:
    """How far results scatter, and where that is known from.

    Attributes:
        sd, sd_repeat: standard deviations of log ratios between clusters, and between repeats of a case.
        sd_quality: standard deviation of quality differences between clusters.
        floors: standardised advantage over the floor of the reference and of the arm, where a pilot tells.
        repeats: repeats of a case that `sd` is of, on average.
        basis: pilot or assumed.
    """

    sd: float
    sd_quality: float
    sd_repeat: float
    floors: tuple[float, ...] = ()
    repeats: float = 1.0
    basis: str = "assumed"
    note: str = ""

    def with_repeats(self, repeats: float) -> float:
        """Spread between clusters with this many repeats: they average out only the part within cases."""
        within = self.sd_repeat**2
        return float(np.sqrt(max(self.sd**2 + within * (1 / repeats - 1 / self.repeats), 1e-12)))


@dataclass(frozen=True)
class Size:
    """Clusters that a target needs; None if none would do."""

    sd: float
    clusters_cost: int | None
    clusters_quality: int | None
    clusters: int | None


@dataclass(frozen=True)
class Target:
    """What a run is to find, and the rules by which it will be judged.

    Attributes:
        effect: the true ratio to be found; `power` the probability of saying "saves" of it, on one model and outcome.
        margin_ratio, alpha, quality_margin, quality_alpha, task_veto: as in the plan of a run.
        look: which plan of these claims it will be; the tests are at alpha / 2^look.
        tests: size of the family that Holm's adjustment is over; by default models x outcomes.
        tools: approaches that the plan claims something of: their gates share the level.
        model_count: models of the claim, over which quality is averaged; by default those that are sized.
        approach: the arm whose spread counts; by default the first one that is neither reference nor control.
        min_clusters: number of clusters below which nothing is decided.

    Raises:
        ConfigurationError: an effect that the margin excludes, or numbers out of range.
    """

    effect: float = 0.80
    power: float = 0.80
    margin_ratio: float = 0.95
    alpha: float = 0.05
    look: int = 1
    tests: int | None = None
    quality_margin: float = 0.10
    quality_alpha: float = 0.05
    task_veto: float = 0.20
    tools: int = 1
    model_count: int | None = None
    approach: str | None = None
    reference: str = "baseline"
    min_clusters: int = 6

    def __post_init__(self) -> None:
        if not 0 < self.effect < self.margin_ratio < 1:
            raise ConfigurationError(
                f"the effect {self.effect:g} must be a ratio above 0 and below the margin {self.margin_ratio:g}"
            )
        if not (0 < self.power < 1 and 0 < self.alpha < 0.5 and self.look >= 1):
            raise ConfigurationError("power and alpha must lie between 0 and 1, and look be 1 or more")

    def family(self, models: Sequence[str]) -> dict[str, float]:
        """Number of tests and the level of each."""
        tests = self.tests or len(CLAIMED_OUTCOMES) * len(models)
        return {"tests": tests, "alpha": self.alpha / 2**self.look / tests}

    def cost(self, sd: float, tasks: int, models: Sequence[str]) -> CostTest:
        """The cost test of each claim."""
        return CostTest(
            sd,
            self.alpha / 2**self.look,
            int(self.family(models)["tests"]),
            tasks,
            self.margin_ratio,
            gate_level(self.alpha, self.look),
        )

    def quality(self, spread: Spread, tasks: int, models: Sequence[str]) -> QualityTest:
        """What an equally good tool must pass."""
        count, level = self.model_count or len(models), gate_level(self.quality_alpha, self.look) / self.tools
        sd, floors = spread.sd_quality, spread.floors
        return QualityTest(sd, self.quality_margin, level, tasks, self.task_veto, floors, count)


def plan(
    samples: SamplesLike | None = None,
    target: Target | None = None,
    *,
    models: Sequence[str] | None = None,
    tasks: int | None = None,
    arms: float = 3,
    repeats: Sequence[int] = (1, 2, 3),
    timed: SamplesLike | None = None,
    assume: Assumptions | None = None,
    outcomes: Sequence[str] = CLAIMED_OUTCOMES,
) -> pd.DataFrame:
    """Sizes and durations for finding the target's effect, for each model, outcome and number of repeats.

    Args:
        samples: a pilot, prepared with the thresholds and reference of the run that is planned; None plans from `assume` alone.
        models, tasks: what the run will have; by default the pilot's, and six tasks without one.
        arms: arms per case, the floor included; their mean where not all tasks have the same.
        timed: samples that the duration model is fitted on; by default the pilot.
        outcomes: what is claimed.

    Returns:
        One row per model, outcome and number of repeats: the spread used (for a pilot its upper 80 % limit), `basis`
        (pilot or assumed), clusters needed in all tasks together to say "saves" (and what the cost test and the answers
        alone would need), samples per task, requests, hours with a range from
        the duration model's cross-validated error.

    Raises:
        ConfigurationError: numbers out of range, or not a samples table.
    """
    if arms < 2 or any(r < 1 for r in repeats):
        raise ConfigurationError("arms must be 2 or more, and repeats 1 or more")
    goal, guess = target or Target(), assume or Assumptions()
    pilot = _pilot(samples, goal)
    clock = pilot if timed is None else Samples.of(timed)
    durations = DurationModel() if clock is None else fit_durations(clock)
    table = None if pilot is None else pilot.frame
    names = _models(models, table)
    count = tasks or (int(table["task"].nunique()) if table is not None else 6)
    rows = []
    for model in names:
        for outcome in outcomes:
            spread = _spread(table, goal, model, outcome, guess, goal.model_count or len(names))
            for r in repeats:
                size = _size(goal, spread, r, count, names)
                row: dict[str, object] = {"model": model, "outcome": outcome, "repeats": r, **goal.family(names)}
                row |= {"effect": goal.effect, "power": goal.power, "sd_quality": spread.sd_quality}
                row |= {"basis": spread.basis, "note": spread.note, **vars(size)}
                if size.clusters is not None:
                    # at least two clusters per task, or the task would have no spread
                    per_task = max(2, int(np.ceil(size.clusters / count)))
                    requests = round(per_task * r * count * arms)
                    row |= {"samples_per_task": per_task * r, "requests": requests}
                    row |= _hours(None if clock is None else clock.frame, durations, model, requests, guess)
                rows.append(row)
    return pd.DataFrame(rows, columns=PLAN_COLUMNS)


def prospects(
    clusters: int,
    samples: SamplesLike | None = None,
    target: Target | None = None,
    *,
    models: Sequence[str] | None = None,
    repeats: float = 1,
    tasks: int | None = None,
    assume: Assumptions | None = None,
    outcomes: Sequence[str] = CLAIMED_OUTCOMES,
) -> pd.DataFrame:
    """What a run of a given size can find, for each model and outcome.

    Args:
        clusters: clusters in all tasks together.
        repeats: repeats of each case, on average.
        tasks: by default the pilot's, and six without one.

    Returns:
        One row per model and outcome: `power`, the probability of saying "saves" at the target's effect, made of
        `cost_power`, that of the cost test, and `quality_power`, that an equal tool passes the quality gate; `mde_ratio`
        of which "saves" is said with the target's power. Absent where the size gives no test or no ratio would do.
        Below the target's `min_clusters`, `power` is 0.
    """
    goal, guess = target or Target(), assume or Assumptions()
    pilot = _pilot(samples, goal)
    table = None if pilot is None else pilot.frame
    names = _models(models, table)
    count = tasks or (int(table["task"].nunique()) if table is not None else 6)
    rows = []
    for model in names:
        for outcome in outcomes:
            spread = _spread(table, goal, model, outcome, guess, goal.model_count or len(names))
            sd = spread.with_repeats(repeats)
            cost, quality = goal.cost(sd, count, names), goal.quality(spread, count, names)
            # too few clusters decide nothing, even if a test of them would
            enough = clusters >= goal.min_clusters
            mde = ratio_found(clusters, cost, quality, goal.power) if enough else float("nan")
            rows.append(
                {"model": model, "outcome": outcome, "clusters": clusters, "repeats": repeats, **goal.family(names)}
                | {"sd_quality": spread.sd_quality, "basis": spread.basis, "note": spread.note}
                | {"effect": goal.effect, "sd": sd, "mde_ratio": mde}
                | {"power": enough * says_saves(clusters, goal.effect, cost, quality)}
                | {"cost_power": cost.finds(clusters, goal.effect), "quality_power": quality.passes(clusters)}
            )
    return pd.DataFrame(rows, columns=PROSPECT_COLUMNS)


def _pilot(samples: SamplesLike | None, target: Target) -> Samples | None:
    return Samples.of(samples, target.reference) if samples is not None and len(samples) else None


def _models(models: Sequence[str] | None, table: pd.DataFrame | None) -> list[str]:
    return list(models) if models else (levels(table["model"]) if table is not None else ["any model"])


def _size(goal: Target, spread: Spread, repeats: int, tasks: int, models: Sequence[str]) -> Size:
    sd = spread.with_repeats(repeats)
    cost, quality = goal.cost(sd, tasks, models), goal.quality(spread, tasks, models)
    return Size(
        sd=sd,
        clusters_cost=fewest(lambda n: cost.finds(n, goal.effect), goal.power),
        clusters_quality=fewest(quality.passes, goal.power),
        clusters=fewest(lambda n: says_saves(n, goal.effect, cost, quality), goal.power, least=goal.min_clusters),
    )


def _spread(
    table: pd.DataFrame | None, goal: Target, model: str, outcome: str, guess: Assumptions, models: int
) -> Spread:
    """Standard deviations between clusters and between repeats, from the pilot where it can tell."""
    sd_quality = guess.sd_quality * float(np.sqrt((1 + guess.correlation * (models - 1)) / models))
    assumed = Spread(guess.sd, sd_quality, guess.sd_repeat)
    if table is None:
        return assumed
    arms = sorted(set(table["approach"].astype(str)) - CONTROLS - {goal.reference})
    arm = goal.approach or (arms[0] if arms else None)
    if arm is None:
        return replace(assumed, note="the pilot has no arm to compare")
    if outcome == MONEY and not is_priced(table):
        return replace(assumed, note="the pilot has no prices, so assumed")
    everything = pair_up(table, arm, goal.reference, [outcome, "quality"])
    pairs = everything.part(everything.have("model", model) & ~everything["lost"] & ~everything[f"void_{outcome}"])
    known = pairs.part(np.isfinite(pairs[f"{outcome}_low"]) & np.isfinite(pairs[f"{outcome}_low_ref"]))
    y = np.log(known[f"{outcome}_low"] / known[f"{outcome}_low_ref"])
    e = known.nesting.estimate(y)
    if e.clusters < 3 or not e.se > 0:
        few = f"the pilot has {plural(e.clusters, 'cluster')} with known {outcome}: too few, so assumed"
        return replace(assumed, note=few)
    quality = estimate_differences(everything)
    known_quality = quality.clusters >= 3 and np.isfinite(quality.spread)
    repeated = _within(y, known["case_number"])
    return Spread(
        sd=_upper(e.spread, e.df),
        sd_quality=_upper(quality.spread, quality.df) if known_quality else sd_quality,
        sd_repeat=repeated if np.isfinite(repeated) else 0.0,
        floors=_floors(table, arm, goal.reference, model),
        repeats=e.pairs / e.cases,
        basis="pilot" if known_quality else "pilot; quality assumed",
        note="" if np.isfinite(repeated) else "no repeats in the pilot: repeats are assumed not to help",
    )


def _floors(table: pd.DataFrame, arm: str, reference: str, model: str) -> tuple[float, ...]:
    """Standardised advantage of both arms over the floor in the pilot, if it shows that.

    This is what the floor tests will see.
    """
    found = []
    for own in (reference, arm):
        pairs = pair_up(table, own, AGENT_FLOOR if is_agent(own) else FLOOR, ["quality"])
        e = estimate_differences(pairs.part(pairs.have("model", model)))
        if e.clusters >= 3 and e.spread > 1e-9:
            found.append(e.estimate / e.spread)
    return tuple(found)


def _upper(sd: float, df: float, confidence: float = 0.80) -> float:
    """Upper confidence limit of a standard deviation.

    So a lucky pilot does not make the study too small.
    """
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
    """Hours for a number of requests like the pilot's, one at a time, with their range."""
    seconds, error = guess.seconds, guess.error
    if table is not None:
        rows = table[(table["status"] == "completed") & (table["model"] == model)]
        rows = rows if len(rows) else table[table["status"] == "completed"]
        per_request = durations.predict(model, rows["input_tokens"], rows["output_tokens"])
        if np.isfinite(per_request).any():
            seconds, error = float(np.nanmean(per_request)), durations.error(model)
    hours = requests * seconds / 3600
    return {"hours": hours, "hours_low": hours / (1 + error), "hours_high": hours * (1 + error)}
