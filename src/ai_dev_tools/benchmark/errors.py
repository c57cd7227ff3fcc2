"""All errors of the project. Each class knows its name in result files and whether a retry can help."""

from __future__ import annotations

import errno

from ai_dev_tools.benchmark._util.credentials import without_passwords
from ai_dev_tools.benchmark._util.text import shorten, visible_line


class BenchmarkError(Exception):
    """A failure that a user can act on; `str(error)` is one line: what is wrong, where, and what to do.

    Attributes:
        error_class: name used in sample files, tables and reports.
        retried: whether the same request is tried again within a run (with backoff).
        asked_again: whether a later run asks again for a sample that ended like this (see `retry` in the config).
        instance, request, attempts, remedy: where it happened (a request by its digest) and what to do, if known.
        retry_after_s: seconds the server asked to wait before the next attempt, or None.
    """

    error_class = "benchmark"
    retried = False
    asked_again = False

    def __init__(
        self,
        message: str,
        *,
        instance: str | None = None,
        request: str | None = None,
        attempts: int = 1,
        remedy: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(without_passwords(" ".join(message.split())))
        self.instance = instance
        self.request = request
        self.attempts = attempts
        self.remedy = remedy
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        message = super().__str__()
        if self.instance and self.instance not in message:
            message = f"{self.instance}: {message}"
        return f"{message}. {self.remedy}" if self.remedy else message


class ConfigurationError(BenchmarkError):
    """An invalid setting, a missing or unreadable file, or a server that refuses access."""

    error_class = "configuration"
    asked_again = True


class ConfigurationErrors(ConfigurationError):
    """Several of them at once, one line each, so that a user can fix a file in one go."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(lines[0])
        self.lines = [without_passwords(line) for line in lines]

    def __str__(self) -> str:
        return "\n".join(self.lines)


def file_error(error: OSError) -> ConfigurationError:
    """An error of the file system that no other code handles, as one line."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    place = f"cannot {'write' if full else 'use'} {shorten(str(error.filename), 200)}: " if error.filename else ""
    remedy = "Free disk space and run the same command again: what is finished is kept" if full else None
    return ConfigurationError(f"{place}{error.strerror or type(error).__name__}", remedy=remedy)


def error_lines(error: BenchmarkError) -> list[str]:
    """An error as a person sees it: one line for each mistake."""
    return [visible_line(f"error: {line}") for line in str(error).splitlines()]


class BudgetNotKeptError(ConfigurationError):
    """What a run has spent cannot be noted: nothing more is sent, and what was not sent is not a sample."""


class EndpointConnectionError(BenchmarkError):
    """No connection, or one that broke before the answer was complete."""

    error_class = "connection"
    retried = True
    asked_again = True


class RequestTimeoutError(BenchmarkError):
    """The request took longer than `task_timeout`: a measured (censored) result, so it is kept."""

    error_class = "timeout"


class NoTurnError(BenchmarkError):
    """No answer within `task_timeout`, and no token of another request: the server was busy or hung.

    How long the request itself takes was not measured.
    """

    error_class = "no_turn"
    asked_again = True


class StartupTimeoutError(BenchmarkError):
    """The endpoint was not ready within `container_startup_timeout`."""

    error_class = "timeout"


class ModelError(BenchmarkError):
    """The model does not exist on the endpoint, or refuses the request."""

    error_class = "model"


class RunnerError(BenchmarkError):
    """The process that computes the answer ended midway or could not start.

    It was killed, crashed, or ran out of memory.
    """

    error_class = "runner"
    retried = True
    asked_again = True


class MalformedResponseError(BenchmarkError):
    """An answer that does not follow Ollama's protocol, or that ended without saying that it was done."""

    error_class = "malformed_response"
    retried = True
    asked_again = True


class OverloadedError(BenchmarkError):
    """The server is busy (HTTP 429 or 503)."""

    error_class = "overloaded"
    retried = True
    asked_again = True


class ContextOverflowError(BenchmarkError):
    """The prompt does not fit the context window; it is never cut silently."""

    error_class = "context_overflow"


class ToolError(BenchmarkError):
    """A tool under test crashed, hung, or printed what cannot be read.

    `spent_s` is how long that took, in seconds.
    """

    error_class = "tool"
    spent_s = 0.0
    other_cpu_s: float | None = None


class InterruptedRequestError(BenchmarkError):
    """The run was stopped while the request was in flight."""

    error_class = "interrupted"
    asked_again = True


LARGER_BUDGET = "Run the same command with a larger budget: only what is missing is asked"
"""What to do once a budget is spent."""


class BudgetReached(BenchmarkError):
    """The next request could cost more than is left of the run's budget, so it is not sent."""

    error_class = "budget"
    asked_again = True


ASKED_AGAIN: frozenset[str] = frozenset(c.error_class for c in BenchmarkError.__subclasses__() if c.asked_again)
"""Error classes of samples that a plain rerun asks again; the others are results."""
