"""The account of one episode at the meter: turns, limits, and what was refused."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.agents.meter.answer_reader import AnswerSoFar, shown_calls
from ai_dev_tools.benchmark.agents.meter.request_rules import DeclinedRequest, RequestRules
from ai_dev_tools.benchmark.endpoints.chat import Accepted, Payer, Reply
from ai_dev_tools.benchmark.endpoints.pacing import Pace
from ai_dev_tools.benchmark.endpoints.server_counts import counted_turn, readings
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.records.conversation import conversation_digest, text_of
from ai_dev_tools.benchmark.records.episode import MOST_RESULT, Turn
from ai_dev_tools.benchmark.records.sample_error import SampleError

MOST_REFUSALS = 20
"""Refused requests that are remembered; an agent may repeat one without end."""
FAILED_PER_TURN = 4
"""Requests that may fail for each turn of the limit, before the episode ends at its limit of turns."""


@dataclass(frozen=True)
class Upstream:
    """The server behind the meter.

    Attributes:
        ollama: root of its API in Ollama's words; None: it has none.
        openai: root of its API in OpenAI's words, which ends in `/v1`; None: it has none that can be told how large the
            context is, so that what agents ask there is put in Ollama's words.
        headers: sent with every request (hold the bearer token: an agent never sees them).
        accepted: which fields of OpenAI's requests the server accepts.
        payer: who pays for requests, where the run has a budget.
        pace: shared with all that ask for one block.
    """

    ollama: str | None
    openai: str | None
    version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    accepted: Accepted = field(default_factory=Accepted)
    payer: Payer | None = None
    pace: Pace = field(default_factory=Pace)

    def ollama_root(self, path: str) -> str:
        """Root of the API in Ollama's words, for a request to a path of it; raises DeclinedRequest if there is none."""
        if self.ollama is None:
            raise DeclinedRequest(
                404, "path", f"the agent sent a request to {path}, which the model's server does not have"
            )
        return self.ollama


@dataclass(frozen=True)
class Refusal:
    """A request that was not passed on, and why in one line.

    It was about `model`, `path`, `body` or `limit`.
    """

    about: str
    line: str


@dataclass(frozen=True)
class ConversationStart:
    """How a request begins: digests of its messages.

    With what they say, if no earlier request of the episode began like this.
    """

    digests: tuple[str, ...]
    text: str
    conversation: str = ""


class EpisodeAccount:
    """What one episode has asked so far. The meter's thread writes it, the episode's reads it.

    Attributes:
        limit: the limit that was reached, if any: turns, tokens or seconds.
        ended: set as soon as the episode may ask nothing more.
        requests: how many requests for an answer came, refused ones included.
        unpaid: why a request could not be paid: the budget is reached, or cannot be read or written.
        long_wait_s: the wait that the server asked for when it last refused a request, if it is too long for a run.
    """

    def __init__(self, rules: RequestRules, upstream: Upstream) -> None:
        self.rules, self.upstream = rules, upstream
        self.turns: list[Turn] = []
        self.refusals: list[Refusal] = []
        self.limit: str | None = None
        self.ended = threading.Event()
        self.requests = 0
        self.unpaid: BenchmarkError | None = None
        self.long_wait_s: float | None = None
        self.served: str | None = None
        self.flags: set[str] = set()
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[object] | None = None
        self._started = time.monotonic()
        self._asked: list[tuple[str, ...]] = []

    @asynccontextmanager
    async def one_at_a_time(self) -> AsyncIterator[None]:
        """An episode asks one thing after the other, so it takes one slot of the server, as planned."""
        async with self._turn:
            self._task = asyncio.current_task()
            try:
                yield
            finally:
                self._task = None

    async def close(self) -> None:
        """Stop asking; a request that is still in flight is given up."""
        self.ended.set()
        if self._task is not None:
            self._task.cancel()
        async with self._turn:
            pass

    @property
    def tokens(self) -> int:
        """Tokens of all turns so far that the server counted."""
        return sum((turn.input_tokens or 0) + (turn.output_tokens or 0) for turn in self.turns)

    @property
    def seconds_left(self) -> float:
        """Until the limit of seconds."""
        return self.rules.limits.seconds - (time.monotonic() - self._started)

    @property
    def answered(self) -> int:
        """Turns with a complete answer."""
        return sum(turn.error is None for turn in self.turns)

    def refuse(self, refusal: DeclinedRequest) -> None:
        """Remember a request that was not passed on."""
        found = Refusal(refusal.about, refusal.line)
        if found not in self.refusals and len(self.refusals) < MOST_REFUSALS:
            self.refusals.append(found)

    def admit(self) -> None:
        """Raise DeclinedRequest if the episode may ask nothing more."""
        limits = self.rules.limits
        reached = {
            "turns": self.answered >= limits.turns or len(self.turns) >= FAILED_PER_TURN * limits.turns,
            "tokens": self.tokens >= limits.tokens,
            "seconds": self.seconds_left <= 0,
        }
        if self.limit is None:
            self.limit = next((name for name, is_reached in reached.items() if is_reached), None)
        if self.limit is not None or self.ended.is_set():
            self.ended.set()
            limit = f": it has reached its limit of {self.limit}" if self.limit else ""
            raise DeclinedRequest(403, "limit", f"the episode is over{limit}")

    def out_of_time(self) -> None:
        """The limit of seconds was reached during a request."""
        self.limit = self.limit or "seconds"
        self.ended.set()

    def begin(self, messages: Sequence[Mapping[str, JsonValue]]) -> ConversationStart:
        """Take note of a request's messages.

        Those that no earlier request had are what came back of the turn before, which gets them as its result.
        """
        digests = tuple(_digest(message) for message in messages)
        conversation = conversation_digest([text_of(message) for message in messages])
        before = max(
            (place for place, known in enumerate(self._asked) if known and digests[: len(known)] == known),
            key=lambda place: (len(self._asked[place]), place),
            default=None,
        )
        if before is None:
            return ConversationStart(digests, "\n\n".join(filter(None, map(_shown, messages))), conversation)
        fresh = list(messages[len(self._asked[before]) :])
        if fresh and fresh[0].get("role") == "assistant":
            fresh = fresh[1:]
        text = "\n\n".join(filter(None, map(text_of, fresh)))
        if fresh:
            self.turns[before] = msgspec.structs.replace(
                self.turns[before], result=text[:MOST_RESULT], result_bytes=len(text.encode("utf-8", "replace"))
            )
        return ConversationStart(digests, "", conversation)

    def note(
        self,
        heard: AnswerSoFar,
        opening: ConversationStart,
        seconds: float,
        first: float | None,
        error: SampleError | None,
    ) -> None:
        """Record a turn, complete or not."""
        reply = Reply(text=heard.text, duration_s=seconds, time_to_first_token_s=first, final=dict(heard.final))
        found, (action, arguments) = readings(reply), shown_calls(heard.calls)
        self.served = heard.served or self.served
        if error is None:
            self.flags |= {"turn_capped" if flag == "output_capped" else flag for flag in found.flags}
        turn = msgspec.structs.replace(
            counted_turn(reply, found),
            asked=opening.text[:MOST_RESULT] or None,
            conversation=opening.conversation,
            action=action,
            arguments=arguments,
            error=error,
        )
        self.turns.append(turn)
        self._asked.append(opening.digests)


def _shown(message: Mapping[str, JsonValue]) -> str:
    text = text_of(message)
    return f"[{message.get('role')}] {text}" if text else ""


def _digest(message: Mapping[str, JsonValue]) -> str:
    return hashlib.sha256(json.dumps(message, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()[:32]
