from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .market import Market
    from .orchard import Orchard
    from .weather import Weather

STAGES = ["dormant", "bud", "blossom", "fruit", "ripe"]
NEEDS = {"apple": 220, "pear": 200, "cherry": 150}


@dataclass
class Tree:
    kind: str
    age: int
    warmth: float = 0.0
    stage: str = "dormant"
    fruit: float = 0.0
    health: float = 1.0

    def grow(self, weather: Weather) -> None:
        if weather.clock.season == "winter":
            self.stage, self.warmth = "dormant", 0.0
            return
        self.warmth += max(weather.celsius - 5.0, 0.0)
        need = NEEDS[self.kind]
        if self.stage == "dormant" and self.warmth > need * 0.4:
            self.stage = "bud"
        elif self.stage == "bud" and self.warmth > need:
            self.stage = "blossom"
        elif self.stage == "blossom":
            if weather.celsius < -1.0:
                self.health *= 0.7
            elif weather.sunny() and self.warmth > need * 1.6:
                self.stage = "fruit"
                self.fruit = self.yield_kg()
        elif self.stage == "fruit" and self.warmth > need * 6:
            self.stage = "ripe"

    def yield_kg(self) -> float:
        young = min(self.age / 6, 1.0)
        old = 1.0 if self.age < 25 else 25 / self.age
        return 60 * young * old * self.health

    def worth(self, market: Market) -> float:
        return market.price(self.kind) * self.fruit

    def neighbours(self, orchard: Orchard) -> list[Tree]:
        place = orchard.trees.index(self)
        return orchard.trees[max(place - 1, 0):place] + orchard.trees[place + 1:place + 2]
