import math

from .recipe import Recipe


def utilisation(gravity, minutes):
    return 1.65 * 0.000125 ** (gravity - 1) * (1 - math.exp(-0.04 * minutes)) / 4.15


def tinseth(recipe: Recipe) -> float:
    return sum(
        utilisation(recipe.original, h.minutes) * h.alpha * h.grams * 10 / recipe.litres
        for h in recipe.hops
        if h.minutes > 0
    )
