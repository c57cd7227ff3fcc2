"""What a fault on the way to a server is expected to lead to, what was seen of it, and the table in the documentation."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from ai_dev_tools.benchmark.execution import request, run_block
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.sample import Sample
from fakes.faults import Chat, Fault
from support.making import block, prompts
from support.repository import ROOT

DOCS = ROOT / "docs" / "reliability.md"
END = "<!-- end of faults -->"
MODEL = "fake:1b"
LIMIT_S = 1.0
"""`task_timeout` under faults that only a timeout ends."""


class Breakable(Protocol):
    """A server, or a proxy, that breaks the attempts of measured requests that `choose` picks."""

    choose: Callable[[Chat], Fault | None]
    broken: Counter[str]
    chats: list[Chat]

    @property
    def url(self) -> str: ...


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


def a_block(folder: Path, url: str, timeout_s: float = 10.0, **endpoint: object) -> Block:
    spec = {"kind": url, "instance": "small", "model": MODEL, "max_concurrent": 1, "startup_timeout_s": 5}
    return block(model=MODEL, results=str(folder), timeout_s=timeout_s, endpoint=spec | endpoint)


def run(asked: Block) -> list[Sample]:
    return run_block(asked, prompts(asked), lambda _: None, threading.Event())


def observe(server: Breakable, fault: Fault, *, hangs: bool, at_once: int = 1) -> Seen:
    """Run a block under a fault, then again without it; all attempts of case `two` and the first of `three` meet the fault.

    Args:
        hangs: only a timeout ends the fault; those of several requests pass at once.
        at_once: how many requests are in flight otherwise.
    """

    def choose(chat: Chat) -> Fault | None:
        return fault if "two" in chat.prompt or ("three" in chat.prompt and chat.attempt == 1) else None

    pause = request.BACKOFF_BASE_S
    request.BACKOFF_BASE_S = 0.02
    try:
        with TemporaryDirectory() as folder:
            limit_s, at_once = (LIMIT_S, 6) if hangs else (10.0, at_once)
            asked = a_block(Path(folder), server.url, limit_s, max_concurrent=at_once)
            server.choose = choose
            samples = run(asked)
            broken = sum(server.broken.values())
            server.choose, before = (lambda _: None), len(server.chats)
            rerun = run(asked)
            files = len(list(Path(folder, "samples").rglob("*.json")))
            return Seen(samples, broken, rerun, len(server.chats) - before, files)
    finally:
        request.BACKOFF_BASE_S = pause


def check_tries(expected: Expected, seen: Seen) -> None:
    """The fault ended in its class after its tries."""
    for sample in seen.of("two"):
        assert sample.status == expected.status
        assert (sample.error and sample.error.class_) == expected.error_class
        assert len(sample.attempts) == expected.tries
        assert sample.error is None or "\n" not in sample.error.message
        assert expected.flag is None or expected.flag in sample.flags
    assert seen.broken == 2 * expected.tries + 2, "both arms of both cases met it"


def check_block(expected: Expected, seen: Seen) -> None:
    """The block went on after the fault and lost nothing."""
    assert len(seen.samples) == seen.files == 6
    assert all(sample.status == "completed" for sample in seen.of("one"))
    recovered = expected.tries > 1 or expected.status == "completed"
    assert all((sample.status == "completed") == recovered for sample in seen.of("three"))
    assert all(len(sample.attempts) == (2 if expected.tries > 1 else 1) for sample in seen.of("three"))


def check_rerun(expected: Expected, seen: Seen) -> None:
    """The rerun asked again what might pass, and only that."""
    again = sum(sample.status != "completed" for sample in seen.samples)
    assert seen.asked_by_rerun == (again if expected.asked_again else 0)
    after = "completed" if expected.asked_again else expected.status
    assert [s.status for s in seen.rerun if s.case == "two"] == [after] * 2


def rows(expected_of: Mapping[str, Expected], see: Callable[[str], Seen]) -> list[str]:
    """The rows as they were seen, not as they are expected."""
    lines = []
    for name, expected in expected_of.items():
        seen = see(name)
        sample, passed = seen.of("two")[0], seen.of("three")[0]
        flags = ", ".join(flag for flag in sample.flags if flag != "retried")
        result = f"`{sample.error.class_}`" if sample.error else "completed" + (f", flag `{flags}`" if flags else "")
        recovered = (
            f"completed, {len(passed.attempts)} attempts" if sample.error and passed.status == "completed" else "–"
        )
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
