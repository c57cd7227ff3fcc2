"""Turn the result of a request or episode into a sample: counts, times, answer and score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ai_dev_tools.benchmark._util.clock import utc_stamp
from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark.agents.episode import EpisodeResult
from ai_dev_tools.benchmark.endpoints.chat import Reply
from ai_dev_tools.benchmark.endpoints.server_counts import ServerCounts, readings, rounded
from ai_dev_tools.benchmark.errors import RequestTimeoutError
from ai_dev_tools.benchmark.execution.request import RequestResult, digest_of
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.records.block import OLLAMA, PROTOCOL, Block, PlannedRequest, named_api, request_options
from ai_dev_tools.benchmark.records.episode import Turn
from ai_dev_tools.benchmark.records.sample import EndpointIdentity, Request, Sample, SampleError, Status
from ai_dev_tools.benchmark.tasks.answers import parse_answer
from ai_dev_tools.benchmark.tasks.scoring import ScorerFailed, score_answer

LIMIT = "limit"
"""`done_reason` of an episode that had to answer because it had reached a limit."""


@dataclass(frozen=True)
class _Outcome:
    """What a request and an episode have in common."""

    text: str
    answer: JsonValue
    readings: ServerCounts
    time_to_first_token_s: float | None
    flags: tuple[str, ...] = ()


def unasked(block: Block, cell: PlannedRequest, prompt: Prompt, session: str) -> Sample:
    """The sample of a cell whose context could not be made: failed, with the tool's error."""
    asked = RequestResult(started_at=utc_stamp(timespec="microseconds"))
    return _sample(block, cell, prompt, asked, session, None, EndpointIdentity("none", ""), prompt.error)


def sample_of(
    block: Block,
    cell: PlannedRequest,
    prompt: Prompt,
    asked: RequestResult,
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
    asked: RequestResult,
    session: str,
    model_digest: str | None,
    endpoint: EndpointIdentity,
    error: SampleError | None,
) -> Sample:
    sent, episode = bool(asked.attempts), asked.episode
    outcome = _of_episode(episode) if episode else _of_reply(asked.reply, prompt)
    found = outcome.readings
    answer = outcome.answer if error is None else None
    return Sample(
        profile=block.profile,
        instance=block.instance,
        model=block.model,
        model_digest=model_digest or asked.served,
        task=block.task,
        case=cell.case,
        cluster=prompt.cluster,
        size=prompt.size,
        approach=cell.approach,
        sample=cell.sample,
        repeat=cell.repeat,
        seed=cell.seed,
        status=_status(asked, error),
        error=error,
        response=outcome.text or (None if error else ""),
        answer=answer,
        score=_score_if_possible(answer, prompt) if error is None else None,
        input_tokens=found.input_tokens,
        output_tokens=found.output_tokens,
        total_tokens=found.total_tokens,
        load_s=found.load_s,
        prompt_eval_s=found.prompt_eval_s,
        eval_s=found.eval_s,
        total_s=found.total_s,
        rest_s=found.rest_s,
        prompt_cached_tokens=found.prompt_cached_tokens,
        reasoning_tokens=found.reasoning_tokens,
        done_reason=found.done_reason,
        duration_s=rounded(asked.duration_s) if sent else None,
        time_to_first_token_s=rounded(outcome.time_to_first_token_s),
        tool_s=round(prompt.tool_s + episode.tool_s, 6) if episode else prompt.tool_s,
        tool_other_cpu_s=prompt.tool_other_cpu_s,
        resources=asked.resources,
        plan=block.plan,
        attempts=asked.attempts,
        order=cell.order,
        in_flight=asked.in_flight,
        session=session,
        started_at=asked.started_at,
        flags=_flags(asked, outcome),
        request=_request(block, cell, prompt),
        endpoint=endpoint,
        turns=episode.turns if episode else [],
        limits=prompt.episode.limits if prompt.episode else None,
        tool_calls=episode.tool_calls if episode else None,
    )


def _status(asked: RequestResult, error: SampleError | None) -> Status:
    if error is None:
        return "completed"
    return "timeout" if isinstance(asked.error, RequestTimeoutError) else "failed"


def _flags(asked: RequestResult, outcome: _Outcome) -> list[str]:
    retried = ["retried"] if len(asked.attempts) > 1 or asked.repeated else []
    return sorted({*outcome.readings.flags, *outcome.flags, *retried})


def _request(block: Block, cell: PlannedRequest, prompt: Prompt) -> Request:
    digest, options = digest_of(block, cell, prompt), request_options(block, cell)
    return Request(digest, prompt.prompt_sha256, options, PROTOCOL, named_api(block) or OLLAMA)


def _of_reply(reply: Reply, prompt: Prompt) -> _Outcome:
    answer = parse_answer(reply.text, prompt.answer_schema)
    return _Outcome(reply.text, answer, readings(reply), reply.time_to_first_token_s, reply.flags)


def _of_episode(played: EpisodeResult) -> _Outcome:
    turns = played.turns
    # Of a turn that failed the server says nothing; what it said of the others is what is known of the episode.
    told = [turn for turn in turns if turn.error is None or turn.input_tokens is not None] or turns
    last = turns[-1].done_reason if turns else None
    found = ServerCounts(
        input_tokens=_whole(_sum(turn.input_tokens for turn in told)),
        output_tokens=_whole(_sum(turn.output_tokens for turn in told)),
        prompt_cached_tokens=_whole(_sum(turn.prompt_cached_tokens for turn in told)),
        reasoning_tokens=_whole(_sum(turn.reasoning_tokens for turn in told)),
        load_s=_sum(turn.load_s for turn in told),
        prompt_eval_s=_sum(turn.prompt_eval_s for turn in told),
        eval_s=_sum(turn.eval_s for turn in told),
        total_s=_sum(turn.total_s for turn in told),
        rest_s=_sum(_rest_s(turn) for turn in told),
        done_reason=LIMIT if played.limit and last else last,
    )
    first = turns[0].time_to_first_token_s if turns else None
    return _Outcome(played.text, played.answer, found, first, tuple(played.flags))


def _sum(values: Iterable[float | None]) -> float | None:
    """A sum; None if a part of it is not known, or there is none."""
    known = list(values)
    return None if None in known or not known else round(sum(value for value in known if value is not None), 6)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _rest_s(turn: Turn) -> float | None:
    phases = [value for value in (turn.load_s, turn.prompt_eval_s, turn.eval_s) if value is not None]
    return max(0.0, turn.duration_s - sum(phases)) if phases else None


def score_of(answer: object, prompt: Prompt) -> float | None:
    """The score of an answer, 0 to 1; None if there is no truth."""
    return rounded(score_answer(answer, prompt.truth, prompt.scoring))


def _score_if_possible(answer: JsonValue, prompt: Prompt) -> float | None:
    """The same, and None if a plugin's scorer fails: the answer is kept, and the block says so at its end."""
    try:
        return score_of(answer, prompt)
    except ScorerFailed:
        return None
