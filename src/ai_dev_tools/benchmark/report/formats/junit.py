"""Verdicts as JUnit test cases, so that a build server shows them: invalid is an error, costs a failure, inconclusive skipped."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from ai_dev_tools.benchmark.report import model
from ai_dev_tools.benchmark.report.text import visible

ELEMENTS = {"costs": "failure", "inconclusive": "skipped", "invalid": "error"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: model.Report) -> str:
    """The JUnit XML text; a run without any verdict has one skipped test case that says why."""
    verdicts = report.verdicts
    cases = [_case(v.claim, f"{v.profile}.{v.model}", v.word, v.sentence) for v in verdicts]
    if not cases:
        empty = next(b.empty for _, b in report.blocks() if isinstance(b, model.Verdicts))
        cases = [_case("verdict", str(report.benchmark_info["profile"]), "inconclusive", empty)]
    words = [v.word for v in verdicts] or ["inconclusive"]
    counts = f'tests="{len(cases)}" failures="{words.count("costs")}" errors="{words.count("invalid")}" skipped="{words.count("inconclusive")}"'
    name = quoteattr(_clean(f"benchmark.{report.benchmark_info['profile']}"))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {counts}>\n<testsuite name={name} {counts}>\n' + "\n".join(cases) + "\n</testsuite>\n</testsuites>\n"


def _case(name: str, group: str, word: str, sentence: str) -> str:
    head = f"<testcase name={quoteattr(_clean(name))} classname={quoteattr(_clean(group))}"
    text = _clean(sentence)
    if word in ELEMENTS:
        element = ELEMENTS[word]
        return f"{head}><{element} message={quoteattr(word + ': ' + text)}/></testcase>"
    return f"{head}><system-out>{escape(text)}</system-out></testcase>"


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", visible(text, keep_lines=False))
