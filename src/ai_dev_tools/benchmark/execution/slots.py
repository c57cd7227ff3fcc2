"""Find out how many requests a server really serves at once; more would wait in its queue.

A few short requests are sent together. Nothing comes back until a request's turn begins, so answers that arrive at
the same time each had a slot. The result is kept with the identity of the session and reused by the other
blocks of a run, for as long as the model stays loaded.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec

from ai_dev_tools.benchmark._util.credentials import without_passwords
from ai_dev_tools.benchmark._util.json_values import JsonObject, list_in
from ai_dev_tools.benchmark._util.processes import start_time
from ai_dev_tools.benchmark.endpoints import ReadyEndpoint
from ai_dev_tools.benchmark.endpoints.chat import Chat, ChatClient, Reply
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.execution.job import RUN_PID
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.sessions import recorded_for_model

PROMPT = "Warm up. Write many truth values."
FIRST_TOKENS = 24
"""Length of a probe's answer: a second or so on a slow machine, and 0.1 s on a fast one."""
MOST_TOKENS = 384
ROUNDS = 5
CLEAR_S = 0.5
"""Answers that take this long overlap despite the noise of a busy machine; shorter ones are made longer."""
SHORT_S = 0.04
"""A server that needs less for a whole answer, however long, does not show what it does at once."""
PATIENCE_S = 15.0
"""A round that takes longer is not repeated for confirmation."""


@dataclass(frozen=True)
class Slots:
    """What is known about one server address.

    Attributes:
        url: the address.
        at_once: requests it serves at once; `wanted` if it serves as many or more; None if it cannot be determined.
        wanted: requests that the run would send at once.
        model_digest, num_ctx: what was loaded.
        run, server: process of the run that found it out, and of the server; None if unknown.
        too_fast: whether it answered too fast to show how many it serves at once.
    """

    url: str
    at_once: int | None
    wanted: int
    model_digest: str | None = None
    num_ctx: int | None = None
    run: str | None = None
    server: str | None = None
    too_fast: bool = False

    @property
    def known(self) -> bool:
        """Whether asking (again) would not tell more."""
        return self.at_once is not None or self.too_fast

    @property
    def usable(self) -> int:
        """Requests to send at once."""
        return self.wanted if self.at_once is None else self.at_once


def known_slots(block: Block, endpoint: ReadyEndpoint, loaded: Sequence[JsonObject]) -> list[Slots]:
    """For each replica, what an earlier block of this run found out, if the model has stayed loaded since.

    Args:
        loaded: as what each replica has the model loaded before a warm-up loads it: a restarted server no longer has it,
            and another start may have other slots.
    """
    blank = _blank(block, endpoint)
    if endpoint.slots is not None:
        return [replace(slots, at_once=min(endpoint.slots, slots.wanted)) for slots in blank]
    earlier = [] if endpoint.can_restart else _recorded(block)
    stays = [bool(one) or endpoint.told_by != OllamaClient.api for one in loaded]  # others do not say what is loaded
    return [_found_before(slots, earlier) if there else slots for slots, there in zip(blank, stays, strict=True)]


def same_servers(block: Block, endpoint: ReadyEndpoint, session: JsonObject) -> bool:
    """Whether a recorded session was of this run, with these weights at these servers."""
    blank = _blank(block, endpoint)
    return blank[0].run is not None and blank == [_unprobed(one) for one in _recorded_in(session)]


def find_slots(
    block: Block, clients: Sequence[ChatClient], warm: Sequence[bool], known: Sequence[Slots]
) -> list[Slots]:
    """The known slots of each replica.

    Replicas of which nothing is known are asked, if their warm-up went well and they name no limits.
    """
    return [
        slots
        if slots.known or slots.wanted == 1 or not answers or client.pace.limited
        else probe(client, probe_chat(block), slots, block.timeout_s)
        for client, answers, slots in zip(clients, warm, known, strict=True)
    ]


def in_words(slots: Slots, endpoint: ReadyEndpoint, instance: str) -> str | None:
    """The line for people; None if everything is as expected."""
    if slots.at_once == slots.wanted or slots.wanted == 1:
        return None
    where = f"{instance}: {slots.url}"
    if slots.at_once is None and endpoint.told_by != OllamaClient.api:
        return (
            f"{where} does not show how many requests it serves at once: {slots.wanted} are sent. If it does not report its own "
            "times, a request that waits in its queue cannot be told apart: set max_concurrent to what it serves"
        )
    if slots.at_once is None:
        return (
            f"{where} does not show how many requests it serves at once: {slots.wanted} are sent, and the check "
            "`queued` finds those that waited"
        )
    remedy = (
        f"although it was started with OLLAMA_NUM_PARALLEL={slots.wanted}: this model or `server.environment` allows fewer"
        if endpoint.can_restart
        else f"because the others would wait there. To have {slots.wanted}, give that server enough slots (llama.cpp: --parallel)"
        if endpoint.told_by != OllamaClient.api
        else f"because the others would wait there. To have {slots.wanted}, start that server with "
        f"OLLAMA_NUM_PARALLEL={slots.wanted}"
    )
    plural = "request" if slots.at_once == 1 else "requests"
    return f"{where} serves {slots.at_once} {plural} at once, so no more are sent instead of {slots.wanted}, {remedy}"


def probe(client: ChatClient, chat: Chat, slots: Slots, timeout_s: float) -> Slots:
    """Add how many of the wanted requests, sent together, the server serves at once, if that can be determined.

    A round of long answers can show too few if someone else's request takes a slot, so the best of two counts. What
    short answers show is partly noise: they are made longer, and if they stay short, several rounds must agree.
    """
    most = slots.wanted
    clear: list[int] = []
    short: list[tuple[int, int]] = []
    tokens, slowest_s = FIRST_TOKENS, 0.0
    for _ in range(ROUNDS):
        started = time.perf_counter()
        turns = _together(client, _asking_for(chat, tokens), most, timeout_s)
        if len(turns) < most:  # refused, or failed: the others say nothing of how many there may be
            break
        seen = overlapping(turns)
        slowest_s = max(slowest_s, min(turn.end - turn.sent for turn in turns))
        if statistics.median(turn.end - turn.begin for turn in turns) >= CLEAR_S:
            clear.append(seen)
            if seen == most or len(clear) == 2 or time.perf_counter() - started > PATIENCE_S:
                break
        else:
            short.append((seen, spread(turns)))
            if [overlap for overlap, _ in short].count(most) == 2:
                return replace(slots, at_once=most)
            if tokens == MOST_TOKENS and slowest_s < SHORT_S:
                break
            tokens = min(4 * tokens, MOST_TOKENS)
    if clear:
        return replace(slots, at_once=max(clear))
    if short and slowest_s >= SHORT_S:
        return replace(slots, at_once=max(map(statistics.median_low, zip(*short, strict=True))))
    return replace(slots, too_fast=bool(short))


@dataclass(frozen=True)
class ProbedAnswer:
    """One answer on one clock, in seconds: when it was requested, when it began and when it ended."""

    sent: float
    begin: float
    end: float


def overlapping(turns: Sequence[ProbedAnswer]) -> int:
    """The maximum number of answers that were written at the same time, by the middle half of each.

    The middle half, so that an answer that ends slightly late does not seem to overlap with the next one.
    """
    changes = []
    for turn in turns:
        quarter = (turn.end - turn.begin) / 4
        changes += [(turn.begin + quarter, 1), (turn.end - quarter, -1)]
    most = running_now = 0
    for _, change in sorted(changes):  # at the same moment an end comes first
        running_now += change
        most = max(most, running_now)
    return most


def spread(turns: Sequence[ProbedAnswer]) -> int:
    """Infer slots from times: four that together take as long as one alone had four slots, or else fewer.

    This also works for answers that are too short to be seen being written.
    """
    whole = max(turn.end for turn in turns) - min(turn.sent for turn in turns)
    one = min(turn.end - turn.sent for turn in turns)
    return max(1, round(len(turns) * one / whole)) if whole > 0 else len(turns)


def _together(client: ChatClient, chat: Chat, most: int, timeout_s: float) -> list[ProbedAnswer]:
    """The results of `most` requests sent at the same time; failed ones are left out."""
    turns: list[ProbedAnswer] = []
    go = threading.Barrier(most)

    def ask() -> None:
        reply = Reply()
        go.wait()
        sent = time.perf_counter()
        try:
            client.ask(chat, timeout_s, reply)
        except BenchmarkError:
            return
        end = sent + reply.duration_s
        # if a proxy holds the answer back until it is complete, the server's own writing time tells when it started
        writing = reply.final.get("eval_duration")
        written_s = writing / 1e9 if isinstance(writing, int) and 0 < writing / 1e9 <= reply.duration_s else 0.0
        turns.append(ProbedAnswer(sent, min(sent + (reply.turn_s or reply.duration_s), end - written_s), end))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(most)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return turns


def probe_chat(block: Block) -> Chat:
    """A request with the block's own options, so that nothing is loaded again."""
    return Chat(block.model, PROMPT, {}, {**block.options, "seed": 0}, block.think)


def _asking_for(chat: Chat, tokens: int) -> Chat:
    """A request that makes any model answer at this length.

    It asks for a list of truth values, each followed by a comma.
    """
    schema: JsonObject = {
        "type": "array",
        "items": {"type": "boolean"},
        "minItems": tokens // 2,
        "maxItems": tokens // 2,
    }
    return replace(chat, schema=schema, options={**chat.options, "num_predict": tokens})


def _blank(block: Block, endpoint: ReadyEndpoint) -> list[Slots]:
    """Each replica, with nothing found out."""
    run, server = _process(os.environ.get(RUN_PID)), _process(endpoint.pid)
    wanted, digest = block.endpoint.max_concurrent, endpoint.model_digest
    urls = map(without_passwords, endpoint.replicas)
    return [Slots(url, None, wanted, digest, block.num_ctx, run, server) for url in urls]


def _unprobed(slots: Slots) -> Slots:
    return replace(slots, at_once=None, too_fast=False)


def _process(pid: str | int | None) -> str | None:
    """Identify a live process, so that a later one with the same number differs."""
    started = start_time(int(pid)) if pid is not None and str(pid).isdigit() else None
    return None if started is None else f"{pid}@{started}"


def _recorded(block: Block) -> list[Slots]:
    """The records of this model's sessions, the latest last."""
    sessions = recorded_for_model(Path(block.results), block.model)
    sessions.sort(key=lambda entry: str(entry.get("recorded_at")))
    return [slots for entry in sessions for slots in _recorded_in(entry)]


def _recorded_in(session: JsonObject) -> list[Slots]:
    found = []
    for item in list_in(session.get("slots")):
        with suppress(msgspec.ValidationError):
            found.append(msgspec.convert(item, Slots))
    return found


def _found_before(slots: Slots, earlier: Sequence[Slots]) -> Slots:
    same = [one for one in earlier if _unprobed(one) == slots and one.known]
    return same[-1] if slots.run is not None and same else slots


def to_record(slots: Sequence[Slots]) -> list[JsonObject]:
    """As plain data, for the identity of a session."""
    return [asdict(one) for one in slots]
