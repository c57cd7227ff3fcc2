"""JUnit XML, which build servers read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from ai_dev_tools.benchmark._util.text import xml_text

COUNTED = {"failure": "failures", "skipped": "skipped", "error": "errors"}
"""Ways not to pass, and what a suite calls their number."""


@dataclass(frozen=True)
class TestCase:
    """One test case.

    Attributes:
        group: what it belongs to (`classname`).
        said: one line about what was found.
        outcome: `failure`, `skipped` or `error`; None for a case that passed.
    """

    __test__ = False  # pytest takes a class of this name for tests

    name: str
    group: str
    said: str
    outcome: str | None = None


def document(suite: str, cases: Sequence[TestCase]) -> str:
    """The XML text of one suite."""
    outcomes = [case.outcome for case in cases]
    numbers = {"tests": len(cases)} | {name: outcomes.count(outcome) for outcome, name in COUNTED.items()}
    counts = " ".join(f'{name}="{number}"' for name, number in numbers.items())
    head = f"<testsuites {counts}>\n<testsuite name={quoteattr(xml_text(suite))} {counts}>"
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', head, *map(_element, cases), "</testsuite>\n</testsuites>"]
    return "\n".join(lines) + "\n"


def _element(case: TestCase) -> str:
    head = f"<testcase name={quoteattr(xml_text(case.name))} classname={quoteattr(xml_text(case.group))}>"
    said = xml_text(case.said)
    inner = (
        f"<{case.outcome} message={quoteattr(said)}/>" if case.outcome else f"<system-out>{escape(said)}</system-out>"
    )
    return f"{head}{inner}</testcase>"
