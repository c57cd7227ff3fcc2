"""Conversations in requests of any API, and how a request is recognised in a replay."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from ai_dev_tools.benchmark._util.json_values import JsonValue

DIGITS = 16
"""Hexadecimal digits of a digest: it only has to tell the requests of one episode apart."""


def messages_of(body: Mapping[str, JsonValue]) -> list[Mapping[str, JsonValue]]:
    """The messages of a request in any of the APIs."""
    messages = body.get("messages")
    if isinstance(messages, list):
        return [message for message in messages if isinstance(message, dict)]
    told = [("system", body.get("system")), ("user", body.get("prompt"))]
    return [{"role": role, "content": text} for role, text in told if text]


def text_of(message: Mapping[str, JsonValue]) -> str:
    """What a message says."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def conversation_digest(texts: Sequence[str]) -> str:
    """The beginning of a sha256 of what the messages of a request say, without the nonce."""
    found = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "replace")
        found.update(b"%d:" % len(data) + data)
    return found.hexdigest()[:DIGITS]
