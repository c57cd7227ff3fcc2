"""One measured request: from a cell of the design and its prompt to a sample record, retries included."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ai_dev_tools.benchmark._util.clock import utc_stamp
from ai_dev_tools.benchmark.endpoints.chat import Chat, ChatClient, Reply
from ai_dev_tools.benchmark.endpoints.metering import Meter
from ai_dev_tools.benchmark.endpoints.ollama_client import LOOP
from ai_dev_tools.benchmark.endpoints.pacing import MOST_WAIT_S
from ai_dev_tools.benchmark.errors import BenchmarkError, NoTurnError, RequestTimeoutError
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.records.block import (
    OLLAMA,
    PROTOCOL,
    Block,
    PlannedRequest,
    named_api,
    nonce,
    request_digest,
    request_options,
)
from ai_dev_tools.benchmark.records.sample import (
    Attempt,
    EndpointIdentity,
    Request,
    Resources,
    Sample,
    SampleError,
    Status,
)
from ai_dev_tools.benchmark.tasks.answers import parse_answer
from ai_dev_tools.benchmark.tasks.scoring import ScorerFailed, score_answer

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
class Asked:
    """The result of one cell: the last reply, the last error if any, and all attempts."""

    reply: Reply = field(default_factory=Reply)
    error: BenchmarkError | None = None
    attempts: list[Attempt] = field(default_factory=list)
    started_at: str = ""
    in_flight: int = 0
    resources: Resources = field(default_factory=Resources)


def chat_of(block: Block, cell: PlannedRequest, prompt: Prompt, attempt: int) -> Chat:
    """The request of one cell; see the explanation of endpoints for what each dialect makes of it."""
    content = f"Request {nonce(cell.seed, cell.approach, attempt)}\n\n{prompt.prompt}"
    return Chat(block.model, content, prompt.answer_schema, request_options(block, cell), block.think)


def one_token(block: Block, prompt: Prompt) -> Chat:
    """A request with the options and answer schema of measured requests, but for a single token."""
    options = {**block.options, "seed": 0, "num_predict": 1}
    return Chat(block.model, WARM_UP, prompt.answer_schema, options, block.think)


def ask(
    block: Block,
    cell: PlannedRequest,
    prompt: Prompt,
    client: ChatClient,
    meter: Meter,
    stop: threading.Event,
    in_flight: Callable[[], int],
) -> Asked:
    """Send the request, and record all attempts.

    It is repeated after a pause if its error class says that this can help.
    """
    timeout_s = prompt.timeout_s or block.timeout_s
    asked = Asked()
    for attempt in range(block.attempts):
        client.pace.wait(stop)
        if stop.is_set():
            break
        asked.reply, asked.error = Reply(), None
        asked.started_at, asked.in_flight = _now(), in_flight()
        with meter.measuring() as reading:
            try:
                client.ask(chat_of(block, cell, prompt, attempt), timeout_s, asked.reply)
            except BenchmarkError as error:
                asked.error = error
            load_s = _seconds(asked.reply.final.get("load_duration"), asked.reply.duration_s)
            reading.reloaded = (load_s or 0.0) > SLOW_LOAD_S
        if isinstance(asked.error, RequestTimeoutError) and asked.reply.turn_s is None and not stop.is_set():
            asked.error = _no_turn(block, prompt, client, timeout_s) or asked.error
        asked.resources = reading.result
        again = _may_help(asked.error, client) and attempt + 1 < block.attempts and not stop.is_set()
        pause = backoff(attempt, asked.error) if again and asked.error else 0.0
        failure = _failure(asked.error) if asked.error else None
        asked.attempts.append(Attempt(asked.started_at, round(asked.reply.duration_s, 6), failure, round(pause, 3)))
        if not again:
            break
        stop.wait(pause)
    if asked.error:
        asked.error.instance, asked.error.attempts = block.instance, len(asked.attempts)
        asked.error.request = request_digest(block, cell, prompt.prompt_sha256, prompt.answer_schema)
    return asked


def _may_help(error: BenchmarkError | None, client: ChatClient) -> bool:
    """Whether to send the request again.

    A wait that the server asks for holds for all threads of the block.
    """
    wait_s = (error.retry_after_s or 0.0) if error else 0.0
    if 0 < wait_s <= MOST_WAIT_S:
        client.pace.hold(wait_s)
    return error is not None and error.retried and wait_s <= MOST_WAIT_S


def _no_turn(block: Block, prompt: Prompt, client: ChatClient, timeout_s: float) -> NoTurnError | None:
    """After a timeout without any answer: why it says nothing about the request; None if it does.

    The request had a slot if the server immediately answers another one in place of the one given up.
    """
    least, most = TURN_S
    try:
        client.ask(one_token(block, prompt), max(least, min(timeout_s, most)), Reply())
    except RequestTimeoutError:
        return NoTurnError(
            f"nothing came within {timeout_s:g} s, and then not even one token: the server was busy with others, or hangs"
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


def unasked(block: Block, cell: PlannedRequest, prompt: Prompt, session: str) -> Sample:
    """The sample of a cell whose context could not be made: failed, with the tool's error."""
    asked = Asked(started_at=_now())
    return _sample(block, cell, prompt, asked, session, None, EndpointIdentity("none", ""), prompt.error)


def sample_of(
    block: Block,
    cell: PlannedRequest,
    prompt: Prompt,
    asked: Asked,
    session: str,
    model_digest: str | None,
    endpoint: EndpointIdentity,
) -> Sample:
    """The record of an asked cell."""
    return _sample(block, cell, prompt, asked, session, model_digest, endpoint, asked.attempts[-1].error)


def _sample(
    block: Block,
    cell: PlannedRequest,
    prompt: Prompt,
    asked: Asked,
    session: str,
    model_digest: str | None,
    endpoint: EndpointIdentity,
    error: SampleError | None,
) -> Sample:
    reply, sent = asked.reply, bool(asked.attempts)
    timings, flags = _timings(reply)
    answer = parse_answer(reply.text, prompt.answer_schema) if error is None else None
    status: Status = "failed"
    if error is None:
        status = "completed"
    elif isinstance(asked.error, RequestTimeoutError):
        status = "timeout"
    return Sample(
        profile=block.profile,
        instance=block.instance,
        model=block.model,
        model_digest=model_digest or reply.served,
        task=block.task,
        case=cell.case,
        cluster=prompt.cluster,
        size=prompt.size,
        approach=cell.approach,
        sample=cell.sample,
        repeat=cell.repeat,
        seed=cell.seed,
        status=status,
        error=error,
        response=reply.text or (None if error else ""),
        answer=answer,
        score=_score_if_possible(answer, prompt) if error is None else None,
        **timings,
        duration_s=_rounded(reply.duration_s) if sent else None,
        time_to_first_token_s=_rounded(reply.time_to_first_token_s),
        tool_s=prompt.tool_s,
        tool_other_cpu_s=prompt.tool_other_cpu_s,
        resources=asked.resources,
        plan=block.plan,
        attempts=asked.attempts,
        order=cell.order,
        in_flight=asked.in_flight,
        session=session,
        started_at=asked.started_at,
        flags=sorted({*flags, *reply.flags, *(["retried"] if len(asked.attempts) > 1 else [])}),
        request=Request(
            request_digest(block, cell, prompt.prompt_sha256, prompt.answer_schema),
            prompt.prompt_sha256,
            request_options(block, cell),
            PROTOCOL,
            named_api(block) or OLLAMA,
        ),
        endpoint=endpoint,
    )


def score_of(answer: object, prompt: Prompt) -> float | None:
    """The score of an answer, 0 to 1; None if there is no truth."""
    return _rounded(score_answer(answer, prompt.truth, prompt.scoring))


def _score_if_possible(answer: object, prompt: Prompt) -> float | None:
    """The same, and None if a plugin's scorer fails: the answer is kept, and the block says so at its end."""
    try:
        return score_of(answer, prompt)
    except ScorerFailed:
        return None


def _timings(reply: Reply) -> tuple[dict[str, Any], list[str]]:
    """Counts, seconds and flags from the closing object.

    Missing or impossible values become None and a flag.
    """
    final, flags = reply.final, []
    tokens = {name: _count(final.get(key)) for name, key in (("in", "prompt_eval_count"), ("out", "eval_count"))}
    seconds = {
        key: _seconds(final.get(f"{key}_duration"), reply.duration_s)
        for key in ("load", "prompt_eval", "eval", "total")
    }
    looped = final.get("done_reason") == LOOP
    told = bool(final) and not looped  # the server closed the answer with its own figures
    if looped:
        flags += ["looped", "output_capped"]
    if told:
        if None in tokens.values():
            flags.append("tokens_missing")
        if any(isinstance(final.get(f"{k}_duration"), int | float) and v is None for k, v in seconds.items()):
            flags.append("impossible_duration")
        if final.get("done_reason") == "length":
            flags.append("output_capped")
    phases = [value for key in ("load", "prompt_eval", "eval") if (value := seconds[key]) is not None]
    both = tokens["in"] is not None and tokens["out"] is not None
    return {
        "input_tokens": tokens["in"],
        "output_tokens": tokens["out"],
        "total_tokens": (tokens["in"] or 0) + (tokens["out"] or 0) if both else None,
        "load_s": 0.0 if told and "load_duration" not in final else seconds["load"],
        "prompt_eval_s": seconds["prompt_eval"],
        "eval_s": seconds["eval"],
        "total_s": seconds["total"],
        "rest_s": _rounded(max(0.0, reply.duration_s - sum(phases))) if told and phases else None,
        "prompt_cached_tokens": _count(final.get("prompt_eval_cached_count")),
        "reasoning_tokens": _count(final.get("reasoning_count")),
        "done_reason": final.get("done_reason") if isinstance(final.get("done_reason"), str) else None,
    }, flags


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else None


def _seconds(nanoseconds: object, duration_s: float) -> float | None:
    """Server-side seconds, or None if they cannot be right.

    That is if they are missing, negative, or longer than the client waited (beyond clock noise).
    """
    if not isinstance(nanoseconds, int | float) or isinstance(nanoseconds, bool):
        return None
    seconds = nanoseconds / 1e9
    return _rounded(seconds) if 0 <= seconds <= duration_s * 1.05 + 0.05 else None


def _failure(error: BenchmarkError) -> SampleError:
    return SampleError(error.error_class, str(error)[:1000])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _now() -> str:
    return utc_stamp(timespec="microseconds")
