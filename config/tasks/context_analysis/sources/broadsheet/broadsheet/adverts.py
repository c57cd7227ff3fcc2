from dataclasses import dataclass

from . import config

SIZES = {"quarter": (2, 100), "half": (5, 180), "strip": (5, 40)}


@dataclass
class Advert:
    client: str
    size: str
    page: int | None = None
    colour: bool = False


def price(advert: Advert) -> float:
    width, height = SIZES[advert.size]
    base = width * height * config.read()["rate"]
    return base * 1.6 if advert.colour else base


def clash(a: Advert, b: Advert) -> bool:
    from .rules import COMPETITORS

    return frozenset((a.client, b.client)) in COMPETITORS
