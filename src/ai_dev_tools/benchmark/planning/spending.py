"""What a run will cost, with a range.

From what its requests took before, or from the length of its prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import pandas as pd

from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.execution.budget import spent_so_far
from ai_dev_tools.benchmark.planning.estimate import stored
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.history import History
from ai_dev_tools.benchmark.planning.prompt_fit import known_rows
from ai_dev_tools.benchmark.plugins import is_agent
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.prices import Rates, money
from ai_dev_tools.benchmark.tasks.size_classes import CHARS_PER_TOKEN, MOST_WRAPPING_TOKENS

MEASURED = 0.15
"""By which share a mean of measured requests may be off for others of the same cell."""
TOKENIZERS = 1.6
"""By which factor tokens differ from an estimate by characters."""
SHORT_ANSWER = 0.1
"""The share of the output cap that short answers take; what is expected is half of the cap."""


@dataclass(frozen=True)
class Range:
    """An amount, and between what it lies."""

    low: float
    expected: float
    high: float

    def times(self, count: float) -> Range:
        """So many times as much."""
        return Range(count * self.low, count * self.expected, count * self.high)

    @classmethod
    def total(cls, parts: Iterable[Range]) -> Range:
        """The sum."""
        every = list(parts)
        return cls(sum(p.low for p in every), sum(p.expected for p in every), sum(p.high for p in every))


Cell = tuple[str, str, str]
"""Model, task and arm."""


@dataclass(frozen=True)
class Spending:
    """What a run costs.

    Attributes:
        currency: of all amounts.
        whole: all of its requests; None where the prompts of a task are not known yet.
        missing: those that are still missing.
        spent: what the requests that were sent have cost.
        budget: what it may cost, where something says so.
        per_request: by model and arm, over all tasks.
        measured: whether all of it rests on requests that were measured.
    """

    currency: str
    whole: Range | None
    missing: Range | None
    spent: float
    budget: float | None
    per_request: Mapping[tuple[str, str], Range]
    measured: bool

    def content(self) -> Row:
        """For programs."""
        plain = {name: vars(found) if (found := getattr(self, name)) else None for name in ("whole", "missing")}
        return {
            "currency": self.currency,
            **plain,
            "spent": self.spent,
            "budget": self.budget,
            "measured": self.measured,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        if self.whole is None or self.missing is None:
            yield "Money: unknown until the prompts are made (snakemake --cores 2 results/prompts/TASK.jsonl)"
            return
        basis = "from requests that were measured" if self.measured else "estimated from the length of the prompts"
        yield (
            f"Money: about {self._shown(self.whole)}, {basis}; {money(self.spent, self.currency)} is spent, what is still "
            f"to be asked costs about {self._shown(self.missing)}"
        )
        if self.budget is None:
            return
        left = self.budget - self.spent
        named = f"Budget: {money(self.budget, self.currency)}"
        if self.missing.high <= left:
            yield f"{named} suffices"
        elif self.missing.expected <= left:
            yield f"{named} is likely to suffice; the run stops before it is exceeded, and continues with a larger one"
        else:
            yield (
                f"{named} is not enough: the run stops before it is exceeded, and the same command with about "
                f"{money(self.spent + self.missing.high, self.currency)} completes it"
            )

    def _shown(self, found: Range) -> str:
        return f"{money(found.expected, self.currency)} ({money(found.low, self.currency)} to {money(found.high, self.currency)})"


def spending(experiment: Experiment, root: Path, history: History) -> Spending | None:
    """What the run of the experiment's profile costs; None if it has no prices."""
    profile = experiment.config.profile
    prices = experiment.plan(profile).prices
    if prices is None:
        return None
    cells, measured = _cells(experiment, root, history.samples, prices.rates)
    samples = experiment.profile(profile).samples
    known = None not in cells.values()
    found = {cell: each for cell, each in cells.items() if each is not None}
    open_yet = {
        (model, task, arm): samples - stored(root, profile, model, task, [arm], samples) for model, task, arm in found
    }
    by_arm: dict[tuple[str, str], list[Range]] = {}
    for (model, _, arm), each in found.items():
        by_arm.setdefault((model, arm), []).append(each)
    return Spending(
        currency=prices.currency,
        whole=Range.total(each.times(samples) for each in found.values()) if known else None,
        missing=Range.total(each.times(open_yet[cell]) for cell, each in found.items()) if known else None,
        spent=spent_so_far(root / paths.RUN.format(profile=profile), prices.rates),
        budget=experiment.config.budget,
        per_request={arm: Range.total(parts).times(1 / len(parts)) for arm, parts in by_arm.items()} if known else {},
        measured=measured,
    )


def _cells(
    experiment: Experiment, root: Path, table: pd.DataFrame, rates: Mapping[str, Rates]
) -> tuple[dict[Cell, Range | None], bool]:
    """What one request of each cell costs, and whether all of that was measured."""
    profile = experiment.config.profile
    done = table[(table["status"] == "completed") & table["input_tokens"].notna() & table["output_tokens"].notna()]
    found: dict[Cell, Range | None] = {}
    measured = True
    for task in experiment.tasks.values():
        lengths = _lengths(experiment, task.id, root)
        for instance in experiment.instances(profile):
            model = instance.model
            for arm in experiment.arms(task.id):
                rows = done[(done["model"] == model) & (done["task"] == task.id) & (done["approach"] == arm)]
                if len(rows):
                    found[model, task.id, arm] = _from_samples(rows, rates[model])
                else:
                    measured = False
                    found[model, task.id, arm] = _from_lengths(experiment, lengths, arm, rates[model])
    return found, measured


def _from_samples(rows: pd.DataFrame, rate: Rates) -> Range:
    seconds = rows["attempts_s"].fillna(0).astype(float) / rows["in_flight"].fillna(1).astype(float).clip(lower=1)
    numbers = (rows[name].fillna(0).astype(float) for name in ("input_tokens", "prompt_cached_tokens", "output_tokens"))
    each = fmean(rate.money(*values) for values in zip(*numbers, seconds, strict=True))
    return Range(each * (1 - MEASURED), each, each * (1 + MEASURED))


def _lengths(experiment: Experiment, task: str, root: Path) -> dict[str, float]:
    """Mean characters of a task's prompts by arm, for the arms that are known."""
    profile = experiment.config.profile
    cases = experiment.asked(profile, task)
    found: dict[str, list[int]] = {}
    for row in known_rows(experiment.tasks[task], cases, experiment.arms(task), root):
        found.setdefault(row.approach, []).append(len(row.prompt or ""))
    return {arm: fmean(counts) for arm, counts in found.items()}


def _from_lengths(experiment: Experiment, lengths: Mapping[str, float], arm: str, rate: Rates) -> Range | None:
    """Tokens from characters of prompts.

    An arm whose prompts are not made yet is assumed to be as long as the baseline.
    """
    if is_agent(arm):
        return _of_episodes(experiment, rate)
    longest = max(lengths.values(), default=None)
    if longest is None:
        return None
    options, seconds = experiment.config.options, experiment.profile(experiment.config.profile).task_timeout
    tokens = lengths.get(arm, longest) / CHARS_PER_TOKEN
    least = tokens if arm in lengths else 0.0
    cap = options.num_predict
    return Range(
        rate.money(least / TOKENIZERS, 0, SHORT_ANSWER * cap, 0.0),
        rate.money(tokens + MOST_WRAPPING_TOKENS / 2, 0, cap / 2, seconds / 4),
        rate.money(tokens * TOKENIZERS + MOST_WRAPPING_TOKENS, 0, cap, seconds),
    )


def _of_episodes(experiment: Experiment, rate: Rates) -> Range:
    """From the limits of an episode, which most episodes do not reach."""
    limits, cap = experiment.config.agent, experiment.config.options.num_predict
    most = rate.money(limits.tokens, 0, limits.turns * cap, limits.seconds)
    return Range(most / 20, most / 3, most)
