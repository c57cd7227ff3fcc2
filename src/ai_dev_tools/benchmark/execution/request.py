"""One measured request or episode: from its cell and prompt to the result, retries included."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ai_dev_tools.benchmark._util.clock import utc_stamp
from ai_dev_tools.benchmark.agents.builtin import TALKS
from ai_dev_tools.benchmark.agents.episode import Ask, EpisodeCase, EpisodeResult, run_episode
from ai_dev_tools.benchmark.endpoints.chat import Chat, ChatClient, Reply
from ai_dev_tools.benchmark.endpoints.pacing import MOST_WAIT_S
from ai_dev_tools.benchmark.endpoints.resource_use import ResourceMonitor
from ai_dev_tools.benchmark.endpoints.server_counts import seconds_of
from ai_dev_tools.benchmark.errors import BenchmarkError, NoTurnError, OverloadedError, RequestTimeoutError
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.records.block import Block, PlannedRequest, nonce, request_digest, request_options
from ai_dev_tools.benchmark.records.sample import Attempt, Resources, SampleError

Drive = Callable[[EpisodeCase, ChatClient, EpisodeResult, threading.Event], None]
"""Has a third-party agent run an episode, and fills the result, also with what there is when it raises."""
BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 30.0
WARM_UP = "Warm up. Answer with JSON."
"""Some servers take `json_object` only where the prompt says the word."""
SLOW_LOAD_S = 0.5
"""If a request took longer than this to load the model, the server is checked again: it may have reloaded it."""
TURN_S = (5.0, 30.0)
"""How long a request for one token may take after a timeout without an answer: the timeout, within these bounds.

A server takes a moment to notice that the previous request was given up: on a slow machine, one batch of its prompt.
"""


@dataclass
class RequestResult:
    """The result of one cell: the last reply or episode, the last error if any, and all attempts.

    Attributes:
        repeated: whether a turn was sent again because the server had refused it.
    """

    reply: Reply = field(default_factory=Reply)
    episode: EpisodeResult | None = None
    error: BenchmarkError | None = None
    attempts: list[Attempt] = field(default_factory=list)
    repeated: bool = False
    started_at: str = ""
    in_flight: int = 0
    resources: Resources = field(default_factory=Resources)

    @property
    def served(self) -> str | None:
        """The model as the answer itself names it, where it does."""
        return self.episode.served if self.episode else self.reply.served

    @property
    def duration_s(self) -> float:
        """Seconds of the request, or of all requests of the episode."""
        return self.episode.asked_s if self.episode else self.reply.duration_s

    @property
    def load_s(self) -> float:
        """The longest wait for the model to be loaded."""
        if self.episode:
            return max((turn.load_s or 0.0 for turn in self.episode.turns), default=0.0)
        return seconds_of(self.reply.final.get("load_duration"), self.reply.duration_s) or 0.0


def opening(cell: PlannedRequest, prompt: Prompt, attempt: int) -> str:
    """The first message of a cell.

    The prompt stands behind a nonce, so that no server finds its prefix in a cache.
    """
    return f"Request {nonce(cell.seed, cell.approach, attempt)}\n\n{prompt.prompt}"


def chat_of(block: Block, cell: PlannedRequest, prompt: Prompt, attempt: int) -> Chat:
    """The request of one cell; see the explanation of endpoints for what each dialect makes of it."""
    content = opening(cell, prompt, attempt)
    return Chat(block.model, content, prompt.answer_schema, request_options(block, cell), block.think)


def one_token(block: Block, prompt: Prompt) -> Chat:
    """A request like the measured ones, but for a single token.

    It has their options, and their answer schema or functions.
    """
    options = {**block.options, "seed": 0, "num_predict": 1}
    chat = Chat(block.model, WARM_UP, prompt.answer_schema, options, block.think)
    if prompt.episode is None or prompt.episode.program:
        return chat
    talk = TALKS[prompt.episode.protocol](prompt.episode.actions, prompt.answer_schema)
    return replace(chat, schema=talk.schema(last=False), tools=talk.tools(last=False))


def ask(
    block: Block,
    cell: PlannedRequest,
    prompt: Prompt,
    client: ChatClient,
    meter: ResourceMonitor,
    stop: threading.Event,
    in_flight: Callable[[], int],
    drive: Drive | None = None,
) -> RequestResult:
    """Ask a cell, and record all attempts.

    It is repeated after a pause if its error class says that this can help.

    An episode is repeated from its beginning, with another nonce: a turn that is sent again would find all of its prompt in
    the server's cache, and tools would no longer be in the state that they were in.
    """
    asked = RequestResult()
    for attempt in range(block.attempts):
        client.pace.wait(stop)
        if stop.is_set():
            break
        asked.reply, asked.episode, asked.error = Reply(), None, None
        asked.started_at, asked.in_flight = _now(), in_flight()
        with meter.measuring() as reading:
            try:
                _attempt(asked, block, cell, prompt, client, attempt, stop, drive)
            except BenchmarkError as error:
                asked.error = error
            reading.reloaded = asked.load_s > SLOW_LOAD_S
        asked.resources = reading.result
        # A turn that was refused has been sent again often enough.
        refused = asked.episode is not None and isinstance(asked.error, OverloadedError)
        again = _may_help(asked, client) and attempt + 1 < block.attempts and not stop.is_set() and not refused
        pause = backoff(attempt, asked.error) if again and asked.error else 0.0
        failure = _failure(asked.error) if asked.error else None
        asked.attempts.append(Attempt(asked.started_at, round(asked.duration_s, 6), failure, round(pause, 3)))
        if not again:
            break
        stop.wait(pause)
    if asked.error:
        asked.error.instance, asked.error.attempts = block.instance, len(asked.attempts)
        asked.error.request = digest_of(block, cell, prompt)
    return asked


def digest_of(block: Block, cell: PlannedRequest, prompt: Prompt) -> str:
    """The digest of everything that determines a cell's request or episode."""
    episode = prompt.episode.digest if prompt.episode else None
    return request_digest(block, cell, prompt.prompt_sha256, prompt.answer_schema, episode)


def _attempt(
    asked: RequestResult,
    block: Block,
    cell: PlannedRequest,
    prompt: Prompt,
    client: ChatClient,
    attempt: int,
    stop: threading.Event,
    drive: Drive | None,
) -> None:
    """One attempt at a cell, also with what has arrived when this raises."""
    timeout_s = prompt.timeout_s or block.timeout_s
    if prompt.episode is None:
        try:
            client.ask(chat_of(block, cell, prompt, attempt), timeout_s, asked.reply)
        except RequestTimeoutError as error:
            raise _why_silent(error, asked.reply, block, prompt, client, timeout_s, stop) from None
        return
    asked.episode = EpisodeResult()
    options = request_options(block, cell)
    case = EpisodeCase(
        prompt.episode, opening(cell, prompt, attempt), prompt.answer_schema, block.model, options, block.think
    )
    if prompt.episode.program:
        assert drive is not None
        return drive(case, client, asked.episode, stop)
    run_episode(case, _turns(asked, block, prompt, client, timeout_s, stop), asked.episode, stop)


def _turns(
    asked: RequestResult, block: Block, prompt: Prompt, client: ChatClient, timeout_s: float, stop: threading.Event
) -> Ask:
    """Sends the turns of an episode.

    One that the server only refused is sent again: nothing of it was read, so nothing has changed.
    """

    def send(chat: Chat, reply: Reply) -> None:
        for attempt in range(block.attempts):
            client.pace.wait(stop)
            found = Reply()
            try:
                return client.ask(chat, timeout_s, found)
            except OverloadedError as error:
                asked.error = error
                if found.turn_s is not None or attempt + 1 == block.attempts or not _may_help(asked, client):
                    raise
                asked.repeated, asked.error = True, None
                if stop.wait(backoff(attempt, error)):
                    raise
            except RequestTimeoutError as error:
                raise _why_silent(error, found, block, prompt, client, timeout_s, stop) from None
            finally:
                vars(reply).update(vars(found))

    return send


def _why_silent(
    error: RequestTimeoutError,
    reply: Reply,
    block: Block,
    prompt: Prompt,
    client: ChatClient,
    timeout_s: float,
    stop: threading.Event,
) -> BenchmarkError:
    """What a timeout means: the request was slow, or it never got a slot."""
    if reply.turn_s is not None or stop.is_set():
        return error
    return _no_turn(block, prompt, client, timeout_s) or error


def _may_help(asked: RequestResult, client: ChatClient) -> bool:
    """Whether to send the request again.

    A wait that the server asks for holds for all threads of the block.
    """
    error = asked.error
    wait_s = (error.retry_after_s or 0.0) if error else 0.0
    if 0 < wait_s <= MOST_WAIT_S:
        client.pace.hold(wait_s)
    return error is not None and error.retried and wait_s <= MOST_WAIT_S


def _no_turn(block: Block, prompt: Prompt, client: ChatClient, timeout_s: float) -> NoTurnError | None:
    """After a timeout without any answer: why it says nothing about the request; None if it does.

    The request had a slot if the server immediately answers another one after this one was given up.
    """
    least, most = TURN_S
    try:
        client.ask(one_token(block, prompt), max(least, min(timeout_s, most)), Reply())
    except RequestTimeoutError:
        return NoTurnError(
            f"nothing arrived within {timeout_s:g} s, and then not even one token: the server was busy with others, or hangs"
        )
    except BenchmarkError:
        return None
    return None


def backoff(attempt: int, error: BenchmarkError) -> float:
    """Seconds to wait: exponential with full jitter, capped.

    Or as long as the server asks, if that is longer.
    """
    jittered = random.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**attempt))
    return max(jittered, min(error.retry_after_s or 0.0, MOST_WAIT_S))


def _failure(error: BenchmarkError) -> SampleError:
    return SampleError(error.error_class, str(error)[:1000])


def _now() -> str:
    return utc_stamp(timespec="microseconds")
