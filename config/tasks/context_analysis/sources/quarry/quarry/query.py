from __future__ import annotations

import copy

from . import optimise, render
from .schema import Schema
from .terms import Column, Logic, Term


class Query:
    def __init__(self, schema: Schema, name: str):
        self.schema = schema
        self.tables = [name]
        self.joins: list[Term] = []
        self.filters: list[Term] = []
        self.columns: list[Column] = []
        self.sorting: list[tuple[Column, bool]] = []
        self.count: int | None = None

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self.schema.column(self.tables[0], name)

    def changed(self, **values):
        twin = copy.copy(self)
        for name, value in values.items():
            setattr(twin, name, value)
        return twin

    def where(self, *terms):
        return self.changed(filters=[*self.filters, *terms])

    def join(self, other: Query, on: Term):
        return self.changed(tables=[*self.tables, *other.tables], joins=[*self.joins, on])

    def order_by(self, column, down=False):
        return self.changed(sorting=[*self.sorting, (column, down)])

    def limit(self, count):
        return self.changed(count=count)

    def condition(self):
        return Logic("AND", [*self.joins, *self.filters])

    def sql(self):
        return render.select(optimise.optimise(self))


def table(schema, name):
    return Query(schema, name)
