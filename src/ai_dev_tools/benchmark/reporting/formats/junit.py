"""Verdicts as JUnit test cases for build servers.

Invalid is an error, costs is a failure, and inconclusive is skipped.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from ai_dev_tools.benchmark._util.text import xml_text
from ai_dev_tools.benchmark.reporting import document

ELEMENTS = {"costs": "failure", "inconclusive": "skipped", "invalid": "error"}
COUNTED = {"costs": "failures", "inconclusive": "skipped", "invalid": "errors"}


def render(report: document.Report) -> str:
    """The JUnit XML text; a run without any verdict has one skipped test case that says why."""
    verdicts = report.verdicts
    cases = [_case(v.claim, f"{v.profile}.{v.model}", v.word, v.sentence) for v in verdicts]
    if not cases:
        empty = next(b.empty for _, b in report.blocks() if isinstance(b, document.Verdicts))
        cases = [_case("verdict", str(report.benchmark_info["profile"]), "inconclusive", empty)]
    words = [v.word for v in verdicts] or ["inconclusive"]
    numbers = {"tests": len(cases)} | {COUNTED[word]: words.count(word) for word in ELEMENTS}
    counts = " ".join(f'{name}="{number}"' for name, number in numbers.items())
    name = quoteattr(xml_text(f"benchmark.{report.benchmark_info['profile']}"))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {counts}>\n<testsuite name={name} {counts}>\n'
        + "\n".join(cases)
        + "\n</testsuite>\n</testsuites>\n"
    )


def _case(name: str, group: str, word: str, sentence: str) -> str:
    head = f"<testcase name={quoteattr(xml_text(name))} classname={quoteattr(xml_text(group))}"
    text = xml_text(sentence)
    if word in ELEMENTS:
        element = ELEMENTS[word]
        return f"{head}><{element} message={quoteattr(word + ': ' + text)}/></testcase>"
    return f"{head}><system-out>{escape(text)}</system-out></testcase>"
