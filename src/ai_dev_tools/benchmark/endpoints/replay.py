"""Serve answers from recorded samples, with their timings: repeats a run without a model.

A request is recognised by its model, the digest of its prompt without the opening nonce, and its seed. Every recorded
attempt is replayed in turn, including the failures. Requests of a third-party agent are those of its episode: each gets the
answer to the same conversation, or else the next one that was recorded.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark._util.json_values import JsonFields, JsonObject, JsonValue
from ai_dev_tools.benchmark._util.model_names import same_model
from ai_dev_tools.benchmark.endpoints.base import REPLAY_OF, EndpointSpec, ReadyEndpoint, endpoint_kind
from ai_dev_tools.benchmark.endpoints.embedded import origins
from ai_dev_tools.benchmark.endpoints.recorded_errors import IN_STREAM, as_sent
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.block import nonce
from ai_dev_tools.benchmark.records.conversation import conversation_digest, messages_of, text_of
from ai_dev_tools.benchmark.records.episode import Turn
from ai_dev_tools.benchmark.records.sample import Sample, read_block, read_sample
from ai_dev_tools.benchmark.records.sessions import as_shown, recorded_for_model

Key = tuple[str, int]
"""Digest of the prompt, nonce excluded, and seed."""
EpisodeKey = tuple[str, int]
"""Nonce and seed: two arms can open their episodes with one prompt, and the nonce tells them apart."""
MOST_ATTEMPTS = 20


@endpoint_kind("replay")
def open_replay(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
    """Serve the recordings of the spec's model on a free port, from a thread of this process."""
    if spec.replay_from is None:
        raise ConfigurationError(f"{spec.instance}: replay needs the folder of recorded samples (replay_from)")
    recordings = load_recordings(Path(spec.replay_from), spec.model)
    with _served(Player(recordings)) as port:
        yield ReadyEndpoint(
            base_url=f"http://127.0.0.1:{port}",
            kind="replay",
            version=f"{REPLAY_OF}{recordings.version}",
            model=spec.model,
            model_digest=recordings.digest,
            slots=spec.max_concurrent,
            details={"recorded": recordings.count, "recorded_kind": recordings.kind},
        )


@contextmanager
def _served(player: Player) -> Iterator[int]:
    """Have a thread of this process answer on a free port; yields the port."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", player.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_listen(runner))
        thread = threading.Thread(target=loop.run_forever, name="replay", daemon=True)
        thread.start()
        try:
            yield int(runner.addresses[0][1])
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
    finally:
        loop.close()


async def _listen(runner: web.AppRunner) -> None:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()


@dataclass
class Recordings:
    """The recordings of one model, and which of them have been replayed.

    Attributes:
        shown: what was recorded about the model, in the format of `/api/show`.
    """

    model: str
    samples: dict[Key, Sample]
    episodes: dict[EpisodeKey, tuple[Sample, int]] = field(default_factory=dict)
    shown: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        every = [*self.samples.values(), *(sample for sample, _ in self.episodes.values())]
        first = every[0]
        self.digest = next((s.model_digest for s in every if s.model_digest), None)
        self.kind, self.version = first.endpoint.kind, first.endpoint.version
        self._played: Counter[Key] = Counter()
        self._turns_played: dict[EpisodeKey, set[int]] = {}
        self._lock = threading.Lock()

    def turn(self, body: JsonObject) -> tuple[Sample, int, int] | None:
        """The recording of an episode that a request belongs to, which of its attempts, and which turn."""
        messages, options = messages_of(body), body.get("options")
        seed = options.get("seed") if isinstance(options, dict) else None
        if not messages or not isinstance(seed, int):
            return None
        first, *more = map(text_of, messages)
        opening, _, first = first.partition("\n\n")
        key = opening.removeprefix("Request "), seed
        if (found := self.episodes.get(key)) is None:
            return None
        sample, attempt = found
        if any(turn.asked or turn.conversation for turn in sample.turns):
            return sample, attempt, self._turn_of_program(key, sample, conversation_digest([first, *more]))
        return sample, attempt, sum(message.get("role") == "assistant" for message in messages)

    def _turn_of_program(self, key: EpisodeKey, sample: Sample, conversation: str) -> int:
        """The turn that a third-party agent asks for: the first one left that matches, else the first one left."""
        with self._lock:
            played = self._turns_played.setdefault(key, set())
            left = [number for number in range(len(sample.turns)) if number not in played]
            same = (number for number in left if sample.turns[number].conversation == conversation)
            number = next(same, left[0] if left else len(sample.turns))
            played.add(number)
        return number

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self.samples) + len(self.episodes) // MOST_ATTEMPTS

    def next_attempt(self, key: Key) -> tuple[Sample, int] | None:
        """The recording of a request and which of its attempts is next; after the last one, it starts over."""
        sample = self.samples.get(key)
        if sample is None:
            return None
        with self._lock:
            attempt = self._played[key] % max(1, len(sample.attempts))
            self._played[key] += 1
        return sample, attempt


def load_recordings(folder: Path, model: str) -> Recordings:
    """Every usable sample of the model in a run's folder (its blocks, and samples that no block has yet).

    Args:
        folder: of a run, or its samples folder.

    Raises:
        ConfigurationError: there are none, or a block is damaged.
    """
    samples: dict[Key, Sample] = {}
    episodes: dict[EpisodeKey, tuple[Sample, int]] = {}
    files = [*folder.glob("*/*/*/*.json"), *folder.glob("samples/*/*/*/*.json")]
    recorded = (sample for path in sorted(files) if isinstance(sample := read_sample(path), Sample))
    collected = (sample for path in sorted(folder.glob("blocks/*/*.jsonl")) for sample in read_block(path))
    for sample in (*recorded, *collected):
        if not same_model(sample.model, model) or not sample.attempts:
            continue
        if sample.limits is None:
            samples[sample.request.prompt_sha256, sample.seed] = sample
            continue
        for attempt in range(MOST_ATTEMPTS):
            episodes[nonce(sample.seed, sample.approach, attempt), sample.seed] = (sample, attempt)
    if not samples and not episodes:
        raise ConfigurationError(
            f"no recorded samples of {model} below {folder}", remedy="Run the benchmark with a model first"
        )
    sessions = [*recorded_for_model(folder, model), *recorded_for_model(folder.parent, model)]
    return Recordings(model, samples, episodes, as_shown(sessions))


def request_key(body: JsonFields) -> Key | None:
    """What identifies a request; None if no run of this project sends such a request."""
    try:
        content = body["messages"][-1]["content"]
        seed = body["options"]["seed"]
        _nonce, _, prompt = content.partition("\n\n")
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    return hashlib.sha256(prompt.encode()).hexdigest(), seed


def closing_fields(sample: Sample | Turn) -> JsonObject:
    """Ollama's closing fields as they were recorded; missing ones stay missing."""
    durations = {"load": sample.load_s, "prompt_eval": sample.prompt_eval_s, "eval": sample.eval_s}
    fields: JsonObject = {
        "done": True,
        "done_reason": sample.done_reason,
        "total_duration": None if (whole := _whole_s(sample)) is None else round(whole * 1e9),
        "prompt_eval_count": sample.input_tokens,
        "eval_count": sample.output_tokens,
        "prompt_eval_cached_count": sample.prompt_cached_tokens,
        "reasoning_count": sample.reasoning_tokens,
        **{f"{name}_duration": round(value * 1e9) for name, value in durations.items() if value is not None},
    }
    told = {key: value for key, value in fields.items() if value is not None}
    return {"load_duration": None} | told  # where it is absent, Ollama did not load; null: the server did not say


def _whole_s(sample: Sample | Turn) -> float | None:
    """Seconds that the server took for all; of samples that do not hold them, those of its phases.

    None: it does not say.
    """
    if isinstance(sample, Turn) or (sample.total_s is None and sample.rest_s is None):
        return sample.total_s
    return sample.total_s if sample.total_s is not None else (sample.duration_s or 0.0) - (sample.rest_s or 0.0)


_MAX_BODY_BYTES = 64 << 20


class Player:
    """Answers requests as the recorded server did, at the recorded moments."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._known: dict[str, JsonObject] = {
            "/api/version": {"version": f"0.0.0-replay+{recordings.version}"},
            "/api/tags": {"models": [{"name": recordings.model, "digest": recordings.digest}]},
            "/api/ps": {"models": []},
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request; one from a web page is refused, because it has no business with recorded answers."""
        received = asyncio.get_running_loop().time()
        if problem := origins.problem(request.method, request.headers, (), reached_locally=True):
            return _json(403, {"error": problem})
        if request.method != "POST":
            known = self._known.get(request.path)
            return _json(200 if known else 404, known or {"error": "not recorded"})
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            return _json(400, {"error": "invalid JSON"})
        if request.path == "/api/show":
            return _json(200, self._recordings.shown)
        if request.path not in ("/api/chat", "/api/generate") or not isinstance(body, dict):
            return _json(404, {"error": "not recorded"})
        return await self._chat(request, body, received)

    async def _chat(self, request: web.Request, body: JsonObject, received: float) -> web.StreamResponse:
        if turn := self._recordings.turn(body):
            return await self._turn(request, body, *turn, received)
        key = request_key(body)
        found = self._recordings.next_attempt(key) if key else None
        if found is None:
            return await self._unknown(request, body)
        sample, attempt = found
        if attempt + 1 == len(sample.attempts) and sample.status == "completed":
            return await _play(request, body, _RecordedReply.by_sample(sample), received)
        recorded = sample.attempts[attempt]
        await _sleep_until(received + recorded.duration_s)
        error = recorded.error or sample.error
        return await _fail(request, error.class_ if error else "connection", error.message if error else "")

    async def _turn(
        self, request: web.Request, body: JsonObject, sample: Sample, attempt: int, number: int, received: float
    ) -> web.StreamResponse:
        """One turn of an episode.

        Of attempts that failed, only the end is known, so they fail with their first turn.
        """
        if attempt + 1 < len(sample.attempts):
            earlier = sample.attempts[attempt]
            await _sleep_until(received + earlier.duration_s)
            error = earlier.error or sample.error
            return await _fail(request, error.class_ if error else "connection", error.message if error else "")
        if number >= len(sample.turns):
            return await self._unknown(request, body)
        turn = sample.turns[number]
        if turn.error and turn.action is None and turn.result is None and turn.error.class_ != "no_answer":
            await _sleep_until(received + turn.duration_s)
            return await _fail(request, turn.error.class_, turn.error.message)
        return await _play(request, body, _RecordedReply.by_turn(sample.model, turn, bool(body.get("tools"))), received)

    async def _unknown(self, request: web.Request, body: JsonObject) -> web.StreamResponse:
        """Answer a warm-up (which asks for one token); any other request that was not recorded is an error."""
        options = body.get("options")
        if isinstance(options, dict) and options.get("num_predict") == 1:
            closing: JsonObject = {
                "message": {"role": "assistant", "content": ""},
                "done": True,
                "done_reason": "length",
            }
            return await _lines(request, closing)
        return _json(404, {"error": f"this request to {self._recordings.model} was not recorded"})


@dataclass(frozen=True)
class _RecordedReply:
    """The recorded reply to a request."""

    model: str
    text: str
    closing: JsonObject
    first_s: float
    whole_s: float
    calls: list[JsonObject] = field(default_factory=list)

    @classmethod
    def by_sample(cls, sample: Sample) -> _RecordedReply:
        first, whole = sample.time_to_first_token_s or 0.0, sample.duration_s or 0.0
        return cls(sample.model, sample.response or "", closing_fields(sample), first, whole)

    @classmethod
    def by_turn(cls, model: str, turn: Turn, native: bool) -> _RecordedReply:
        called = native and turn.action and turn.arguments is not None
        calls: list[JsonObject] = (
            [{"function": {"name": n, "arguments": a}} for n, a in calls_of(turn)] if called else []
        )
        return cls(model, turn.text, closing_fields(turn), turn.time_to_first_token_s or 0.0, turn.duration_s, calls)

    def part(self, path: str, text: str, calls: Sequence[JsonObject] = ()) -> JsonObject:
        """A piece of the answer, as the API at that path writes it."""
        if path == "/api/generate":
            return {"model": self.model, "response": text}
        message: JsonObject = {"role": "assistant", "content": text, **({"tool_calls": [*calls]} if calls else {})}
        return {"model": self.model, "message": message}


def calls_of(turn: Turn) -> list[tuple[str, JsonValue]]:
    """Names and arguments of the functions called in a turn; arguments that are not JSON stay text."""
    found = _arguments(turn.arguments or "{}")
    if not isinstance(found, list):
        return [(str(turn.action), found)]
    return [(str(name), _arguments(text)) for name, text in found]


def _arguments(written: str) -> JsonValue:
    try:
        return wire.decoded(written.encode())
    except ValueError:
        return written


async def _play(
    request: web.Request, body: Mapping[str, JsonValue], said: _RecordedReply, received: float
) -> web.StreamResponse:
    if body.get("stream") is False:
        await _sleep_until(received + said.whole_s)
        return _json(200, said.part(request.path, said.text, said.calls) | said.closing)
    response = await _lines(request)
    await _sleep_until(received + said.first_s)
    if said.text or said.calls:
        await response.write(_line({**said.part(request.path, said.text, said.calls), "done": False}))
    await _sleep_until(received + said.whole_s)
    await response.write(_line({**said.part(request.path, ""), **said.closing}))
    return response


async def _fail(request: web.Request, error_class: str, message: str) -> web.StreamResponse:
    """Fail as the recorded request did; an error that no answer of a server says becomes a broken connection."""
    if error_class == "malformed_response":
        return await _lines(request)
    if sent := as_sent(error_class, message):
        status, said = sent
        return await _lines(request, {"error": said}) if status == IN_STREAM else _json(status, {"error": said})
    if error_class == "timeout":
        await asyncio.sleep(3600)
    if request.transport is not None:
        request.transport.close()
    return web.Response()  # is not sent any more


async def _sleep_until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))


def _json(status: int, reply: Mapping[str, JsonValue]) -> web.Response:
    return web.json_response(reply, status=status)


async def _lines(request: web.Request, *items: Mapping[str, JsonValue]) -> web.StreamResponse:
    """A stream of JSON lines with these in it."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    for item in items:
        await response.write(_line(item))
    return response


def _line(item: Mapping[str, JsonValue]) -> bytes:
    return json.dumps(item).encode() + b"\n"
