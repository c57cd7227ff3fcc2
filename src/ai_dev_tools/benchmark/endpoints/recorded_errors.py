"""Rebuild a server's reply from a recorded error, so that its replay is recorded as the same error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ai_dev_tools.benchmark.endpoints.ollama_client import server_error, status_error
from ai_dev_tools.benchmark.errors import BenchmarkError

IN_STREAM = 200
"""Status of an error that a server sends within the stream of an answer."""
_FORMS = tuple(
    re.compile(form, re.DOTALL)
    for form in (
        r"the server says: (?P<text>.*?)(?: \((?P<status>[45]\d\d)\))?",
        r"the prompt does not fit the context window: (?P<text>.*?)(?: \((?P<status>[45]\d\d)\))?",
        r"the server is busy(?: or limits requests)? \((?P<status>[45]\d\d)\): (?P<text>.*)",
        r"the server has no such model or address \((?P<status>[45]\d\d)\): (?P<text>.*)",
        r"(?P<text>the server refuses access \((?P<status>40[13])\)).*",
        r"(?P<text>a proxy cannot reach the server \((?P<status>50[24])\))",
    )
)
_USUAL = {"overloaded": 503, "runner": 500, "context_overflow": 400, "model": 400, "configuration": 400}
"""Status of an error whose message does not say it; those of other classes have none."""
_CANCELLED = 499
_PLAINLY = {
    "context_overflow": "the prompt is too long",
    "runner": "the runner has terminated",
    "model": "refused, in words that mean something else now",
}
"""What is said in front, or instead, of words that would be read as another class: the class matters more."""


def as_sent(error_class: str, message: str) -> tuple[int, str] | None:
    """Status and message with which a server in Ollama's words is recorded to have failed like this.

    Args:
        error_class, message: as they were recorded.

    Returns:
        None if no answer of a server is recorded like this, as a broken connection.
    """
    sent = list(_candidates(error_class, message))
    alike = [one for one in sent if _recorded(*one).error_class == error_class]
    exact = (one for one in alike if str(_recorded(*one)) == message)
    return next(exact, None) or next(iter([*alike, *sent]), None)


def _candidates(error_class: str, message: str) -> Iterator[tuple[int, str]]:
    usual, said = _USUAL.get(error_class), message or error_class.replace("_", " ")
    for found in filter(None, (form.fullmatch(message) for form in _FORMS)):
        text, status = found["text"], found["status"]
        if status:
            yield int(status), text
        said = f"{text} ({status})" if status else text
        yield from ((one, said) for one in (IN_STREAM, usual) if one)
    if message == str(_recorded(_CANCELLED, "")):
        yield _CANCELLED, ""
    if usual:
        yield usual, said
        if plainly := _PLAINLY.get(error_class):
            yield from ((usual, words) for words in (f"{plainly}: {said}", plainly))


def _recorded(status: int, text: str) -> BenchmarkError:
    """What the client makes of it."""
    if status == IN_STREAM:
        return server_error(text, may_pass=True)
    return status_error(status, json.dumps({"error": text}).encode())
