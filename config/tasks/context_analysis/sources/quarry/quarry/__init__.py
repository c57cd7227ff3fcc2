"""A query builder and its tiny planner."""
from .query import Query, table

__all__ = ["Query", "table"]
