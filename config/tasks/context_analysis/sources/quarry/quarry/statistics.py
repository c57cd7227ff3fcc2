import statistics

from .schema import Schema
from .terms import Column, Compare, Literal, Logic

GUESS = {"=": 0.05, "<": 0.33, ">": 0.33}


def selectivity(term, schema: Schema) -> float:
    if isinstance(term, Logic):
        shares = [selectivity(p, schema) for p in term.parts]
        return min(shares) if term.op == "AND" else min(sum(shares), 1.0)
    if not isinstance(term, Compare):
        return 1.0
    share = GUESS.get(term.op, 0.5)
    if isinstance(term.left, Column) and isinstance(term.right, Literal):
        if term.left.name in schema.indexes.get(term.left.table, ()):
            share /= 10
        if term.right.value is None and term.op == "=":
            share = 0.01
        elif isinstance(term.right.value, bool) and term.op == "=":
            share = 0.5
    return share


def spread(values):
    return statistics.pstdev(values) / statistics.fmean(values) if values else 0.0
