import sqlite3
import time

from .query import Query, table
from .schema import Schema
from .statistics import spread


class Session:
    def __init__(self, path):
        self.connection = sqlite3.connect(path)
        self.connection.row_factory = sqlite3.Row
        self.schema = Schema(self.connection)
        self.timings = {}

    def __getitem__(self, name):
        return table(self.schema, name)

    def run(self, query: Query):
        text, values = query.sql()
        start = time.perf_counter()
        rows = self.connection.execute(text, values).fetchall()
        self.timings.setdefault(text, []).append(time.perf_counter() - start)
        return rows

    def unsteady(self, limit=0.5):
        return [text for text, seconds in self.timings.items() if len(seconds) > 2 and spread(seconds) > limit]
