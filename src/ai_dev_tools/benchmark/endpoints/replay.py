"""Answers from recorded samples, with their recorded timings: a whole run again without a model.

A request is recognised by its model, the digest of its prompt without the opening nonce, and its seed. Every recorded
attempt is played in turn, the failed ones as the failure that they were.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark._util.model_names import same_model
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint, endpoint_kind
from ai_dev_tools.benchmark.endpoints.embedded import origins
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.sample import Sample, read_block, read_sample

Key = tuple[str, int]
"""Digest of the prompt, nonce excluded, and seed."""


@endpoint_kind("replay")
def open_replay(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
    """Serve the recordings of the spec's model on a free port of this machine, from a thread of this process."""
    if spec.replay_from is None:
        raise ConfigurationError(f"{spec.instance}: replay needs the folder of recorded samples (replay_from)")
    recordings = load_recordings(Path(spec.replay_from), spec.model)
    server = ThreadingHTTPServer(("127.0.0.1", spec.port), _handler(recordings))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield ReadyEndpoint(
            base_url=f"http://127.0.0.1:{server.server_port}",
            kind="replay",
            version=f"replay of {recordings.version}",
            model=spec.model,
            model_digest=recordings.digest,
            slots=spec.max_concurrent,
            details={"recorded": len(recordings.samples), "recorded_kind": recordings.kind},
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Recordings:
    """What was recorded of one model, and what already was played."""

    model: str
    samples: dict[Key, Sample]

    def __post_init__(self) -> None:
        first = next(iter(self.samples.values()))
        self.digest = next((s.model_digest for s in self.samples.values() if s.model_digest), None)
        self.kind, self.version = first.endpoint.kind, first.endpoint.version
        self._played: Counter[Key] = Counter()
        self._lock = threading.Lock()

    def next_attempt(self, key: Key) -> tuple[Sample, int] | None:
        """The recording of a request and which of its attempts is due; after the last one it begins anew."""
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
        ConfigurationError: there is none, or a block is damaged.
    """
    samples: dict[Key, Sample] = {}
    files = [*folder.glob("*/*/*/*.json"), *folder.glob("samples/*/*/*/*.json")]
    recorded = (sample for path in sorted(files) if isinstance(sample := read_sample(path), Sample))
    collected = (sample for path in sorted(folder.glob("blocks/*/*.jsonl")) for sample in read_block(path))
    for sample in (*recorded, *collected):
        if same_model(sample.model, model) and sample.attempts:
            samples[sample.request.prompt_sha256, sample.seed] = sample
    if not samples:
        raise ConfigurationError(
            f"no recorded samples of {model} below {folder}", remedy="Run the benchmark with a model first"
        )
    return Recordings(model, samples)


def request_key(body: dict[str, Any]) -> Key | None:
    """What identifies a request; None for one that no run of this project sends."""
    try:
        content = body["messages"][-1]["content"]
        seed = body["options"]["seed"]
        _nonce, _, prompt = content.partition("\n\n")
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    return hashlib.sha256(prompt.encode()).hexdigest(), seed


def closing_fields(sample: Sample) -> dict[str, Any]:
    """Ollama's closing fields as they were recorded; what was absent stays absent."""
    durations = {"load": sample.load_s, "prompt_eval": sample.prompt_eval_s, "eval": sample.eval_s}
    fields: dict[str, Any] = {
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


def _whole_s(sample: Sample) -> float | None:
    """Seconds that the server took for all; of samples that do not hold them, those of its phases; None: it does not say."""
    if sample.total_s is None and sample.rest_s is None:
        return None
    return sample.total_s if sample.total_s is not None else (sample.duration_s or 0.0) - (sample.rest_s or 0.0)


_MAX_BODY_BYTES = 64 << 20
_STATUSES = {"overloaded": 503, "runner": 500, "context_overflow": 400, "model": 500, "configuration": 400}


def _handler(recordings: Recordings) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self._refused():
                return
            replies: dict[str, dict[str, Any]] = {
                "/api/version": {"version": f"0.0.0-replay+{recordings.version}"},
                "/api/tags": {"models": [{"name": recordings.model, "digest": recordings.digest}]},
                "/api/ps": {"models": []},
            }
            reply = replies.get(self.path)
            self._send(200 if reply else 404, reply or {"error": "not recorded"})

        def do_POST(self) -> None:
            received = time.perf_counter()
            try:
                length = int(self.headers.get("Content-Length", 0))
                data = self.rfile.read(min(max(length, 0), _MAX_BODY_BYTES))
                if self._refused():
                    return None
                body = json.loads(data)
            except (ValueError, RecursionError):
                return self._send(400, {"error": "invalid JSON"})
            if self.path != "/api/chat" or not isinstance(body, dict):
                return self._send(404, {"error": "not recorded"})
            key = request_key(body)
            found = recordings.next_attempt(key) if key else None
            if found is None:
                return self._unknown(body)
            sample, attempt = found
            last = attempt + 1 == len(sample.attempts)
            recorded = sample.attempts[attempt]
            if last and sample.status == "completed":
                return self._play(sample, received)
            self._sleep_until(received + recorded.duration_s)
            error = recorded.error or sample.error
            self._fail(error.class_ if error else "connection", error.message if error else "")

        def _refused(self) -> bool:
            """Whether the request came from a web page, to which recorded answers are no business."""
            given = {name: self.headers[name] for name in origins.CHECKED if name in self.headers}
            problem = origins.problem(self.command, given, (), reached_locally=True)
            if problem:
                self._send(403, {"error": problem})
            return problem is not None

        def _unknown(self, body: dict[str, Any]) -> None:
            """A warm-up (it asks for one token) is answered; any other request that was not recorded is an error."""
            options = body.get("options")
            if isinstance(options, dict) and options.get("num_predict") == 1:
                return self._lines(
                    [{"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "length"}]
                )
            self._send(404, {"error": f"this request to {recordings.model} was not recorded"})

        def _play(self, sample: Sample, received: float) -> None:
            text = sample.response or ""
            piece = {"model": sample.model, "message": {"role": "assistant", "content": text}, "done": False}
            closing = {"model": sample.model, "message": {"role": "assistant", "content": ""}, **closing_fields(sample)}
            self._start_lines()
            self._sleep_until(received + (sample.time_to_first_token_s or 0.0))
            if text:
                self._line(piece)
            self._sleep_until(received + (sample.duration_s or 0.0))
            self._line(closing)
            self._end_lines()

        def _fail(self, error_class: str, message: str) -> None:
            """Fail as the recorded request did; what has no status of its own is a connection that breaks."""
            if error_class == "malformed_response":
                return self._lines([])
            if error_class in _STATUSES:
                # The message already says what was wrong; the word tells an overflow from other refusals.
                return self._send(_STATUSES[error_class], {"error": message or error_class.replace("_", " ")})
            if error_class == "timeout":
                time.sleep(3600)
            self.close_connection = True

        def _sleep_until(self, moment: float) -> None:
            time.sleep(max(0.0, moment - time.perf_counter()))

        def _send(self, status: int, reply: dict[str, Any]) -> None:
            data = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _lines(self, items: list[dict[str, Any]]) -> None:
            self._start_lines()
            for item in items:
                self._line(item)
            self._end_lines()

        def _start_lines(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

        def _line(self, item: dict[str, Any]) -> None:
            data = json.dumps(item).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        def _end_lines(self) -> None:
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            """Say nothing: requests are recorded by the run."""

    return Handler
