from collections import Counter

from . import session
from .cards import Card


def boxes(deck: list[Card]) -> dict[int, int]:
    counts = Counter(card.box for card in deck)
    return {n: counts[n] for n in range(7)}


def bar(deck, width=30):
    total = len(deck) or 1
    return "".join(str(n) * round(c / total * width) for n, c in boxes(deck).items())


def line(run):
    if not isinstance(run, session.Session):
        raise TypeError(run)
    return f"{run.score['right']} right, {run.score['wrong']} wrong, {len(run.queue)} to go"
