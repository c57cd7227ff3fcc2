"""How a script of the workflow ends when something is wrong: one line on the console and in its log, no traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ai_dev_tools.benchmark.errors import BenchmarkError

Say = Callable[[str], None]


@contextmanager
def job(log_file: str | Path | None = None) -> Iterator[Say]:
    """Yield a function that says a line on the console and in the log; turn a BenchmarkError into exit code 1."""
    log = Path(log_file) if log_file else None
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        if log:
            with log.open("a", encoding="utf-8") as file:
                print(line, file=file)

    try:
        yield say
    except BenchmarkError as error:
        say(f"error: {error}")
        raise SystemExit(1) from None
