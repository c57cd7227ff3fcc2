"""A server asked without any client library in between."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import urllib3


@dataclass
class Reply:
    """Status, headers and body of a reply."""

    status: int
    headers: urllib3.HTTPHeaderDict
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The objects of a streamed reply."""
        return [json.loads(line) for line in self.data.splitlines()]


class Server:
    """Requests to one server about one model; a bearer token comes from OLLAMA_API_KEY where that is set."""

    def __init__(self, base_url: str, model: str | None) -> None:
        token = os.environ.get("OLLAMA_API_KEY")
        self.base_url = base_url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pool = urllib3.PoolManager(retries=False, timeout=120, headers=self.headers)
        self.model = model or self.request("GET", "/api/tags").json["models"][0]["name"]

    def request(self, method: str, path: str, **arguments: Any) -> Reply:
        reply = self._pool.request(method, self.base_url + path, **arguments)
        return Reply(reply.status, reply.headers, reply.data)

    def generate(self, prompt: str = "Say hello.", /, stream: bool = False, **fields: Any) -> Reply:
        return self._ask("/api/generate", {"prompt": prompt}, stream, fields)

    def chat(self, *contents: str, stream: bool = False, **fields: Any) -> Reply:
        """A conversation in which user and assistant take turns, the user first."""
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": content} for i, content in enumerate(contents)]
        return self._ask("/api/chat", {"messages": messages}, stream, fields)

    def _ask(self, path: str, question: dict[str, Any], stream: bool, fields: dict[str, Any]) -> Reply:
        options = {"temperature": 0, "num_predict": 8, **fields.pop("options", {})}
        body = {"model": self.model, **question, "stream": stream, "options": options, **fields}
        return self.request("POST", path, json=body)
