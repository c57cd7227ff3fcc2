"""Exchanges recorded from a real Ollama, asked of another server again, and what differs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FOLDER = Path(__file__).parents[1] / "recorded" / "ollama-0.24.0"
MODEL = "smollm2:135m"
TOO_LONG = "3,000 times 'word '"
"""What the recording says instead of 15,000 characters."""
_OF_THE_MODEL = ("model_info", "tensors", "logprobs", "context")
"""Fields whose inside belongs to the model, or to its tokens."""
_SAME = ("done", "done_reason", "role", "status", "error", "object")
"""Fields whose values must be the same, not only their types."""


@dataclass(frozen=True)
class Answer:
    """Status, the headers that matter, and the body: an object, the objects of a stream, or text."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def framing(self) -> str:
        return "chunked" if "transfer-encoding" in self.headers else "content-length"


@dataclass(frozen=True)
class Exchange:
    name: str
    method: str
    path: str
    body: Any
    recorded: Answer


def exchanges() -> list[Exchange]:
    """In the order in which they were recorded, which matters: loading and unloading are among them."""
    found = []
    for line in (FOLDER / "exchanges.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        asked, said = item["request"], item["response"]
        answer = Answer(said["status"], said["headers"], said["body"])
        found.append(Exchange(item["name"], asked["method"], asked["path"], asked["body"], answer))
    return found


def ask_again(exchange: Exchange, base_url: str) -> Answer:
    """Send the same bytes to another server; no client library in between adds or follows anything."""
    body = exchange.body
    if body is not None and not isinstance(body, str):
        body = json.dumps(body).replace(json.dumps(TOO_LONG), json.dumps("word " * 3000))
    parts = urlsplit(base_url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=300)
    connection.request(exchange.method, exchange.path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status, headers, _content(text))


def _content(text: str) -> Any:
    try:
        items = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return text
    return items[0] if len(items) == 1 else items


def differences(recorded: Answer, answered: Answer) -> list[str]:
    """What is not as the real server had it, one short line each; texts of the model, digests and times are not compared."""
    found = []
    for what, before, now in (
        ("status", recorded.status, answered.status),
        ("content type", recorded.headers.get("content-type"), answered.headers.get("content-type")),
        ("framing", recorded.framing, answered.framing),
        ("allow", recorded.headers.get("allow"), answered.headers.get("allow")),
    ):
        if before != now:
            found.append(f"{what}: {now}, not {before}")
    return found + _bodies(recorded.body, answered.body)


def _objects(body: Any) -> Any:
    """The objects of a stream of events, as `/v1` sends them, with "" where an answer has not ended; else the body as it is."""
    if not isinstance(body, str) or not body.startswith("data: "):
        return body
    data = [line.removeprefix("data: ") for line in body.splitlines() if line]
    plain = [item.replace('"finish_reason":null', '"finish_reason":""') for item in data[:-1]]
    return [json.loads(item) for item in plain] if data[-1] == "[DONE]" else body


def _bodies(recorded: Any, answered: Any) -> list[str]:
    recorded, answered = _objects(recorded), _objects(answered)
    if isinstance(recorded, str) or isinstance(answered, str) or type(recorded) is not type(answered):
        return [] if recorded == answered else [f"body: {_short(answered)}, not {_short(recorded)}"]
    if isinstance(recorded, list):
        return _streams(recorded, answered)
    return _fields(recorded, answered)


def _streams(recorded: list[Any], answered: list[Any]) -> list[str]:
    """Pieces first, each like every other, and one closing object last."""
    found = [] if len(answered) > 1 else ["stream: one object"]
    for piece in answered[:-1]:
        found += [f"piece: {line}" for line in _fields(recorded[0], piece)]
    return sorted(set(found)) + [f"last: {line}" for line in _fields(recorded[-1], answered[-1])]


def _fields(recorded: dict[str, Any], answered: dict[str, Any]) -> list[str]:
    before, now = dict(_leaves(recorded)), dict(_leaves(answered))
    found = [f"{name} is missing" for name in before if name not in now]
    found += [f"{name} is extra" for name in now if name not in before]
    for name in before:
        if name in now and before[name] != now[name]:
            found.append(f"{name}: {_short(now[name])}, not {_short(before[name])}")
    return found


def _leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Fields by path, with a value where it matters and else the type; of a list, its first item."""
    last = name.rpartition(".")[2]
    if isinstance(value, dict) and last not in _OF_THE_MODEL:
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{name}.{key}".lstrip("."))]
    if isinstance(value, list) and last not in _OF_THE_MODEL and value:
        return _leaves(value[0], f"{name}[]")
    return [(name, value if last in _SAME or name == "model" else type(value).__name__)]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
