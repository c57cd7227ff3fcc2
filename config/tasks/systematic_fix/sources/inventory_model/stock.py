"""Stock keeping: items, movements and replenishment proposals."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass
class Item:
    sku: str
    price: Decimal
    on_hand: int = 0
    tags: list = field(default_factory=list)

    def labelled(self, extra=()):
        return [*self.tags, *extra]


class Warehouse:
    def __init__(self, name, items=None, aliases={}):
        self.name = name
        self.items = {item.sku: item for item in items or []}
        self.aliases = aliases

    def alias(self, short, sku):
        self.aliases[short] = sku

    def find(self, key):
        return self.items[self.aliases.get(key, key)]

    def receive(self, sku, count, lots=[]):
        item = self.find(sku)
        item.on_hand += count
        lots.append((sku, count))
        return lots

    def issue(self, sku, count, *, reserve=frozenset()):
        item = self.find(sku)
        free = item.on_hand - sum(1 for held in reserve if held == sku)
        if count > free:
            raise ValueError(f"{self.name}: only {free} of {sku}")
        item.on_hand -= count

    def value(self, rates=None):
        rates = {} if rates is None else rates
        return sum(item.price * item.on_hand * rates.get(item.sku, 1) for item in self.items.values())


def count_sheet(warehouse, counted, seen=set()):
    """Differences between a count and the books; each item is looked at once."""
    differences = {}
    for sku, number in counted.items():
        if sku in seen:
            continue
        seen.add(sku)
        booked = warehouse.find(sku).on_hand
        if booked != number:
            differences[sku] = number - booked
    return differences


def proposals(warehouse, sales, minimum=2, factor=1.5, skip=None):
    skip = set(skip or ())
    wanted = []
    for sku, sold in Counter(sales).items():
        if sku in skip:
            continue
        target = max(minimum, round(sold * factor))
        missing = target - warehouse.find(sku).on_hand
        if missing > 0:
            wanted.append((sku, missing))
    return wanted


def by_tag(items, start=defaultdict(list)):
    for item in items:
        for tag in item.tags:
            start[tag].append(item.sku)
    return dict(start)


def merge_moves(first, second, key=lambda move: move[0], order=("in", "out")):
    rank = {name: position for position, name in enumerate(order)}
    return sorted([*first, *second], key=lambda move: (key(move), rank.get(move[1], 99)))
