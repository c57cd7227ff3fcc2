import random

from .trees import Tree

RATES = {"apple": ("codling moth", 0.02), "pear": ("psylla", 0.015), "cherry": ("fruit fly", 0.03)}


def infest(trees: list[Tree], celsius: float, rng: random.Random) -> dict[str, int]:
    seen: dict[str, int] = {}
    for tree in trees:
        name, rate = RATES[tree.kind]
        if tree.stage not in ("fruit", "ripe") or celsius < 12:
            continue
        if rng.random() < rate:
            tree.health *= 0.9
            tree.fruit *= 0.85
            seen[name] = seen.get(name, 0) + 1
    return seen


def spray(trees: list[Tree], kind: str) -> int:
    treated = [t for t in trees if t.kind == kind]
    for tree in treated:
        tree.health = min(tree.health * 1.05, 1.0)
    return len(treated)
