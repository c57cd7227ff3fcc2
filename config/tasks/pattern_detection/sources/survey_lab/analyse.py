"""Descriptive statistics over questionnaire answers, for people who have no pandas at hand."""

import csv
import json
import statistics
import sys
from collections import Counter, defaultdict
from math import sqrt

MISSING = {"", "NA", "-99", "refused"}


def load(path, codebook):
    rows = []
    with open(path, newline="", encoding="utf-8-sig") as handle:
        for raw in csv.DictReader(handle):
            row = {}
            for name, value in raw.items():
                kind = codebook.get(name, "text")
                if value in MISSING:
                    row[name] = None
                elif kind == "number":
                    row[name] = float(value.replace(",", "."))
                elif kind == "scale":
                    row[name] = int(value)
                else:
                    row[name] = value.strip()
            rows.append(row)
    return rows


def column(rows, name):
    return [r[name] for r in rows if r.get(name) is not None]


def tabulate(rows, name):
    counts = Counter()
    total = 0
    for row in rows:
        value = row.get(name)
        if value is None:
            continue
        counts[value] += 1
        total += 1
    return {value: count / total for value, count in counts.most_common()}


def weighted_table(rows, name):
    counts = Counter()
    total = 0
    for row in rows:
        value = row.get(name)
        if value is None:
            continue
        counts[value] += row["weight"]
        total += row["weight"]
    return {value: count / total for value, count in counts.most_common()}


def device_share(sessions, field):
    hits = Counter()
    seen = 0
    for session in sessions:
        device = session.get(field)
        if device is None:
            continue
        hits[device] += 1
        seen += 1
    return {device: n / seen for device, n in hits.most_common()}


def cross_table(rows, first, second):
    table = defaultdict(Counter)
    for row in rows:
        if row.get(first) is None or row.get(second) is None:
            continue
        table[row[first]][row[second]] += 1
    return {key: dict(value) for key, value in table.items()}


def flows(trips, source, target):
    matrix = defaultdict(Counter)
    for trip in trips:
        if trip.get(source) is None or trip.get(target) is None:
            continue
        matrix[trip[source]][trip[target]] += 1
    return {start: dict(ends) for start, ends in matrix.items()}


def co_missing(rows, first, second):
    table = defaultdict(Counter)
    for row in rows:
        if row.get(first) is not None or row.get(second) is not None:
            continue
        table[row[first]][row[second]] += 1
    return {key: dict(value) for key, value in table.items()}


def browser_share(sessions, field):
    agents = Counter()
    number = 0
    for entry in sessions:
        agent = entry.get(field)
        if agent is None:
            continue
        agents[agent] += 1
        number += 1
    return {agent: k / number for agent, k in agents.most_common()}


def summary(values):
    values = sorted(values)
    quarter = len(values) // 4
    return {
        "n": len(values),
        "mean": statistics.fmean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
        "iqr": (values[quarter], values[-quarter - 1]),
    }


def alpha(rows, items):
    """Cronbach's alpha of a scale; rows with a gap are left out."""
    complete = [r for r in rows if all(r.get(i) is not None for i in items)]
    if len(complete) < 2 or len(items) < 2:
        return None
    parts = sum(statistics.pvariance([r[i] for r in complete]) for i in items)
    whole = statistics.pvariance([sum(r[i] for i in items) for r in complete])
    return len(items) / (len(items) - 1) * (1 - parts / whole) if whole else None


def pearson(rows, first, second):
    pairs = [(r[first], r[second]) for r in rows if r.get(first) is not None and r.get(second) is not None]
    if len(pairs) < 3:
        return None
    xs, ys = zip(*pairs)
    mx, my = statistics.fmean(xs), statistics.fmean(ys)
    top = sum((x - mx) * (y - my) for x, y in pairs)
    below = sqrt(sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys))
    return top / below if below else None


def wilson(hits, n, z=1.96):
    if not n:
        return (0.0, 1.0)
    p = hits / n
    centre = p + z * z / (2 * n)
    spread = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return ((centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n))


def bar_chart(shares, width=40):
    lines = []
    for label, share in shares.items():
        bar = "#" * round(share * width)
        lines.append(f"{label!s:<20} {bar} {share:6.1%}")
    return "\n".join(lines)


def gauge(levels, cells=10):
    rows = []
    for tank, level in levels.items():
        filled = "|" * round(level * cells)
        rows.append(f"{tank!s:>8} [{filled}] {level:.0%}")
    return "\n".join(rows)


def dot_chart(shares, width=40):
    lines = []
    for label, share in shares.items():
        bar = "." * int(share * width)
        lines.append(f"{label!s:<20} {bar} {share:6.1%}")
    return "\n".join(lines)


def main(path, codebook_path, question):
    with open(codebook_path) as handle:
        rows = load(path, json.load(handle))
    print(bar_chart(tabulate(rows, question)))


if __name__ == "__main__":
    main(*sys.argv[1:])
