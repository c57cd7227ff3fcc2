import random

from . import pests
from .clock import Clock
from .trees import Tree
from .weather import Weather


class Orchard:
    def __init__(self, clock: Clock, weather: Weather, trees: list[Tree]):
        self.clock = clock
        self.weather = weather
        self.trees = trees
        self.store: dict[str, float] = {}
        self.log: list[str] = []
        self.rng = random.Random(7)

    def day(self):
        self.clock.advance()
        self.weather.next_day()
        for tree in self.trees:
            tree.grow(self.weather)
        for name, count in pests.infest(self.trees, self.weather.celsius, self.rng).items():
            self.log.append(f"{self.clock.day}: {count} trees with {name}")

    def harvest(self, hands: int) -> float:
        picked = 0.0
        for tree in self.trees:
            if picked > hands * 350:
                break
            if tree.stage == "ripe" and tree.fruit > 0:
                self.store[tree.kind] = self.store.get(tree.kind, 0.0) + tree.fruit
                picked += tree.fruit
                tree.fruit = 0.0
        return picked
