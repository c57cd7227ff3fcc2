from __future__ import annotations

from typing import TYPE_CHECKING

from .terms import Column, Compare, Literal, Logic, Term

if TYPE_CHECKING:
    from .query import Query


def expression(term: Term, values: list) -> str:
    if isinstance(term, Column):
        return f'"{term.table}"."{term.name}"'
    if isinstance(term, Literal):
        if term.value is None:
            return "NULL"
        values.append(term.value)
        return "?"
    if isinstance(term, Compare):
        right = expression(term.right, values)
        op = "IS" if right == "NULL" and term.op == "=" else term.op
        return f"{expression(term.left, values)} {op} {right}"
    if isinstance(term, Logic):
        return "(" + f" {term.op} ".join(expression(p, values) for p in term.parts) + ")"
    raise TypeError(type(term).__name__)


def select(query: Query) -> tuple[str, list]:
    values: list = []
    columns = ", ".join(expression(c, values) for c in query.columns) or "*"
    text = f"SELECT {columns} FROM " + ", ".join(f'"{t}"' for t in query.tables)
    condition = query.condition()
    if condition.parts:
        text += " WHERE " + expression(condition, values)
    if query.sorting:
        text += " ORDER BY " + ", ".join(expression(c, values) + (" DESC" if d else "") for c, d in query.sorting)
    if query.count is not None:
        text += f" LIMIT {int(query.count)}"
    return text, values
