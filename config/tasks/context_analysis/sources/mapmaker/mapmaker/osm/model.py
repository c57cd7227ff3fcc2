from dataclasses import dataclass, field

from ..geo.point import Point


@dataclass
class Way:
    number: int
    line: list[Point]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Extract:
    ways: list[Way] = field(default_factory=list)
    summits: list[tuple[Point, str, int]] = field(default_factory=list)
