from typing import TYPE_CHECKING

from . import terrain

if TYPE_CHECKING:
    from .bulletin import Bulletin
    from .grid import Grid


def danger(heights: "Grid", snow: "Grid", x: int, y: int) -> int:
    angle = terrain.slope(heights, x, y)
    load = snow[x, y]
    if angle < 28:
        return 1
    return 4 if load > 120 else 3 if load > 60 else 2


def attach(bulletin: "Bulletin", heights: "Grid", snow: "Grid") -> None:
    for x, y in heights.places():
        level = danger(heights, snow, x, y)
        if level > bulletin.level:
            bulletin.level = level
