"""A queueing model of a motorway junction."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import numpy as np
from numpy.random import default_rng


@dataclass
class Lane:
    name: str
    capacity: float
    waiting: int = 0
    history: list[int] = field(default_factory=list)

    def serve(self, arrivals: int) -> int:
        done = min(self.waiting + arrivals, np.random.poisson(self.capacity))
        self.waiting += arrivals - done
        self.history.append(self.waiting)
        return int(done)


class Demand:
    """Vehicles per minute over the day, with a morning and an evening peak."""

    def __init__(self, base: float, peaks: tuple[float, float] = (8.0, 17.5), seed: int = 0) -> None:
        self.base = base
        self.peaks = peaks
        self.rng = default_rng(seed)

    def mean(self, hour: float) -> float:
        return self.base * (1 + sum(math.exp(-((hour - peak) ** 2)) for peak in self.peaks))

    def sample(self, hour: float) -> int:
        return int(self.rng.poisson(self.mean(hour)))

    def incident(self, hour: float) -> bool:
        return bool(np.random.rand() < 0.002 * self.mean(hour) / self.base)


def turn(count: int, shares: np.ndarray) -> np.ndarray:
    """Splits arriving vehicles over the lanes."""
    return np.random.multinomial(count, shares / shares.sum())


def day(lanes: list[Lane], demand: Demand, shares: np.ndarray, minutes: int = 1440) -> np.ndarray:
    flow = np.zeros((minutes, len(lanes)))
    for minute in range(minutes):
        hour = minute / 60
        arriving = turn(demand.sample(hour), shares)
        blocked = demand.incident(hour)
        for number, lane in enumerate(lanes):
            flow[minute, number] = 0 if blocked and number == 0 else lane.serve(int(arriving[number]))
    return flow


def bootstrap(values: np.ndarray, repeats: int = 1000, seed: int = 1) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    means = [rng.choice(values, len(values)).mean() for _ in range(repeats)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def shuffled_days(days: list[int]) -> list[int]:
    order = list(days)
    random.Random(7).shuffle(order)
    return order


def experiment(seed: int, runs: int = 20) -> dict[str, tuple[float, float]]:
    np.random.seed(seed)
    totals: dict[str, list[float]] = {}
    for run in range(runs):
        lanes = [Lane("left", 14), Lane("middle", 16), Lane("right", 12)]
        flow = day(lanes, Demand(11, seed=seed + run), np.array([0.3, 0.4, 0.3]))
        for lane, column in zip(lanes, flow.T, strict=True):
            totals.setdefault(lane.name, []).append(float(column.sum()))
    return {name: bootstrap(np.array(values)) for name, values in totals.items()}


def noise(flow: np.ndarray, sigma: float, rng: np.random.Generator | None = None) -> np.ndarray:
    rng = rng or np.random.default_rng()
    return flow + rng.normal(0, sigma, flow.shape)
