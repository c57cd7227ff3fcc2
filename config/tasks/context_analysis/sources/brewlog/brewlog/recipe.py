from dataclasses import dataclass, field


@dataclass
class Hop:
    name: str
    grams: float
    alpha: float
    minutes: int


@dataclass
class Recipe:
    name: str
    litres: float
    original: float
    hops: list[Hop] = field(default_factory=list)

    def bitterness(self):
        from . import bitterness

        return bitterness.tinseth(self)
