from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Term:
    def __eq__(self, other):
        return Compare("=", self, wrap(other))

    def __lt__(self, other):
        return Compare("<", self, wrap(other))

    def __gt__(self, other):
        return Compare(">", self, wrap(other))

    __hash__ = None


@dataclass(eq=False)
class Column(Term):
    table: str
    name: str


@dataclass(eq=False)
class Literal(Term):
    value: Any


@dataclass(eq=False)
class Compare(Term):
    op: str
    left: Term
    right: Term


@dataclass(eq=False)
class Logic(Term):
    op: str
    parts: list[Term]


def wrap(value):
    return value if isinstance(value, Term) else Literal(value)
