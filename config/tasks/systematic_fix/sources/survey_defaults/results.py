"""Tables over the answers of a survey."""

from __future__ import annotations

import csv
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Answers = dict[str, Any]


def tally(answers: Iterable[Answers], key: str, counts: Counter[str] = Counter()) -> Counter[str]:
    for answer in answers:
        if key in answer:
            counts[answer[key]] += 1
    return counts


def cross(answers: Sequence[Answers], row: str, column: str, skip: frozenset[str] = frozenset()) -> dict[str, Counter[str]]:
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for answer in answers:
        if answer.get(row) not in skip and answer.get(column) not in skip:
            table[answer[row]][answer[column]] += 1
    return dict(table)


def numbers(answers: Iterable[Answers], key: str, convert: Callable[[Any], float] = float) -> list[float]:
    return [convert(answer[key]) for answer in answers if answer.get(key) is not None]


def summary(values: Sequence[float], points: Sequence[int] = (25, 50, 75)) -> dict[str, float]:
    if not values:
        return {}
    cuts = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else [values[0]] * 99
    return {"mean": statistics.fmean(values), **{f"p{point}": cuts[point - 1] for point in points}}


class Weights:
    """Makes a sample look like the population."""

    def __init__(self, key: str, shares: dict[str, float]) -> None:
        self.key = key
        self.shares = shares

    def apply(self, answers: Sequence[Answers], *, default: float = 1.0) -> list[float]:
        counts = Counter(answer.get(self.key) for answer in answers)
        weights = []
        for answer in answers:
            group = answer.get(self.key)
            share = self.shares.get(group)
            weights.append(share * len(answers) / counts[group] if share else default)
        return weights


class Report:
    def __init__(self, title: str, parts: tuple[str, ...] = (), labels: dict[str, str] | None = None) -> None:
        self.title = title
        self.parts = list(parts)
        self.labels = dict(labels or {})

    def bar(self, name: str, counts: Counter[str], order: list[str] = [], width: int = 40) -> Report:
        order.extend(option for option in sorted(counts) if option not in order)
        most = max(counts.values(), default=1)
        lines = [f"{option:<20} {'#' * round(width * counts[option] / most)} {counts[option]}" for option in order]
        self.parts.append("\n".join([self.labels.get(name, name), *lines]))
        return self

    def table(self, name: str, rows: dict[str, Counter[str]]) -> Report:
        columns = sorted({column for counts in rows.values() for column in counts})
        lines = ["\t".join(["", *columns])]
        lines += ["\t".join([row, *(str(counts[column]) for column in columns)]) for row, counts in sorted(rows.items())]
        self.parts.append("\n".join([self.labels.get(name, name), *lines]))
        return self

    def text(self) -> str:
        return f"{self.title}\n{'=' * len(self.title)}\n\n" + "\n\n".join(self.parts) + "\n"


def read_answers(path: Path, renamed: dict[str, str] = {}, drop: Sequence[str] = ()) -> list[Answers]:
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return [{renamed.get(key, key): value for key, value in row.items() if key not in drop} for row in rows]


def write_table(path: Path, rows: dict[str, Counter[str]], *, columns: Sequence[str] = ()) -> None:
    columns = columns or sorted({column for counts in rows.values() for column in counts})
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["", *columns])
        writer.writerows([row, *(counts[column] for column in columns)] for row, counts in rows.items())
