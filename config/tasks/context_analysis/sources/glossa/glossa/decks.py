import csv
import pathlib

from . import cards


def read(path):
    with pathlib.Path(path).open(newline="", encoding="utf-8") as handle:
        return [cards.Card(r[0], r[1]) for r in csv.reader(handle, delimiter="\t") if len(r) > 1]


def split(deck, size):
    return [deck[i:i + size] for i in range(0, len(deck), size)]
