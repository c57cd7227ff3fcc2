"""What a server reports about one request, by the names of the sample's fields.

What is missing or impossible is None, with a flag.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ai_dev_tools.benchmark.endpoints.chat import Reply
from ai_dev_tools.benchmark.endpoints.ollama_client import LOOP
from ai_dev_tools.benchmark.records.episode import Turn


@dataclass(frozen=True)
class ServerCounts:
    """Counts in tokens, times in seconds."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    load_s: float | None = None
    prompt_eval_s: float | None = None
    eval_s: float | None = None
    total_s: float | None = None
    rest_s: float | None = None
    done_reason: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def total_tokens(self) -> int | None:
        """Both counts together; None unless both are known."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens


def readings(reply: Reply) -> ServerCounts:
    """Counts, seconds and flags from the closing object of a reply."""
    final = reply.final
    seconds = {
        key: seconds_of(final.get(f"{key}_duration"), reply.duration_s)
        for key in ("load", "prompt_eval", "eval", "total")
    }
    looped = final.get("done_reason") == LOOP
    told = bool(final) and not looped  # the server closed the answer with its own figures
    phases = [value for key in ("load", "prompt_eval", "eval") if (value := seconds[key]) is not None]
    found = ServerCounts(
        input_tokens=count_of(final.get("prompt_eval_count")),
        output_tokens=count_of(final.get("eval_count")),
        prompt_cached_tokens=count_of(final.get("prompt_eval_cached_count")),
        reasoning_tokens=count_of(final.get("reasoning_count")),
        load_s=0.0 if told and "load_duration" not in final else seconds["load"],
        prompt_eval_s=seconds["prompt_eval"],
        eval_s=seconds["eval"],
        total_s=seconds["total"],
        rest_s=rounded(max(0.0, reply.duration_s - sum(phases))) if told and phases else None,
        done_reason=reason if isinstance(reason := final.get("done_reason"), str) else None,
    )
    return replace(found, flags=tuple(_flags(reply, found, seconds, looped, told)))


def counted_turn(reply: Reply, found: ServerCounts) -> Turn:
    """A turn of an episode as measured by the server and the client's clock, regardless of its outcome."""
    return Turn(
        input_tokens=found.input_tokens,
        output_tokens=found.output_tokens,
        prompt_cached_tokens=found.prompt_cached_tokens,
        reasoning_tokens=found.reasoning_tokens,
        duration_s=round(reply.duration_s, 6),
        time_to_first_token_s=rounded(reply.time_to_first_token_s),
        load_s=found.load_s,
        prompt_eval_s=found.prompt_eval_s,
        eval_s=found.eval_s,
        total_s=found.total_s,
        done_reason=found.done_reason,
        text=reply.text,
    )


def _flags(
    reply: Reply, found: ServerCounts, seconds: dict[str, float | None], looped: bool, told: bool
) -> Iterator[str]:
    final = reply.final
    if looped:
        yield from ("looped", "output_capped")
    if not told:
        return
    if found.total_tokens is None:
        yield "tokens_missing"
    if any(isinstance(final.get(f"{k}_duration"), int | float) and v is None for k, v in seconds.items()):
        yield "impossible_duration"
    if final.get("done_reason") == "length":
        yield "output_capped"


def count_of(value: object) -> int | None:
    """A number of tokens as a server says it; None if it cannot be one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else None


def seconds_of(nanoseconds: object, duration_s: float) -> float | None:
    """Server-side seconds, or None if they cannot be right.

    That is if they are missing, negative, or longer than the client waited (beyond clock noise).
    """
    if not isinstance(nanoseconds, int | float) or isinstance(nanoseconds, bool):
        return None
    most = (duration_s * 1.05 + 0.05) * 1e9  # compared before it is divided: a whole number may be too large for that
    return rounded(nanoseconds / 1e9) if 0 <= nanoseconds <= most else None


def rounded(value: float | None) -> float | None:
    """To the microsecond."""
    return None if value is None else round(value, 6)
