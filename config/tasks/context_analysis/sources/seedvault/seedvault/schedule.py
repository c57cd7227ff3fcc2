from .freezer import Freezer
from .testing import germination


def due(freezer: Freezer, budget: int, strict: bool = False) -> list:
    """Samples to test this season, worst first."""
    wanted = []
    for drawer in freezer.drawers:
        for sample in drawer:
            if sample.seeds < 50:
                continue
            if sample.expected() < 0.85 or (strict and sample.years > 5):
                wanted.append(sample)
    wanted.sort(key=lambda s: s.expected())
    return wanted[:budget]


def regenerate(freezer: Freezer, budget: int) -> list[str]:
    return [s.code for s in due(freezer, budget) if germination(s) < 0.6]
