"""The client: what it sends and what it measures. Its errors: test_ollama_errors.py."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util.deadline import Deadline
from ai_dev_tools.benchmark.endpoints import chat as client_module
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient, Reply
from ai_dev_tools.benchmark.errors import (
    MalformedResponseError,
    ModelError,
    RequestTimeoutError,
)
from fakes.ollama import FakeOllama
from fakes.scripted_socket import FINAL, HEAD, Script, chunk, line, piece, serving, streams, whole
from support.ollama_asked import PAYLOAD, ask, fails

# --- a good answer ------------------------------------------------------------------------------------------------


def test_an_answer_is_put_together_from_its_pieces() -> None:
    with serving(streams(piece('{"a": '), piece("1}"), line(FINAL))) as server:
        reply = ask(server.url)
    assert (reply.text, reply.pieces, reply.final) == ('{"a": 1}', 2, FINAL)


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=6), st.integers(1, 40))
def test_chunks_may_be_cut_anywhere(texts: list[str], size: int) -> None:
    data = b"".join([json.dumps({"message": {"content": text}}, ensure_ascii=False).encode() + b"\n" for text in texts])
    data += line(FINAL)
    with serving(streams(*(data[i : i + size] for i in range(0, len(data), size)))) as server:
        reply = ask(server.url)
    assert (reply.text, reply.pieces) == ("".join(texts), len(texts))


def test_the_last_line_may_lack_its_end_and_hold_text() -> None:
    last = {"message": {"content": "b"}, "done": True}
    with serving(streams(piece("a"), line(last).rstrip())) as server:
        assert ask(server.url).text == "ab"


def test_an_empty_answer_is_an_answer() -> None:
    with serving(streams(line({"done": True}))) as server:
        reply = ask(server.url)
    assert (reply.text, reply.pieces, reply.time_to_first_token_s, reply.final) == ("", 0, None, {"done": True})


def test_counts_that_are_absent_stay_absent() -> None:
    with serving(streams(piece("x"), line({"done": True}))) as server:
        assert set(ask(server.url).final) == {"done"}


def test_an_answer_without_chunks_is_read_too() -> None:
    with serving(whole(200, piece("x") + line(FINAL))) as server:
        assert ask(server.url).text == "x"


def test_ten_megabytes_are_read() -> None:
    big = "y" * 1_000_000
    with serving(streams(*[piece(big)] * 10, line(FINAL))) as server:
        reply = ask(server.url, 30)
    assert len(reply.text) == 10_000_000


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_RESPONSE_BYTES", 3_000_000)
    error, _ = fails(streams(*[piece("y" * 1_000_000)] * 5, line(FINAL)))
    assert isinstance(error, MalformedResponseError)
    assert "larger than 3 MB" in str(error)


def test_what_is_sent() -> None:
    with FakeOllama(["fake:1b"]) as fake:
        ask(fake.url + "/")
    assert fake.requests == [PAYLOAD | {"stream": True}]
    assert fake.counts["/api/chat"] == 1


def test_headers_travel_with_the_request() -> None:
    with serving(streams(line(FINAL))) as server:
        OllamaClient(server.url, headers={"Authorization": "Bearer t"}).chat(PAYLOAD, 30, Reply())
        assert b"authorization: bearer t" in server.requests[0].lower()


def test_connections_are_reused_unless_an_answer_is_left_half_read() -> None:
    def unfinished(connection: socket.socket) -> None:
        connection.sendall(HEAD + chunk(line({"error": "runner crashed"})) + chunk(piece("x")))

    answers = iter([streams(line(FINAL)), streams(line(FINAL)), unfinished, streams(line(FINAL))])
    with serving(lambda connection: next(answers)(connection)) as server:
        client = OllamaClient(server.url)
        client.chat(PAYLOAD, 30, Reply())
        client.chat(PAYLOAD, 30, Reply())
        assert server.connections == 1
        with pytest.raises(ModelError):
            client.chat(PAYLOAD, 30, Reply())
        client.chat(PAYLOAD, 30, Reply())
        assert server.connections == 2


def test_one_client_serves_many_threads() -> None:
    all_there = threading.Barrier(8, timeout=30)

    def once_all_have_asked(connection: socket.socket) -> None:
        all_there.wait()
        streams(piece("a"), line(FINAL))(connection)

    replies = [Reply() for _ in range(8)]
    with serving(once_all_have_asked) as server:
        client = OllamaClient(server.url, connections=8)
        threads = [threading.Thread(target=client.chat, args=(PAYLOAD, 40, reply)) for reply in replies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [reply.text for reply in replies] == ["a"] * 8


# --- times --------------------------------------------------------------------------------------------------------


def test_time_runs_from_sending_to_the_first_piece_and_to_the_last_byte() -> None:
    def slow(connection: socket.socket) -> None:
        time.sleep(0.1)
        connection.sendall(HEAD + chunk(piece("")))
        time.sleep(0.1)
        connection.sendall(chunk(piece("a")))
        time.sleep(0.3)
        connection.sendall(chunk(line(FINAL)) + b"0\r\n\r\n")

    with serving(slow) as server:
        reply = ask(server.url)
    assert reply.time_to_first_token_s is not None
    assert 0.2 <= reply.time_to_first_token_s < reply.duration_s
    assert reply.duration_s >= 0.5


HANG_S = 30


def silent(connection: socket.socket) -> None:
    time.sleep(HANG_S)


def stalls(connection: socket.socket) -> None:
    connection.sendall(HEAD + chunk(piece("half an ")) + chunk(piece("answer")))
    time.sleep(HANG_S)


def trickles(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    for _ in range(20 * HANG_S):
        connection.sendall(chunk(piece("x")))
        time.sleep(0.05)


def trickles_without_chunks(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _ in range(20 * HANG_S):
        connection.sendall(piece("x"))
        time.sleep(0.05)


def trickles_an_error(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 500 X\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(20 * HANG_S):
        connection.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("script", [silent, stalls, trickles, trickles_without_chunks, trickles_an_error])
def test_the_limit_is_for_the_whole_request(script: Script) -> None:
    error, reply = fails(script, timeout_s=0.5)
    assert isinstance(error, RequestTimeoutError)
    assert str(error) == "no complete answer within 0.5 s"
    assert 0.45 <= reply.duration_s < HANG_S - 1


def test_a_limit_that_comes_with_the_end_of_an_answer_disturbs_neither_it_nor_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Kept(Deadline):
        def __init__(self, timeout_s: float) -> None:
            super().__init__(timeout_s)
            limits.append(self)

    limits: list[Deadline] = []
    monkeypatch.setattr(client_module, "Deadline", Kept)
    with serving(streams(piece("a"), line(FINAL))) as server:
        client, reply = OllamaClient(server.url), Reply()
        client.chat(PAYLOAD, 30, reply)
        limits[0].ends = 0.0  # it passes now
        with Deadline(0.0) as other:  # who watches looks at all
            while not other.passed:
                time.sleep(0.01)
        client.chat(PAYLOAD, 30, Reply())
        assert server.connections == 1
    assert reply.text == "a"


@pytest.mark.parametrize("script", [stalls, trickles, trickles_without_chunks])
def test_what_had_come_before_the_limit_is_kept(script: Script) -> None:
    _, reply = fails(script, timeout_s=1.0)
    assert reply.text == "half an answer" or set(reply.text) == {"x"}
    assert reply.pieces >= 2
    assert reply.time_to_first_token_s is not None
    assert reply.final == {}
