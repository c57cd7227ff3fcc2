"""The sample: one request, or one episode of an agent, and its result, one JSON file each.

All results of a run are computed from these.

Everything else (tables, tests, reports) is derived from samples. Decoding is strict about types, and unknown fields
are refused, so that a damaged file, or one of another program, is noticed. msgspec is used instead of pydantic because a
block job starts for every (model, task) and a report reads up to a million of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.episode import EpisodeLimits, Turn
from ai_dev_tools.benchmark.records.sample_error import SampleError as SampleError
from ai_dev_tools.benchmark.records.sample_error import described as _meta

Status = Literal["completed", "failed", "timeout"]


class Attempt(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """One attempt of a request; a sample has one, plus one for each retry."""

    started_at: Annotated[str, _meta("when the attempt was sent, UTC", "ISO 8601")]
    duration_s: Annotated[float, _meta("how long it took", "s")]
    error: Annotated[SampleError | None, _meta("why it failed")] = None
    backoff_s: Annotated[float, _meta("pause after it, before the next attempt", "s")] = 0.0


class Resources(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the request used of the machine; null if the server's process cannot be seen."""

    server_cpu_s: Annotated[float | None, _meta("CPU time of the server process and its children", "s")] = None
    server_peak_rss_bytes: Annotated[int | None, _meta("largest resident memory of the server so far", "bytes")] = None
    other_cpu_s: Annotated[float | None, _meta("CPU time of everything else on the machine meanwhile", "s")] = None
    measured_s: Annotated[
        float | None, _meta("how long that was: the request, or the episode with its tool or agent", "s")
    ] = None


class Request(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What was asked, as config and prompts determine it."""

    digest: Annotated[
        str, _meta("sha256 of everything that determines the request; a sample is reused while it matches")
    ]
    prompt_sha256: Annotated[str, _meta("sha256 of the rendered prompt, nonce excluded")]
    options: Annotated[dict[str, Any], _meta("request options as sent, seed included, by the names of the config")]
    protocol: Annotated[int, _meta("version of the request code's meaning, raised by hand")]
    api: Annotated[str, _meta("API in whose words it was asked, ollama or openai")] = "ollama"


class EndpointIdentity(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which server answered."""

    kind: Annotated[str, _meta("embedded, external, process, container, replay, or a custom kind")]
    version: Annotated[str, _meta("the version that the server reports")]


class Sample(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One request in one arm, or one episode of an agent.

    The counts and times of an episode are sums over its turns.

    Times are those of the last attempt, as seen by the client unless noted.
    """

    profile: Annotated[str, _meta("hardware profile")]
    instance: Annotated[str, _meta("name of the model instance")]
    model: Annotated[str, _meta("model tag")]
    model_digest: Annotated[
        str | None,
        _meta(
            "digest of the model's weights as the server reports it; of one that reports none, its id and fingerprint"
        ),
    ]
    task: Annotated[str, _meta("task id")]
    case: Annotated[str, _meta("case id")]
    cluster: Annotated[str, _meta("project or source file of the case: the statistical unit")]
    size: Annotated[str, _meta("size class of the case, S or L")]
    approach: Annotated[str, _meta("arm: how the model got its context")]
    sample: Annotated[int, _meta("index of the request within its arm")]
    repeat: Annotated[int, _meta("how often the case has occurred before in this arm")]
    seed: Annotated[int, _meta("sampling seed, shared by all arms and models for a (task, case, repeat)")]
    status: Annotated[Status, _meta("completed, failed or timeout")]
    error: Annotated[SampleError | None, _meta("why it is not completed")]
    response: Annotated[str | None, _meta("the model's answer as text, as far as it arrived")]
    answer: Annotated[Any, _meta("the answer parsed as JSON; null if it cannot be parsed")]
    score: Annotated[float | None, _meta("quality; 0 when unparseable, null without truth or without answer", "0..1")]
    input_tokens: Annotated[int | None, _meta("prompt tokens, counted by the server", "tokens")]
    output_tokens: Annotated[int | None, _meta("generated tokens, counted by the server", "tokens")]
    total_tokens: Annotated[int | None, _meta("sum of both", "tokens")]
    duration_s: Annotated[float | None, _meta("from sending the request to the last byte", "s")]
    time_to_first_token_s: Annotated[float | None, _meta("from sending to the first piece of answer", "s")]
    load_s: Annotated[float | None, _meta("server: waiting for the model to be loaded and scheduled", "s")]
    prompt_eval_s: Annotated[float | None, _meta("server: reading the prompt (prefill)", "s")]
    eval_s: Annotated[float | None, _meta("server: generating (decode)", "s")]
    rest_s: Annotated[
        float | None,
        _meta("duration minus load, prefill and decode: sampling, answer grammar, transport, any wait for a slot", "s"),
    ]
    tool_s: Annotated[float, _meta("run time of the tools behind the context; 0 if none ran", "s")]
    prompt_cached_tokens: Annotated[int | None, _meta("prompt tokens taken from a prefix cache", "tokens")]
    resources: Annotated[Resources, _meta("CPU and memory while the request ran")]
    plan: Annotated[str | None, _meta("hash of the plan in force when the request was sent")]
    done_reason: Annotated[
        str | None,
        _meta(
            "stop; length: cut at the cap; loop: the server gave up on an answer that looped; limit: one of the episode's"
        ),
    ]
    attempts: Annotated[list[Attempt], _meta("all attempts, including the last one")]
    order: Annotated[int, _meta("position in the sequence in which the block sends")]
    in_flight: Annotated[int, _meta("the run's own requests in progress when it was sent, including itself")]
    session: Annotated[str, _meta("id of the block job that asked; time is compared within a session only")]
    started_at: Annotated[str, _meta("when the last attempt was sent, UTC", "ISO 8601")]
    flags: Annotated[list[str], _meta("what a check should know about, e.g. output_capped, offload_changed")]
    request: Annotated[Request, _meta("what was asked")]
    endpoint: Annotated[EndpointIdentity, _meta("who answered")]
    tool_other_cpu_s: Annotated[
        float | None,
        _meta("CPU time of everything except the tools on the machine while they ran; null if none ran", "s"),
    ] = None
    reasoning_tokens: Annotated[
        int | None, _meta("of the generated tokens, those of thoughts, where the server counts them apart", "tokens")
    ] = None
    total_s: Annotated[float | None, _meta("server: the whole request, from its arrival to the last token", "s")] = None
    turns: Annotated[list[Turn], _meta("requests of an episode, in their order; empty for a single prompt")] = []
    limits: Annotated[EpisodeLimits | None, _meta("what the episode could use at most; null for a single prompt")] = (
        None
    )
    tool_calls: Annotated[
        int | None, _meta("actions that the judged tool carried out; null where it offers none", "actions")
    ] = None


RENAMED = {"queue_s": "rest_s"}
"""Fields that had another name in earlier versions."""
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Sample)


def encode(sample: Sample) -> bytes:
    """One JSON object in one line, without a line end."""
    return _encoder.encode(sample)


def decode(data: bytes) -> Sample:
    """The sample in `data`.

    Raises `msgspec.MsgspecError` or `UnicodeDecodeError` for anything that is not exactly one.

    Samples of earlier versions are read as well.
    """
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError:
        if not any(f'"{old}"'.encode() in data for old in RENAMED):
            raise
        fields = msgspec.json.decode(data, type=dict[str, Any])
        if any(old in fields and new in fields for old, new in RENAMED.items()):
            raise
        return msgspec.convert({RENAMED.get(name, name): value for name, value in fields.items()}, Sample)


def write_sample(path: Path, sample: Sample) -> None:
    """Write a sample file (indented, for people) atomically and durably."""
    write_atomically(path, msgspec.json.format(encode(sample), indent=1) + b"\n")


def read_sample(path: Path) -> Sample | str | None:
    """The sample in a file; None if there is no file; one line with the reason if it cannot be trusted."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return f"{path} is not a sample of this project ({error})"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"


def read_block(path: Path) -> list[Sample]:
    """All samples of a block file, in its order.

    Raises:
        ConfigurationError: a line is not a sample, or the file cannot be read.
    """
    return list(iter_block(path))


def iter_block(path: Path) -> Iterator[Sample]:
    """Samples of a block file, one at a time.

    Raises:
        ConfigurationError: a line is not a sample, or the file cannot be read.
    """
    number = 0
    try:
        with open(path, "rb") as file:
            for line in file:
                number += 1
                yield decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(
            f"{path} line {number} is not a sample ({error})",
            remedy="Delete the file; it is made again from its samples",
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path}: {error.strerror}", remedy="Run the same command again; it is made from its samples"
        ) from None


def write_block(path: Path, samples: Iterable[Sample]) -> None:
    """Write samples as JSON lines, atomically."""
    write_atomically(path, (encode(sample) + b"\n" for sample in samples))
