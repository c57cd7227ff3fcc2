from dataclasses import dataclass

from mapmaker.geo.point import Point


@dataclass(frozen=True)
class Box:
    south: float
    west: float
    north: float
    east: float

    def holds(self, p: Point) -> bool:
        return self.south <= p.lat <= self.north and self.west <= p.lon <= self.east

    def grow(self, share: float) -> "Box":
        lat, lon = (self.north - self.south) * share, (self.east - self.west) * share
        return Box(self.south - lat, self.west - lon, self.north + lat, self.east + lon)


def around(points: list[Point]) -> Box:
    lats, lons = [p.lat for p in points], [p.lon for p in points]
    return Box(min(lats), min(lons), max(lats), max(lons))
