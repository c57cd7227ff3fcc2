import math
from typing import NamedTuple

RADIUS = 6_371_000


class Point(NamedTuple):
    lat: float
    lon: float

    def mercator(self) -> tuple[float, float]:
        x = math.radians(self.lon) * RADIUS
        y = math.log(math.tan(math.pi / 4 + math.radians(self.lat) / 2)) * RADIUS
        return x, y


def extent(points):
    from .box import around

    box = around(points)
    return distance(Point(box.south, box.west), Point(box.north, box.east))


def distance(a: Point, b: Point) -> float:
    dx = math.radians(b.lon - a.lon) * math.cos(math.radians((a.lat + b.lat) / 2))
    dy = math.radians(b.lat - a.lat)
    return math.hypot(dx, dy) * RADIUS
