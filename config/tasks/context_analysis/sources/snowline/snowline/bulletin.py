from dataclasses import dataclass

from .avalanche import attach
from .grid import Grid
from .melt import melt

WORDS = ["", "low", "moderate", "considerable", "high"]


@dataclass
class Bulletin:
    region: str
    level: int = 1
    litres: float = 0.0

    def text(self) -> str:
        return f"{self.region}: danger is {WORDS[self.level]}, {self.litres:.0f} l of melt water"


def write(region: str, heights: Grid, snow: Grid, hours) -> Bulletin:
    bulletin = Bulletin(region)
    attach(bulletin, heights, snow)
    bulletin.litres = sum(melt(heights, snow, hours))
    return bulletin
