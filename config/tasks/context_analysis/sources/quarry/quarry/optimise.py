from __future__ import annotations

from typing import TYPE_CHECKING

from .statistics import selectivity
from .terms import Compare, Literal, Logic

if TYPE_CHECKING:
    from .query import Query


def flatten(term):
    if isinstance(term, Logic) and len(term.parts) == 1:
        return flatten(term.parts[0])
    if not isinstance(term, Logic):
        return term
    parts = []
    for part in map(flatten, term.parts):
        parts += part.parts if isinstance(part, Logic) and part.op == term.op else [part]
    return Logic(term.op, parts)


def contradicts(filters):
    fixed = {}
    for term in filters:
        if isinstance(term, Compare) and term.op == "=" and isinstance(term.right, Literal):
            key = (term.left.table, term.left.name)
            if key in fixed and fixed[key] != term.right.value:
                return True
            fixed[key] = term.right.value
    return False


def optimise(query: Query) -> Query:
    filters = [flatten(t) for t in query.filters]
    if contradicts(filters):
        return query.changed(filters=filters, count=0)
    filters.sort(key=lambda t: selectivity(t, query.schema))
    return query.changed(filters=filters)
