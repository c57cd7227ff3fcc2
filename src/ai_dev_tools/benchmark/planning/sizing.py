"""What a planned run can find, how large it must be for an effect, and how long that takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import pandas as pd

from ai_dev_tools.benchmark._util.clock import duration
from ai_dev_tools.benchmark._util.text import percent, plural
from ai_dev_tools.benchmark.analysis.money import with_prices
from ai_dev_tools.benchmark.analysis.rows import Row, records
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.planning.design import Design, cheapest
from ai_dev_tools.benchmark.planning.durations import fit_durations
from ai_dev_tools.benchmark.planning.estimate import scaled
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.history import History
from ai_dev_tools.benchmark.planning.planner import Assumptions, Target, plan, prospects
from ai_dev_tools.benchmark.planning.spending import Spending
from ai_dev_tools.benchmark.records.plan import CLAIMED_OUTCOMES, Claim
from ai_dev_tools.benchmark.records.prices import MONEY


@dataclass(frozen=True)
class Sizing:
    """The planner's answer for the claims of one profile.

    Attributes:
        target: what is to be found.
        pilot: samples of the profile that lie here; 0 = the spreads are assumed.
        clusters: how many the planned samples have, in all tasks together.
        available: how many the tasks have.
        prospects: what the planned size can find, see `planner.prospects`.
        sizes: what the wanted effect needs, see `planner.plan`; `timed` is false for a model that was never measured
            here, whose time is that of the others by its size.
        durations: the duration models of this machine with their prediction errors.
        design: the cheapest run that would do, where prices are known.
    """

    target: Target
    pilot: int
    clusters: int
    available: int
    prospects: pd.DataFrame
    sizes: pd.DataFrame
    durations: pd.DataFrame
    design: Design | None = None

    def content(self) -> Row:
        """For programs: plain values, None if something is absent."""
        tables = {name: records(getattr(self, name)) for name in ("prospects", "sizes", "durations")}
        return {
            "effect": self.target.effect,
            "power": self.target.power,
            "pilot_samples": self.pilot,
            "clusters": self.clusters,
            "clusters_available": self.available,
            **tables,
            **({"cheapest_design": self.design.content()} if self.design else {}),
        }


def size_up(
    experiment: Experiment,
    history: History,
    effect: float | None = None,
    look: int = 1,
    costs: Spending | None = None,
) -> Sizing | None:
    """Size the run of the experiment's profile; None when its plan claims nothing.

    Args:
        history: its own samples are the pilot; those of all runs tell how long requests take.
        effect: the true ratio to be found; by default the config's.
        look: which plan of these claims it is.
        costs: what requests cost, where the run has prices.

    Raises:
        ConfigurationError: the effect is none that the margin allows.
    """
    profile, cases = experiment.config.profile, experiment.cases
    declared = experiment.plan(profile)
    claims, models = declared.claims, list(dict.fromkeys(declared.models))
    if not claims or not experiment.tasks:
        return None
    target = _target(experiment, claims, len(models), effect, look)
    timed, measured, here = history.timed, history.seconds, history.own
    if declared.prices:
        here = with_prices(here, declared.prices.rates, declared.prices.currency)
    pilot = Samples.prepare(here, experiment.config.validity, experiment.config.plan.reference)
    asked = {task: experiment.asked(profile, task) for task in experiment.tasks}
    repeats = fmean(declared.samples / len(found) for found in asked.values())
    clusters = _clusters(experiment, asked)
    claimed = {claim.outcome for claim in claims}
    outcomes = [outcome for outcome in (*CLAIMED_OUTCOMES, MONEY) if outcome in claimed]
    found = prospects(clusters, pilot, target, models=models, repeats=repeats, tasks=len(asked), outcomes=outcomes)
    sizes = pd.concat(
        plan(
            pilot,
            target,
            models=[model],
            tasks=len(asked),
            arms=fmean(len(experiment.arms(task)) for task in asked),
            timed=timed[timed["model"] == model],
            assume=Assumptions(seconds=scaled(model, measured) or float("nan")),
            outcomes=outcomes,
        ).assign(timed=model in measured)
        for model in models
    )
    available = _clusters(experiment, {task: cases(profile, task) for task in experiment.tasks})
    return Sizing(
        target,
        len(pilot),
        clusters,
        available,
        found,
        sizes,
        fit_durations(timed).table,
        cheapest(declared, pilot, target, costs, available, outcomes) if costs else None,
    )


def _target(experiment: Experiment, claims: Sequence[Claim], models: int, effect: float | None, look: int) -> Target:
    settings = experiment.config.plan
    return Target(
        effect=settings.effect if effect is None else effect,
        power=settings.power,
        margin_ratio=settings.margin_ratio,
        alpha=settings.alpha,
        look=look,
        tests=len(claims) * models,
        quality_margin=settings.quality.margin,
        quality_alpha=settings.quality.alpha,
        task_veto=settings.quality.task_veto,
        tools=len({claim.approach for claim in claims}),
        model_count=models,
        approach=claims[0].approach,
        reference=claims[0].reference,
        min_clusters=experiment.config.validity.min_clusters,
    )


def _clusters(experiment: Experiment, cases: dict[str, list[str]]) -> int:
    """Clusters of these cases that the overall estimate uses: one that several tasks share counts once."""
    of_task = [{experiment.tasks[task].case(case).cluster for case in ids} for task, ids in cases.items()]
    several = [found for found in of_task if len(found) > 1]
    return len(set[str]().union(*(several or of_task)))


def sizing_lines(sizing: Sizing) -> Iterator[str]:
    """For people."""
    target = sizing.target
    first = f", of {target.approach} against {target.reference}, for all claims" if target.tools > 1 else ""
    yield (
        f"Spread: that of the {sizing.pilot} existing samples of this profile{first}"
        if sizing.pilot
        else "Spread: assumed (see docs/statistics.md), because there are no samples of this profile yet"
    )
    yield f"This plan has {plural(sizing.clusters, 'cluster')} (of {sizing.available}). What it can find:"
    for row in records(sizing.prospects):
        yield (
            f'  {row["model"]}, {row["outcome"]}: with a true ratio of {target.effect:g}, the verdict is "saves" with a '
            f"probability of {_share(row['power'])} (cost test {_share(row['cost_power'])}, quality gate of an equal tool "
            f"{_share(row['quality_power'])}); {_reach(row, target)}{_basis(row)}"
        )
    yield f"To find a true ratio of {target.effect:g} with a probability of {_share(target.power)}:"
    for _, rows in sizing.sizes.groupby("model", sort=False):
        yield from _needs(rows, sizing.available)
    if sizing.design:
        yield from sizing.design.lines()
    yield from _times(sizing)


def _times(sizing: Sizing) -> Iterator[str]:
    """How long requests of the models of this run take here; other models say nothing of them."""
    measured = {str(row["model"]): row for row in records(sizing.durations)}
    for model in dict.fromkeys(map(str, sizing.sizes["model"])):
        row = measured.get(model)
        if row is None:
            yield f"Time of {model}: not known, as it was never measured here"
        elif row["total_error"] is None:
            yield f"Time of {model}: not known, as {plural(row['samples'], 'sample is', 'samples are')} too few to tell"
        else:
            yield (
                f"Time of {model}: {row['intercept_s']:.3g} s + {1000 * row['s_per_input_token']:.3g} ms per input "
                f"token + {1000 * row['s_per_output_token']:.3g} ms per output token, from {plural(row['samples'], 'sample')}; "
                f"cross-validated error {_share(row['median_error'])} of a request, {_share(row['total_error'])} of a total"
            )


def _needs(sizes: pd.DataFrame, available: int) -> Iterator[str]:
    """Sizes for one model, by the outcome that needs more; more repeats only where they spare cases."""
    least = float("inf")
    for repeats, rows in sizes.groupby("repeats", sort=True):
        row = records(rows.sort_values("clusters", na_position="last", kind="stable"))[-1]
        if row["clusters"] is None:
            yield f"  {row['model']}: no size is large enough"
            return
        if row["clusters"] >= least:
            continue
        least = row["clusters"]
        lack = f", which is more than the {available} there are" if least > available else ""
        yield (
            f"  {row['model']}, {repeats} x each case: {plural(least, 'cluster')}{lack} (costs need "
            f"{row['clusters_cost']:.0f}, quality {row['clusters_quality']:.0f}); "
            f"{plural(row['samples_per_task'], 'sample')} per task and arm, {plural(row['requests'], 'request')}, {_time(row)}"
        )


def _time(row: Row) -> str:
    if row["hours"] is None:
        return "time unknown, nothing was measured here yet"
    most, low, high = (duration(3600 * row[name]) for name in ("hours", "hours_low", "hours_high"))
    return f"about {most} ({low} to {high}{'' if row['timed'] else '; never measured here, scaled by size'})"


def _share(value: float | None) -> str:
    return "an unknown share" if value is None else percent(value, 0)


def _number(value: float | None) -> str:
    return "unknown size" if value is None else f"{value:.2f}"


def _reach(row: Row, target: Target) -> str:
    if row["mde_ratio"] is None:
        return f"no ratio, however small, gets {_share(target.power)}"
    return f"a ratio of {_number(row['mde_ratio'])} gets {_share(target.power)}"


def _basis(row: Row) -> str:
    said = [text for text in (row["basis"] if row["basis"] != "pilot" else "", row["note"]) if text]
    return f" ({'; '.join(said)})" if said else ""
