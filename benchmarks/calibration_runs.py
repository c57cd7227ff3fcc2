"""Whole verdicts on invented runs whose truth is known: several unequal tasks, several models, looks, rare expensive cases.

The pairs of a run are laid out once; each replicate fills in new scores and costs, and the code that makes the real
verdicts judges them: pairs, checks, cost tests, Holm, gate, floor, bill, words. To add a world, write how its scores and
costs are drawn and list it in `WORLDS` (wrong words) or `POWERS` (words that should be said).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from calibration_data import Floats, generator

from ai_dev_tools.benchmark.analysis.candidate import Candidate
from ai_dev_tools.benchmark.analysis.claim_measurements import measure
from ai_dev_tools.benchmark.analysis.claim_status import ClaimStatus
from ai_dev_tools.benchmark.analysis.pair_columns import Pairs
from ai_dev_tools.benchmark.analysis.plan_in_force import PlanInForce
from ai_dev_tools.benchmark.analysis.quality_gates import Gates
from ai_dev_tools.benchmark.analysis.samples import Samples
from ai_dev_tools.benchmark.analysis.samples_table import ALL
from ai_dev_tools.benchmark.analysis.validity import DEFAULTS
from ai_dev_tools.benchmark.analysis.verdicts import _share_spread, decide
from ai_dev_tools.benchmark.records.plan import Claim, DeclaredPlan

ARMS = ("baseline", "no_context", "tools")
CORRELATION = 0.3
"""Between models, of the quality differences of a case."""
Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Draw:
    """One run, as arrays over model, task and cluster; what lies beyond a task's clusters is not used.

    Attributes:
        gained: score of tools minus that of the baseline.
        ratio: cost of tools over that of the baseline.
        length: cost of the baseline.
    """

    gained: Floats
    ratio: Floats
    length: Floats


Shape = tuple[int, int, int]
Make = Callable[[np.random.Generator, Shape], Draw]
Scores = Callable[[np.random.Generator, Shape], Floats]


# ------------------------------------------------------------------------------------------ how scores and costs are drawn


def over_models(one: Scores) -> Scores:
    """The same distribution on every model, with the correlation between them: some cases are alike for all."""

    def draw(rng: np.random.Generator, shape: Shape) -> Floats:
        common = np.broadcast_to(one(rng, (1, *shape[1:])), shape)
        return np.where(rng.random(shape) < np.sqrt(CORRELATION), common, one(rng, shape))

    return draw


def binary(discordance: float, loss: float = 0.0) -> Scores:
    """Right or wrong in both arms: differences of -1, 0 and 1."""
    worse, better = (discordance + loss) / 2, max(0.0, (discordance - loss) / 2)

    def draw(rng: np.random.Generator, shape: Shape) -> Floats:
        u = rng.random(shape)
        return np.where(u < worse, -1.0, np.where(u < worse + better, 1.0, 0.0))

    return over_models(draw)


def graded(spread: float, loss: float = 0.0) -> Scores:
    """Scores with parts."""
    return over_models(lambda rng, shape: -loss + spread * rng.standard_normal(shape))


def rare_loss(rate: float = 0.10) -> Scores:
    """All tied but for total losses."""
    return over_models(lambda rng, shape: -(rng.random(shape) < rate).astype(float))


def in_one_task(scores: Scores, loss: float) -> Scores:
    """A further loss in the last task."""

    def draw(rng: np.random.Generator, shape: Shape) -> Floats:
        drawn = np.array(scores(rng, shape))
        drawn[:, -1] -= loss
        return drawn

    return draw


def plain(scores: Scores, ratio: float = 0.6, spread: float = 0.3) -> Make:
    """A true ratio with the usual scatter, in prompts of usual lengths."""

    def draw(rng: np.random.Generator, shape: Shape) -> Draw:
        length = np.exp(0.4 * rng.standard_normal(shape[1:]))
        scatter = np.exp(spread * rng.standard_normal(shape) - spread**2 / 2)
        return Draw(scores(rng, shape), ratio * scatter, np.broadcast_to(length, shape))

    return draw


def heavy_tail(rng: np.random.Generator, shape: Shape) -> Draw:
    """Ratio 0.6 in 97 % of requests and 20 in 3 %: cheaper case by case, a true bill of 1.18."""
    ratio = np.where(rng.random(shape) < 0.03, 20.0, 0.6 * np.exp(0.1 * rng.standard_normal(shape)))
    return Draw(graded(0.1)(rng, shape), ratio, np.exp(0.3 * rng.standard_normal(shape)))


def overflowing(charged: bool) -> Make:
    """The longest 8 % of prompts overflow in the tools arm; the fallback doubles their cost: a true bill of 1.05."""

    def draw(rng: np.random.Generator, shape: Shape) -> Draw:
        level = rng.standard_normal(shape[1:])
        length, overflows = np.exp(0.9 * level), level > 1.405
        ratio = np.where(overflows, 2.0 if charged else np.nan, 0.70 * np.exp(0.1 * rng.standard_normal(shape)))
        return Draw(graded(0.1)(rng, shape), ratio, np.broadcast_to(length, shape))

    return draw


# ------------------------------------------------------------------------------------------ the fast path


class FilledGates(Gates):
    """Gates over pairs whose structure stays and whose values are filled in for each replicate."""

    def __init__(self, table: pd.DataFrame, in_force: PlanInForce) -> None:
        super().__init__(table, in_force)
        self._scopes: dict[tuple[tuple[str, str], str | None, str], Pairs] = {}

    def scope(self, arms: tuple[str, str], model: str | None, task: str) -> Pairs:
        """The same part each time, so that its nesting is worked out once."""
        if (arms, model, task) not in self._scopes:
            self._scopes[arms, model, task] = super().scope(arms, model, task)
        return self._scopes[arms, model, task]

    def fill(self, arms: tuple[str, str], values: Mapping[str, Any]) -> None:
        """New values of some columns; what was derived from the old ones is forgotten."""
        whole = self.pairs_of(*arms)
        whole._columns.update(values)
        for key, part in self._scopes.items():
            if key[0] == arms and part is not whole:
                for name in values:
                    part._columns.pop(name, None)
        self._claims.clear()
        self._gates.clear()


@dataclass
class Layout:
    """One look at a run of given tasks and models, ready to be filled and judged."""

    sizes: Sizes
    models: int
    look: int = 1
    gates: FilledGates = field(init=False)
    claim: Claim = field(init=False)

    def __post_init__(self) -> None:
        table = Samples.prepare(_samples(self.sizes, self.models)).frame
        names = tuple(f"m{m}" for m in range(self.models))
        self.claim = Claim(id="tokens:tools", outcome="tokens", approach="tools")
        cases = {f"t{t}": tuple(f"t{t}c{c}" for c in range(n)) for t, n in enumerate(self.sizes)}
        plan = DeclaredPlan(
            plan="p", profile="x", models=names, tasks=cases, approaches=ARMS, samples=max(self.sizes),
            claims=(self.claim,), rules=2,
        )  # fmt: skip
        looks = {(self.claim.id, name): self.look for name in names}
        self.gates = FilledGates(table, PlanInForce(plan, True, looks))
        frame = self.gates.pairs_of("tools", "baseline").frame
        model, task = (frame[name].cat.codes.to_numpy() for name in ("model", "task"))
        self._at = model, task, frame["sample"].to_numpy(dtype=int)
        # both arms beat guessing clearly
        clear = 0.7 + 0.05 * np.sin(np.arange(len(frame)))
        for arm in ("baseline", "tools"):
            self.gates.fill((arm, "no_context"), {"quality_low": clear, "quality_low_ref": np.full(len(frame), 0.2)})

    def judge(self, run: Draw) -> list[Candidate]:
        """The verdicts over all tasks, one for each model."""
        own, ratio, length = run.gained[self._at], run.ratio[self._at], run.length[self._at]
        lost = ~np.isfinite(ratio)
        tokens = {f"tokens_{end}": np.where(lost, np.nan, length * ratio) for end in ("low", "high", "open")}
        tokens |= {f"tokens_{end}_ref": np.where(lost, np.nan, length) for end in ("low", "high", "open")}
        scores = {"quality_low": 0.7 + own, "quality_low_ref": np.full(len(own), 0.7)}
        self.gates.fill(("tools", "baseline"), tokens | scores | {"lost": lost})
        found = []
        for model in self.gates.in_force.plan.models:
            status = ClaimStatus("planned", (), 1, 1)
            part, gate = self.gates.pairs(self.claim, model, ALL), self.gates.gate(self.claim, model, ALL)
            found.append(Candidate(self.gates.in_force, self.claim, model, ALL, status, part, gate))
            # the ratio is far beyond its margin or decided elsewhere: the bootstrap would change nothing
            measure(found[-1], DEFAULTS, 0)
        _share_spread(found)
        return decide(found, DEFAULTS)


def _samples(sizes: Sizes, models: int) -> pd.DataFrame:
    rows = [
        (f"m{m}", f"t{t}", f"t{t}c{c}", c, arm, 3 * c + (place + c) % 3)
        for m in range(models)
        for t, n in enumerate(sizes)
        for c in range(n)
        for place, arm in enumerate(ARMS)
    ]
    table = pd.DataFrame(rows, columns=["model", "task", "case", "sample", "approach", "order"])
    return table.assign(
        profile="x", instance=table["model"], cluster=table["case"], repeat=0, status="completed", score=0.5,
        input_tokens=100, output_tokens=10, total_tokens=110, duration_s=1.0, attempts_s=1.0, attempts=1,
        done_reason="stop", plan="p", session="s", size="S", stratum="",
    )  # fmt: skip


@lru_cache(maxsize=8)
def layout(sizes: Sizes, models: int, look: int = 1) -> Layout:
    """A layout, made once."""
    return Layout(sizes, models, look)


# ------------------------------------------------------------------------------------------ worlds


@dataclass(frozen=True)
class World:
    """Runs in which "saves" would be wrong, unless it asks for power.

    Attributes:
        looks: tasks' sizes at each look, growing; the word counts whenever it is said.
        promised: whether a wrong word in at most 5 % of runs is promised.
    """

    name: str
    make: Make
    looks: tuple[Sizes, ...]
    models: int = 4
    promised: bool = True

    @property
    def clusters(self) -> int:
        """At the last look."""
        return sum(self.looks[-1])

    def runs(self, replicates: int) -> Iterator[list[list[Candidate]]]:
        """By replicate, the verdicts of each look."""
        # the seed keeps a word that names no longer have, so that the published rates can be made again
        seeded = self.name.replace("rare expensive cases", "rare dear cases")
        rng = generator("world", seeded, self.models, self.looks)
        shape = (self.models, len(self.looks[0]), max(self.looks[-1]))
        for _ in range(replicates):
            run = self.make(rng, shape)
            yield [layout(sizes, self.models, k).judge(run) for k, sizes in enumerate(self.looks, start=1)]

    def share_of_runs(self, replicates: int) -> float:
        """Runs in which any model gets "saves" at any look."""
        said = sum(any(c.word == "saves" for look in looks for c in look) for looks in self.runs(replicates))
        return said / replicates

    def share_of_claims(self, replicates: int) -> float:
        """Claims, one for each model, that get "saves" at the last look."""
        said = sum(c.word == "saves" for looks in self.runs(replicates) for c in looks[-1])
        return said / replicates / self.models

    def share_vetoed(self, replicates: int) -> float:
        """Runs in which a single task vetoes at the last look."""
        return sum(bool(looks[-1][0].gate.claim.vetoed) for looks in self.runs(replicates)) / replicates


EVEN, UNEVEN = (12,) * 6, ((2, 2, 20, 20, 20, 20), (3, 3, 3, 20, 20, 20), (2, 2, 2, 2, 2, 30), (4, 100))
GROWING = ((12,) * 6, (20,) * 6, (32,) * 6)


def sized(sizes: Sizes) -> str:
    """How a design reads in a table."""
    return f"{len(sizes)} x {sizes[0]}" if len(set(sizes)) == 1 else ", ".join(map(str, sizes))


WORLDS = (
    *(
        World(f"{name}; {sized(sizes)}", plain(scores), (sizes,), models)
        for sizes in (EVEN, *UNEVEN)
        for name, scores, models in (
            ("loss at the margin, rare and total", rare_loss(), 1),
            ("loss at the margin, rare and total", rare_loss(), 4),
            ("loss at the margin, binary 20 %", binary(0.2, 0.1), 1),
            ("loss at the margin, binary 20 %", binary(0.2, 0.1), 4),
            ("loss at the margin, graded 0.25", graded(0.25, 0.1), 4),
        )
    ),
    *(
        World(f"{name}; looks at 12, 20, 32 per task", plain(scores), GROWING)
        for name, scores in (
            ("loss at the margin, binary 20 %", binary(0.2, 0.1)),
            ("loss at the margin, graded 0.25", graded(0.25, 0.1)),
        )
    ),
    *(
        World(f"rare expensive cases, true bill 1.18; {sized(z)}", heavy_tail, (z,))
        for z in ((6,) * 6, EVEN, (20,) * 6)
    ),
    World("rare expensive cases, one model; 6 x 12", heavy_tail, (EVEN,), 1, promised=False),
    World("hardest 8 % of prompts overflow, charged; 6 x 12", overflowing(True), (EVEN,)),
    World("hardest 8 % of prompts overflow, dropped; 6 x 12", overflowing(False), (EVEN,), promised=False),
    World("no saving, equal quality; 6 x 12", plain(graded(0.16), ratio=1.0), (EVEN,)),
)
POWERS = tuple(
    World(f"{name}; {sized((n,) * 6)}", plain(scores), ((n,) * 6,), models)
    for name, scores in (
        ("graded, 10 % (0.16)", graded(0.16)),
        ("graded, 25 % (0.25)", graded(0.25)),
        ("binary, 20 % (0.45)", binary(0.2)),
        ("binary, 30 % (0.55)", binary(0.3)),
    )
    for n, models in ((6, 4), (12, 4), (20, 4), (12, 1))
)
LOSSES_IN_ONE_TASK = tuple(
    World(f"{name}, loss {loss:g} in one task; {sized(EVEN)}", plain(in_one_task(scores, loss)), (EVEN,), models)
    for name, scores in (("binary 20 %", binary(0.2)), ("graded 0.25", graded(0.25)))
    for loss in (0.0, 0.25, 0.4)
    for models in (1, 4)
)
