import random

from .errors import Expired
from .samples import Sample


def draw(sample: Sample, count: int, seed=None) -> list[bool]:
    if sample.seeds < count:
        raise Expired(sample.code)
    rng = random.Random(seed)
    sample.seeds -= count
    return [rng.random() < sample.expected() for _ in range(count)]


def germination(sample: Sample, count: int = 50, seed=None) -> float:
    grown = draw(sample, count, seed)
    sample.viability = sum(grown) / count
    return sample.viability
