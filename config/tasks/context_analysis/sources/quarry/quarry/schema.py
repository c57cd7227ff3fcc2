import sqlite3

from . import statistics
from .terms import Column


class Schema:
    def __init__(self, connection: sqlite3.Connection):
        self.tables: dict[str, dict[str, str]] = {}
        self.indexes: dict[str, set[str]] = {}
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            self.tables[name] = {r[1]: r[2] for r in connection.execute(f"PRAGMA table_info({name})")}
            self.indexes[name] = set()
            for row in connection.execute(f"PRAGMA index_list({name})"):
                for _, _, column in connection.execute(f"PRAGMA index_info({row[1]})"):
                    self.indexes[name].add(column)

    def skewed(self, connection, table, column):
        rows = connection.execute(f"SELECT count(*) FROM {table} GROUP BY {column} LIMIT 1000")
        return statistics.spread([count for (count,) in rows]) > 2

    def column(self, table, name):
        if name not in self.tables[table]:
            raise AttributeError(f"{table} has no column {name}")
        return Column(table, name)
