"""What a fault on the way to a server is expected to lead to, what was seen of it, and the table in the documentation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ai_dev_tools.benchmark.records.sample import Sample
from support.repository import ROOT

DOCS = ROOT / "docs" / "reliability.md"
END = "<!-- end of faults -->"
LIMIT_S = 1.0
"""`task_timeout` under faults that only a timeout ends."""


@dataclass(frozen=True)
class Expected:
    """What a fault leads to."""

    what: str
    error_class: str | None = None
    tries: int = 1
    flag: str | None = None
    asked_again: bool = False
    status: str = "failed"


def passing(what: str, error_class: str) -> Expected:
    return Expected(what, error_class, tries=3, flag="retried", asked_again=True)


def completed(what: str, flag: str | None = None) -> Expected:
    return Expected(what, flag=flag, status="completed")


@dataclass
class Seen:
    """What came of a block under a fault, and of the same block afterwards without it."""

    samples: list[Sample]
    broken: int
    rerun: list[Sample]
    asked_by_rerun: int
    files: int

    def of(self, case: str) -> list[Sample]:
        return [sample for sample in self.samples if sample.case == case]


def rows(expected_of: Mapping[str, Expected], see: Callable[[str], Seen]) -> list[str]:
    """The rows as they were seen, not as they are expected."""
    lines = []
    for name, expected in expected_of.items():
        seen = see(name)
        sample, passed = seen.of("two")[0], seen.of("three")[0]
        flags = ", ".join(flag for flag in sample.flags if flag != "retried")
        result = f"`{sample.error.class_}`" if sample.error else "completed" + (f", flag `{flags}`" if flags else "")
        recovered = f"completed, {len(passed.attempts)} tries" if sample.error and passed.status == "completed" else "–"
        kept = "asks again" if seen.asked_by_rerun else "keeps it"
        lines.append(f"| {expected.what} | {result} | {len(sample.attempts)} | {recovered} | {kept} |")
    return lines


def check_table(begin: str, written_now: str) -> None:
    """The table behind this mark in the documentation is the one that is given; UPDATE_DOCS=1 writes it."""
    text = DOCS.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    written, _, after = rest.partition(END)
    assert after, f"{DOCS} has no place for the table"
    if os.environ.get("UPDATE_DOCS"):
        DOCS.write_text(f"{before}{begin}\n\n{written_now}\n\n{END}{after}", encoding="utf-8")
    else:
        assert written.strip() == written_now, "UPDATE_DOCS=1 pytest, on this file, writes it anew"
