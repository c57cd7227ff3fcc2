"""A block runner on a bench: a folder for results, a labelled fake to ask, and what came of each run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark.execution import run_block
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.sample import Sample
from fakes.ollama import FakeOllama
from support.making import block, prompts

Reply = tuple[int, list[dict[str, Any]], float]
Bend = Callable[[int, "Reply"], "Reply"]
Prompts = dict[tuple[str, str], Prompt]


class Fake(FakeOllama):
    """LABELLED FAKE whose digest, statuses and durations a test can bend.

    Attributes:
        digest: of the model's weights.
        bend: changes the reply to the n-th measured request, from 0.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(["fake:1b"], **settings)
        self.digest = "weights-1"
        self.bend: Callable[[int, Reply], Reply] = lambda number, reply: reply
        self.warm_ups: list[dict[str, Any]] = []

    def _listed(self, model: str) -> dict[str, Any]:
        return super()._listed(model) | {"digest": self.digest}

    def reply(self, method: str, path: str, body: bytes) -> Reply:
        before = len(self.requests)
        reply = super().reply(method, path, body)
        if path != "/api/chat":
            return reply
        if len(self.requests) == before:
            self.warm_ups.append(json.loads(body))
            return reply
        return self.bend(before, reply)


class Bench:
    """A results folder and a server; each `run` is one block job."""

    def __init__(self, folder: Path, fake: Fake) -> None:
        self.fake = fake
        self.folder = folder
        self.lines: list[str] = []
        self.asked: list[dict[str, Any]] = []

    def block(self, **changed: Any) -> Block:
        endpoint = {
            "kind": self.fake.url,
            "instance": "small",
            "model": "fake:1b",
            "max_concurrent": 1,
            "startup_timeout_s": 5,
        }
        return block(**{"results": str(self.folder), "endpoint": endpoint | changed.pop("endpoint", {})} | changed)

    def run(self, given: Prompts | None = None, only: tuple[str, int] | None = None, **changed: Any) -> list[Sample]:
        """Run the block; `asked` then holds what this run asked."""
        wanted = self.block(**changed)
        self.fake.requests.clear()
        self.lines.clear()
        try:
            return run_block(
                wanted, prompts(wanted) if given is None else given, self.lines.append, threading.Event(), only
            )
        finally:
            self.asked = list(self.fake.requests)

    def path(self, approach: str, sample: int) -> Path:
        return self.folder / "samples" / "fake-1b" / "colours" / approach / f"{sample}.json"

    def sessions(self) -> list[dict[str, Any]]:
        """What was recorded of who answered, by session."""
        recorded = json.loads((self.folder / "identity" / "fake-1b" / "colours.json").read_text())
        return list(recorded["sessions"])

    def files(self, below: str = "samples") -> list[str]:
        root = self.folder / below
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def samples_there(self) -> list[str]:
        return [name for name in self.files() if name.endswith(".json") and not name.startswith(".")]

    def about(self) -> list[str]:
        """Which case and arm each request of the last run was about."""
        return [asked["messages"][0]["content"].split("\n\n")[1] for asked in self.asked]


def answering(status: int, error: str, when: Callable[[int], bool] = lambda number: True) -> Bend:
    """An HTTP error instead of the answers that `when` picks by their number."""
    return lambda number, reply: (status, [{"error": error}], 0.0) if when(number) else reply


def breaking_off(fake: Fake, after: int) -> Bend:
    """Every connection is cut once so many requests were answered."""

    def bend(number: int, reply: Reply) -> Reply:
        if number >= after:
            for transport in list(fake.open_connections):
                transport.abort()
        return reply

    return bend
