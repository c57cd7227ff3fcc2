"""Connections that the model's server breaks: a request is never sent again, and later turns work. Servers are labelled fakes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import parse_headers

import pytest

from ai_dev_tools.benchmark.agents.meter.episode_account import Upstream
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from support.metered_episodes import chat, post, rules


@contextmanager
def hanging_up(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """LABELLED FAKE of a server that takes any number of connections and ends each after one of these answers, unannounced.

    An empty one: it hangs up instead. Yields its address and the requests that came.
    """
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    with listening.accept()[0] as connection, connection.makefile("rb") as reader:
                        reader.readline()
                        came.append(reader.read(int(parse_headers(reader)["Content-Length"])))
                        connection.sendall(answers[min(len(came), len(answers)) - 1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", came
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def spoken(message: str) -> bytes:
    said = json.dumps({"message": {"role": "assistant", "content": message}, "done": True, "eval_count": 1}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)


class TestBreaks:
    @pytest.mark.parametrize("before", [[], [spoken("hi")]], ids=["at first", "later"])
    def test_a_request_that_the_server_broke_off_is_never_sent_again(
        self, meter: MeterServer, before: list[bytes]
    ) -> None:
        """It may have begun to answer, and what that took would be neither counted nor paid."""
        with (
            hanging_up(*before, b"") as (server, came),
            meter.episode(rules(), Upstream(ollama=server, openai=None)) as (key, account),
        ):
            for _ in before:
                assert post(f"{meter.url}/e/{key}/api/chat", chat("hi", stream=False))[0] == 200
            assert post(f"{meter.url}/e/{key}/api/chat", chat("again", stream=False))[0] == 502
        assert len(came) == len(before) + 1 == len(account.turns)
        assert account.turns[-1].error is not None
        assert account.turns[-1].error.class_ == "connection"

    def test_a_server_that_closes_connections_after_each_answer_fails_no_turn(self, meter: MeterServer) -> None:
        with (
            hanging_up(spoken("hi")) as (server, came),
            meter.episode(rules(turns=20), Upstream(ollama=server, openai=None)) as (key, account),
        ):
            for turn in range(20):
                assert post(f"{meter.url}/e/{key}/api/chat", chat(f"turn {turn}", stream=False))[0] == 200
        assert [turn.error for turn in account.turns] == [None] * len(came) == [None] * 20
