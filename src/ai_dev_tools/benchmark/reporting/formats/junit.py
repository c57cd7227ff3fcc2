"""Verdicts as JUnit test cases for build servers.

Invalid is an error, costs is a failure, and inconclusive is skipped.
"""

from __future__ import annotations

from ai_dev_tools.benchmark._util import junit
from ai_dev_tools.benchmark.reporting import document

OUTCOMES = {"costs": "failure", "inconclusive": "skipped", "invalid": "error"}


def render(report: document.Report) -> str:
    """The JUnit XML text; a run without any verdict has one skipped test case that says why."""
    profile = str(report.benchmark_info["profile"])
    cases = [_case(v.claim, f"{v.profile}.{v.model}", v.word, v.sentence) for v in report.verdicts]
    if not cases:
        empty = next(b.empty for _, b in report.blocks() if isinstance(b, document.Verdicts))
        cases = [_case("verdict", profile, "inconclusive", empty)]
    return junit.document(f"benchmark.{profile}", cases)


def _case(name: str, group: str, word: str, sentence: str) -> junit.TestCase:
    outcome = OUTCOMES.get(word)
    return junit.TestCase(name, group, f"{word}: {sentence}" if outcome else sentence, outcome)
