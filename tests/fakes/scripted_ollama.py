"""A LABELLED FAKE of Ollama for tests of what surrounds a server: it has no model and answers from a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ScriptedOllama:
    """State of the fake.

    Attributes:
        models: what it lists, name to digest.
        pulls: what each call of `/api/pull` sends, in turn, the last one again and again; the word "break" ends the
            connection there, and a pull that says success adds the model.
        token: bearer token that it wants, if any.
        asked: paths of the requests that came; `credentials`: what they had as Authorization, if anything.
    """

    models: dict[str, str] = field(default_factory=dict)
    pulls: list[list[dict[str, Any] | str]] = field(default_factory=list)
    token: str | None = None
    version: str = "0.0.0-fake"
    asked: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[ScriptedOllama]:
        server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                models = [{"name": name, "digest": digest, "size": 10} for name, digest in fake.models.items()]
                self._reply({"/api/version": {"version": fake.version}, "/api/tags": {"models": models}}.get(self.path))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/api/pull" and self._allowed():
                    return self._pull(body["model"])
                self._reply({"details": {}, "template": "fake"})

            def _allowed(self) -> bool:
                fake.asked.append(self.path)
                fake.credentials += filter(None, [self.headers.get("Authorization")])
                return fake.token is None or self.headers.get("Authorization") == f"Bearer {fake.token}"

            def _pull(self, model: str) -> None:
                script = fake.pulls.pop(0) if len(fake.pulls) > 1 else fake.pulls[0]
                self.send_response(200)
                self.end_headers()
                for step in script:
                    if step == "break":
                        return
                    self.wfile.write(json.dumps(step).encode() + b"\n")
                    if step == {"status": "success"}:
                        fake.models[model] = "d" * 64

            def _reply(self, reply: Any) -> None:
                if not self._allowed():
                    reply, status = {"error": "unauthorized"}, 401
                else:
                    status = 200 if reply else 404
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(reply or {"error": "not found"}).encode())

            def log_message(self, *_: object) -> None:
                pass

        return Handler
