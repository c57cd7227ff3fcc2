import math

from .bodies import solar_system
from .const import AU
from .craft import Burn, Craft
from .solver import bisect
from .vector import Vector


def launch(day: float, speed: float) -> Craft:
    earth = next(b for b in solar_system(day) if b.name == "earth")
    ahead = earth.velocity.unit()
    place = earth.position + ahead * (earth.radius * 100)
    return Craft("probe", 1_200.0, 400.0, 3_100.0, place, earth.velocity + ahead * speed)


def miss(target: str, day: float, speed: float, days: float) -> float:
    closest: dict[str, float] = {}
    craft = launch(day, speed)
    craft.burns.append(Burn(days / 2, Vector(0, 0, 1), 15.0))
    craft.fly(solar_system(day), days, closest=closest)
    return closest.get(target, math.inf) / AU


def window(target: str, first: int, last: int, speed: float, days: float) -> tuple[int, float]:
    best, when = math.inf, first
    for day in range(first, last, 5):
        gap = miss(target, day, speed, days)
        if gap < best:
            best, when = gap, day
    return when, best


def tune(target: str, day: float, days: float, goal: float = 0.01) -> float:
    return bisect(lambda v: miss(target, day, v, days) - goal, 3_000.0, 12_000.0, 1.0)
