"""A fault-injection proxy: stands between the benchmark and an endpoint and breaks chosen answers. For tests only.

Every fault (faults.py) happens on the wire, so that what is tested is the real client. All else is passed on as it is.

    with FaultyProxy(endpoint_url, choose=lambda chat: FAULTS["html_502"] if chat.attempt == 1 else None) as proxy:
        ...                        # proxy.url; proxy.broken counts what was broken
"""

from __future__ import annotations

import json
import re
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError

from fakes.faults import Chat, Fault, Wire

NONCE = re.compile(r"^Request \d{8}\n\n")
Choose = Callable[[Chat], Fault | None]


@dataclass
class FaultyProxy:
    """A proxy in threads of its own. A context manager that listens while its body runs.

    Args:
        upstream: base URL of the true endpoint.
        choose: which fault an attempt of a measured request meets; None passes it on. Warm-ups are always passed on.
    """

    upstream: str
    choose: Choose = lambda _: None
    port: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    chats: list[Chat] = field(default_factory=list)
    """Every try of a measured request, in the order of arrival."""

    def __enter__(self) -> FaultyProxy:
        self._tries: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def listen(self) -> None:
        """Accept connections (again)."""
        self._listener, self._closed = socket.create_server(("127.0.0.1", self.port), backlog=128), False
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections from now on, and break those that are open."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            self._closed = True
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Connections are refused while the body runs."""
        self.close()
        try:
            yield
        finally:
            self.listen()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if listener is not self._listener or self._closed:  # it came with the end
                    connection.close()
                    continue
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection.makefile("rb") as stream:
            while self._exchange(connection, stream):
                pass
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _exchange(self, connection: socket.socket, stream: Any) -> bool:
        """Serve one request; false when the connection is at its end."""
        line = stream.readline().decode("latin-1")
        if not line.strip():
            return False
        headers = {}
        while (header := stream.readline().decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        method, path, _ = line.split(" ", 2)

        def ask() -> tuple[int, bytes]:
            return self._forward(method, path, body)

        chat = self._chat(path, body)
        chosen = self.choose(chat) if chat else None
        if chat is not None and chosen is not None:
            self.broken[getattr(chosen, "__name__", "fault")] += 1
            wire = Wire(connection, chat, lambda: [json.loads(item) for item in ask()[1].splitlines()])
            chosen(wire)
            return not wire.over
        status, answer = ask()
        wire_head = (
            f"HTTP/1.1 {status} Passed\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
        )
        connection.sendall(wire_head.encode() + answer)
        return True

    def _chat(self, path: str, body: bytes) -> Chat | None:
        if path != "/api/chat":
            return None
        asked = json.loads(body)
        content = asked["messages"][0]["content"]
        prompt = NONCE.sub("", content)
        if prompt == content:  # only measured requests carry a nonce
            return None
        with self._lock:
            key = (prompt, asked["options"]["seed"])
            self._tries[key] += 1
            chat = Chat(asked, prompt, self._tries[key])
            self.chats.append(chat)
        return chat

    def _forward(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        request = urllib.request.Request(self.upstream + path, data=body or None, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return int(reply.status), bytes(reply.read())
        except HTTPError as error:
            return error.code, error.read()
