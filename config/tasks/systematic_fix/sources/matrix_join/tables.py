"""Small tables without pandas: columns, joins, differences between two measurements."""

import itertools
import statistics
from collections import defaultdict


class Table:
    def __init__(self, names, rows):
        self.names = list(names)
        self.rows = [list(row) for row in rows]

    @classmethod
    def from_columns(cls, columns):
        return cls(columns, zip(*columns.values()))

    def column(self, name):
        position = self.names.index(name)
        return [row[position] for row in self.rows]

    def records(self):
        for row in self.rows:
            yield dict(zip(self.names, row, strict=True))

    def with_column(self, name, values):
        rows = [[*row, value] for row, value in zip(self.rows, values)]
        return Table([*self.names, name], rows)

    def numbered(self, first=1):
        rows = [[number, *row] for number, row in zip(itertools.count(first), self.rows)]
        return Table(["no", *self.names], rows)

    def head(self, count=5):
        return Table(self.names, (row for row, _ in zip(self.rows, range(count))))

    def join(self, other, key):
        index = {record[key]: record for record in other.records()}
        names = [name for name in other.names if name != key]
        rows = []
        for record, row in zip(self.records(), self.rows, strict=True):
            match = index.get(record[key])
            if match is not None:
                rows.append([*row, *(match[name] for name in names)])
        return Table([*self.names, *names], rows)


def steps(values):
    """Differences between neighbours."""
    return [after - before for before, after in zip(values, values[1:])]


def weighted_mean(values, weights):
    total = sum(weights)
    return sum(value * weight for value, weight in zip(values, weights)) / total


def correlation(xs, ys):
    if len(xs) != len(ys):
        raise ValueError("both series need the same length")
    mx, my = statistics.fmean(xs), statistics.fmean(ys)
    top = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True))
    return top / (sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys)) ** 0.5


def compare(first, second, key, names):
    """Largest difference per column between two runs over the same keys."""
    worst = defaultdict(float)
    ordered = [sorted(table.records(), key=lambda record: record[key]) for table in (first, second)]
    for left, right in zip(*ordered):
        for name in names:
            worst[name] = max(worst[name], abs(left[name] - right[name]))
    return dict(worst)


def group_means(table, by, value):
    groups = defaultdict(list)
    for name, number in itertools.zip_longest(table.column(by), table.column(value)):
        groups[name].append(number)
    return {name: statistics.fmean(numbers) for name, numbers in groups.items()}


def render(table):
    widths = [max(len(str(cell)) for cell in [name, *table.column(name)]) for name in table.names]
    lines = []
    for row in [table.names, *table.rows]:
        lines.append("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)))
    return "\n".join(lines)
