"""Old names of the geometry library, kept for two more releases."""

from __future__ import annotations

import functools
import logging
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

log = logging.getLogger(__name__)

Point = tuple[float, float]


class RenamedWarning(DeprecationWarning):
    pass


def renamed(new: str, release: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def shim(*args: Any, **kwargs: Any) -> Any:
            text = f"{function.__name__} is now {new}; the old name goes in {release}"
            warnings.warn(text, RenamedWarning, stacklevel=2)
            return function(*args, **kwargs)

        return shim

    return decorate


def area(points: Sequence[Point]) -> float:
    pairs = zip(points, [*points[1:], points[0]], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2


@renamed("area", "4.0")
def polygon_area(points: Sequence[Point]) -> float:
    return area(points)


def dist(a: Point, b: Point, squared: bool | None = None) -> float:
    if squared is not None:
        warnings.warn("dist(squared=...) is ignored since 3.1", DeprecationWarning)
    return math.dist(a, b)


def centroid(points: Sequence[Point], weights: Sequence[float] | None = None) -> Point:
    if weights is None:
        weights = [1.0] * len(points)
    elif len(weights) != len(points):
        warnings.warn("weights and points differ in number; the rest counts 1", stacklevel=2)
        weights = [*weights, *[1.0] * len(points)][: len(points)]
    total = math.fsum(weights)
    x = math.fsum(w * p[0] for w, p in zip(weights, points, strict=True)) / total
    y = math.fsum(w * p[1] for w, p in zip(weights, points, strict=True)) / total
    return x, y


class Box:
    def __init__(self, low: Point, high: Point) -> None:
        if low[0] > high[0] or low[1] > high[1]:
            warnings.warn(f"corners of {low} and {high} are exchanged", UserWarning)
            low, high = (min(low[0], high[0]), min(low[1], high[1])), (max(low[0], high[0]), max(low[1], high[1]))
        self.low = low
        self.high = high

    def contains(self, point: Point) -> bool:
        return all(a <= c <= b for a, c, b in zip(self.low, point, self.high, strict=True))

    def grow(self, margin: float, percent: bool = False) -> Box:
        if percent:
            warnings.warn(
                "percent is deprecated; multiply yourself",
                category=DeprecationWarning,
                source=self,
            )
            margin = margin * (self.high[0] - self.low[0]) / 100
        (x0, y0), (x1, y1) = self.low, self.high
        return Box((x0 - margin, y0 - margin), (x1 + margin, y1 + margin))

    @property
    def size(self) -> Point:
        log.warning("size is computed anew at each access")
        return self.high[0] - self.low[0], self.high[1] - self.low[1]


def simplify(points: Sequence[Point], tolerance: float) -> list[Point]:
    if tolerance == 0:
        warnings.warn_explicit("nothing to simplify", UserWarning, __file__, 0)
    kept = list(points[:1])
    for point in points[1:]:
        if math.dist(kept[-1], point) > tolerance:
            kept.append(point)
    return kept


def parse_points(text: str) -> list[Point]:
    points = []
    for part in text.split():
        x, separator, y = part.partition(",")
        if not separator:
            warnings.warn(f"{part!r} has one number only")
            y = "0"
        points.append((float(x), float(y)))
    return points
