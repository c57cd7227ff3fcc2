"""What a server sends is taken in whole, bounded, and without the secrets that were sent to it."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util import wire
from ai_dev_tools.benchmark.endpoints.ollama_client import LOOP, OllamaClient, Reply
from ai_dev_tools.benchmark.endpoints.probing import ask, identify, is_ollama
from ai_dev_tools.benchmark.errors import (
    BenchmarkError,
    EndpointConnectionError,
    MalformedResponseError,
    RequestTimeoutError,
)
from fakes.scripted_socket import FINAL, HEAD, Script, chunk, line, piece, serving, streams, whole

PAYLOAD: dict[str, Any] = {"model": "fake:1b", "messages": []}
TOKEN = "tok/en+Marker-4711"


def chat(script: Script, timeout_s: float = 30.0, headers: dict[str, str] | None = None) -> Reply:
    reply = Reply()
    with serving(script) as server:
        OllamaClient(server.url, headers=headers).chat(PAYLOAD, timeout_s, reply)
    return reply


def fails(script: Script, timeout_s: float = 30.0, headers: dict[str, str] | None = None) -> BenchmarkError:
    with pytest.raises(BenchmarkError) as caught:
        chat(script, timeout_s, headers)
    assert "\n" not in str(caught.value)
    return caught.value


# --- lines --------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=12).filter(lambda part: b"\n" not in part)), st.integers(1, 9))
def test_lines_come_out_as_they_went_in_wherever_pieces_are_cut(parts: list[bytes], size: int) -> None:
    data = b"\n".join(parts)
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    assert list(wire.lines(pieces)) == [part for part in parts if part.strip()]


def test_a_byte_order_mark_is_no_part_of_the_json() -> None:
    assert wire.decoded(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert chat(streams(b"\xef\xbb\xbf" + piece("a"), line(FINAL))).text == "a"


def test_blank_lines_without_end_are_gone_through_at_once() -> None:
    yielded = list(wire.lines([b"\n" * 5_000_000 + b"a\n\n", b"\n", b"b"]))
    assert yielded == [b"a", b"b"]


def test_a_line_without_end_is_refused_before_it_is_all_there() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1000

    with pytest.raises(wire.TooLongError, match="longer than 1 MB"):
        list(wire.lines(endless(), limit=1_000_000))
    assert taken == 1001


def test_a_line_is_put_together_once_however_many_pieces_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time linear to the length: what was received before is not copied for each new piece."""
    scanned = 0

    class Piece(bytes):
        def split(self, *arguments: Any) -> list[bytes]:
            nonlocal scanned
            scanned += len(self)
            return super().split(*arguments)

    assert list(wire.lines([Piece(b"x" * 100)] * 5000)) == [b"x" * 500_000]
    assert scanned == 500_000


def test_an_answer_in_one_line_without_end_is_one_malformed_response() -> None:
    error = fails(streams(*[b"x" * 1_000_000] * 20))
    assert isinstance(error, MalformedResponseError)
    assert "a line is longer than 16 MB" in str(error)


# --- answers that are not as they should be --------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, "", False, {}, []])
def test_an_empty_error_is_no_error(nothing: Any) -> None:
    said = {"message": {"role": "assistant", "content": "a"}, "done": False, "error": nothing}
    assert chat(streams(line(said), line(FINAL | {"error": nothing}))).text == "a"


@pytest.mark.parametrize(
    "nothing",
    [{"message": {"content": None}}, {"message": {}}, {"message": None}, {"message": {"content": ""}}],
    ids=str,
)
def test_content_that_is_null_is_no_text(nothing: dict[str, Any]) -> None:
    reply = chat(streams(piece("a"), line(nothing | {"done": False}), piece("b"), line(FINAL | nothing)))
    assert (reply.text, reply.pieces) == ("ab", 2)


def test_an_error_may_be_an_object_as_others_than_ollama_send_it() -> None:
    assert "does not work" in str(fails(streams(line({"error": {"message": "it does not work", "code": 5}}))))


def test_half_a_character_becomes_the_mark_for_one_that_is_unknown() -> None:
    reply = chat(streams(rb'{"message": {"content": "a\ud800b"}, "x": "\udfff"}' + b"\n", line(FINAL)))
    assert reply.text == "a\ufffdb"


def test_a_character_may_be_cut_in_two_by_the_pieces_of_a_stream() -> None:
    first, second = rb'{"message": {"content": "\ud83d"}}', rb'{"message": {"content": "\ude00"}}'
    assert chat(streams(first + b"\n", second + b"\n", line(FINAL))).text == "😀"


def test_half_a_character_at_the_end_of_an_answer_does_not_stop_it() -> None:
    final = rb'{"done": true, "done_reason": "st\ud800op", "eval_count": 1}'
    assert chat(streams(piece("a"), final + b"\n")).final["done_reason"] == "st\ufffdop"


# --- an answer that loops -------------------------------------------------------------------------------------------


def looping(*texts: str) -> list[bytes]:
    return [piece(text) for text in texts]


@pytest.mark.parametrize(
    "texts",
    [
        ["{", *["\u00a0"] * 31],
        ["{", *["\n", "  ", "\t"] * 11],
        ["x"] * 31,
        ["a", *["no", " no"] * 20],
    ],
)
def test_a_stream_that_ends_after_equal_tokens_is_an_answer_that_looped(texts: list[str]) -> None:
    reply = chat(streams(*looping(*texts)))
    assert reply.final == {"done": True, "done_reason": LOOP, "eval_count": len(texts)}
    assert reply.text == "".join(texts)


def test_a_model_may_loop_in_its_thinking() -> None:
    thought = line({"message": {"content": "", "thinking": "hm"}, "done": False})
    reply = chat(streams(*[thought] * 40))
    assert (reply.text, reply.final["done_reason"], reply.final["eval_count"]) == ("", LOOP, 40)


@pytest.mark.parametrize("texts", [["x"] * 12, ["x"] * 31 + ["y"], ["a", "b"] * 30, []])
def test_a_stream_that_ends_otherwise_is_broken(texts: list[str]) -> None:
    assert isinstance(fails(streams(*looping(*texts))), MalformedResponseError)


def test_equal_tokens_before_a_connection_that_breaks_are_no_loop() -> None:
    def breaks(connection: socket.socket) -> None:
        connection.sendall(HEAD + chunk(b"".join(looping(*["x"] * 40))))
        connection.close()

    assert isinstance(fails(breaks), EndpointConnectionError)


def test_equal_tokens_before_an_end_that_nobody_announced_are_no_loop() -> None:
    def ends(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"".join(looping(*["x"] * 40)))
        connection.close()

    assert isinstance(fails(ends), MalformedResponseError)


# --- secrets --------------------------------------------------------------------------------------------------------

BEARER = {"Authorization": f"Bearer {TOKEN}"}
_PAIR = base64.b64encode(f"me:{TOKEN}".encode()).decode()
BASIC = {"Authorization": f"Basic {_PAIR}"}
FORMS = [
    TOKEN,
    f"Bearer {TOKEN}",
    quote(TOKEN),
    quote(TOKEN, safe=""),
    quote(TOKEN, safe="").lower().replace("marker", "Marker"),
    json.dumps(TOKEN),
    json.dumps(TOKEN).replace("/", "\\/"),
    base64.b64encode(TOKEN.encode()).decode(),
    base64.b64encode(f":{TOKEN}".encode()).decode(),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("headers", [BEARER, BASIC], ids=["bearer", "basic"])
def test_a_secret_in_whatever_form_is_hidden(form: str, headers: dict[str, str]) -> None:
    hidden = wire.Secrets(headers).text(f"You said '{form}', did you?")
    assert wire.HIDDEN in hidden
    assert "Marker" not in hidden
    assert form not in hidden


@given(st.binary(max_size=12), st.binary(max_size=12), st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
def test_a_token_inside_of_a_longer_text_in_base64_is_hidden(before: bytes, after: bytes, encode: Any) -> None:
    """As where a server hands back a whole header."""
    said = wire.Secrets(BEARER).text(encode(before + TOKEN.encode() + after).decode())
    assert wire.HIDDEN in said
    for part in said.split(wire.HIDDEN):
        for start in range(4):
            text = part[start : start + (len(part) - start) // 4 * 4]
            assert b"Marker" not in base64.b64decode(text.translate(str.maketrans("-_", "+/")))


def test_the_basic_header_itself_is_hidden() -> None:
    for form in (_PAIR, _PAIR.rstrip("="), quote(_PAIR), f"me:{TOKEN}"):
        assert form not in wire.Secrets(BASIC).text(f"<{form}>")


def test_secrets_are_hidden_in_keys_and_depths() -> None:
    received = {"a": [{"b": TOKEN}], TOKEN: 1, "n": 4711}
    assert TOKEN not in json.dumps(wire.Secrets(BEARER).hide(received))
    assert wire.Secrets(BEARER).hide(received)["n"] == 4711


@pytest.mark.parametrize("secret", ["none", "dummy", "x"])
def test_a_placeholder_is_no_secret_and_spoils_no_answer(secret: str) -> None:
    assert wire.Secrets({"authorization": f"Bearer {secret}"}).text(f"it is {secret}") == f"it is {secret}"


@given(st.text(max_size=40))
def test_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert wire.Secrets().text(text) == text
    assert wire.Secrets({"Accept": "x"}).hide({text: [text, 1, None]}) == {text: [text, 1, None]}


def test_an_answer_that_spells_the_token_out_piece_by_piece_does_not_tell_it() -> None:
    final = FINAL | {"done_reason": f"stop {TOKEN}"}
    reply = chat(streams(piece("<"), *[piece(letter) for letter in TOKEN], piece(">"), line(final)), headers=BEARER)
    assert reply.text == f"<{wire.HIDDEN}>"
    assert TOKEN not in str(reply.final)


@pytest.mark.parametrize(
    "script",
    [
        streams(line({"error": f"no such token {TOKEN}"})),
        streams(f"{'x' * 70}{TOKEN}\n".encode()),
        streams(f'["{TOKEN}"]\n'.encode()),
        whole(500, json.dumps({"error": f"token {TOKEN}"}).encode()),
        whole(500, f"{'x' * 190}{TOKEN}".encode()),
        whole(404, f"<html>{quote(TOKEN)}</html>".encode()),
        whole(503, json.dumps({"error": TOKEN}).encode(), f"Retry-After: {TOKEN}"),
        lambda connection: connection.sendall(f"HTTP/9.9 {TOKEN}\r\n\r\n".encode()),
        lambda connection: connection.sendall(HEAD + f"{TOKEN}\r\n".encode()),
    ],
)
def test_no_error_tells_the_token(script: Script) -> None:
    said = str(fails(script, headers=BEARER))
    assert "Marker" not in said
    assert TOKEN[:8] not in said


# --- asking a server who it is ----------------------------------------------------------------------------------------


def answers(body: bytes) -> Script:
    return whole(200, body)


def test_what_a_server_says_of_itself_does_not_tell_the_token() -> None:
    listed = {"name": "fake:1b", "model": "fake:1b", "digest": TOKEN, "details": {"family": TOKEN}}
    said = {"version": f"1 {TOKEN}", "models": [listed], "template": TOKEN, "capabilities": [TOKEN, {TOKEN: TOKEN}]}
    with serving(answers(json.dumps(said).encode())) as server:
        ready = identify(server.url, "external", "fake:1b", headers=BEARER)
    assert wire.HIDDEN in ready.version
    assert TOKEN not in repr(ready)


def test_half_a_character_in_what_a_server_says_of_itself_can_be_stored() -> None:
    with serving(answers(rb'{"version": "\ud800"}')) as server:
        json.dumps(ask("GET", server.url)[1], ensure_ascii=False).encode()


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"])
def test_a_reply_without_end_is_cut_off(framing: bytes) -> None:
    sent = threading.Event()

    def endless(connection: socket.socket) -> None:
        connection.recv(0)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        data = b"x" * 100_000
        for _ in range(2000):
            connection.sendall(chunk(data) if framing.startswith(b"T") else data)
        sent.set()

    with serving(endless) as server, pytest.raises(EndpointConnectionError, match="does not end"):
        ask("GET", server.url)
    assert not sent.is_set(), "it does not read all of it"


def test_a_reply_that_is_nested_without_measure_is_not_ollamas() -> None:
    with serving(answers(b"[" * 100_000)) as server:
        assert ask("GET", server.url) == (200, None)
        assert not is_ollama(server.url)


# --- time ------------------------------------------------------------------------------------------------------------


def trickles_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(600):
        connection.sendall(b"X-%d: y\r\n" % number if number < 50 else b"x")
        time.sleep(0.05)


def says_continue(connection: socket.socket) -> None:
    for _ in range(600):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("script", [trickles_headers, says_continue])
def test_the_limit_holds_while_headers_come_too(script: Script) -> None:
    assert isinstance(fails(script, timeout_s=0.5), RequestTimeoutError)


def test_headers_without_end_break_the_connection() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            connection.sendall(b"X-%d: y\r\n" % number)

    assert isinstance(fails(endless), EndpointConnectionError)
