import math

from . import accounts
from .clock import Clock

BASE = {"apple": 0.9, "pear": 1.1, "cherry": 3.2}


class Market:
    def __init__(self, clock: Clock):
        self.clock = clock
        self.sold: dict[str, float] = {}

    def price(self, kind: str) -> float:
        glut = self.sold.get(kind, 0.0) / 10_000
        return BASE[kind] * math.exp(-glut) * (1.3 if self.clock.season == "winter" else 1.0)

    def worth_picking(self, kind: str, kilos: float) -> bool:
        return self.price(kind) * kilos > accounts.WAGE

    def sell(self, kind: str, kilos: float) -> float:
        income = self.price(kind) * kilos
        self.sold[kind] = self.sold.get(kind, 0.0) + kilos
        return income
