"""Ollama's errors: the one class that each way to fail has."""

from __future__ import annotations

import gc
import json
import socket
import threading
from contextlib import suppress
from types import GeneratorType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.endpoints.ollama_client import status_error
from ai_dev_tools.benchmark.errors import (
    ASKED_AGAIN,
    BenchmarkError,
    ConfigurationError,
    ContextOverflowError,
    EndpointConnectionError,
    InterruptedRequestError,
    MalformedResponseError,
    ModelError,
    OverloadedError,
    RunnerError,
)
from fakes.ollama import FakeOllama
from fakes.scripted_socket import FINAL, HEAD, chunk, line, piece, streams, whole
from support.ollama_asked import ask, fails
from support.ports import refusing_port


@pytest.mark.parametrize("host", ["no-such-host.invalid", "127.0.0.1"])
def test_no_connection(host: str) -> None:
    with (
        refusing_port() as port,
        pytest.raises(EndpointConnectionError, match=r"does not resolve|no connection to") as caught,
    ):
        ask(f"http://{host}:{port}")
    assert caught.value.retried
    assert caught.value.asked_again


def test_a_server_that_hangs_up_before_answering() -> None:
    error, reply = fails(lambda connection: connection.close())
    assert isinstance(error, EndpointConnectionError)
    assert reply.text == ""


def test_a_connection_that_breaks_in_the_middle_keeps_what_came() -> None:
    def breaks(connection: socket.socket) -> None:
        connection.sendall(HEAD + chunk(piece("half")) + b"ff\r\nmore")
        connection.close()

    error, reply = fails(breaks)
    assert isinstance(error, EndpointConnectionError)
    assert reply.text == "half"


def test_nothing_of_a_broken_answer_is_left_for_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would close the stream at any time, also while the thread holds the lock that closing needs."""
    monkeypatch.setattr("ai_dev_tools.benchmark._util.wire.MAX_LINE_BYTES", 100)
    error, _ = fails(streams(piece("a"), b"x" * 200, piece("b"), line(FINAL)))
    assert error.__traceback__ is not None  # its frames hold what the client held
    left = [item.gi_code.co_name for item in gc.get_objects() if isinstance(item, GeneratorType) and item.gi_frame]
    assert not {"read_chunked", "stream", "lines", "lines_of"} & set(left)


def test_something_that_speaks_no_http() -> None:
    def greet(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9\r\n")
        connection.close()

    error, _ = fails(greet)
    assert isinstance(error, EndpointConnectionError)


def test_tls_where_there_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def refuse() -> None:
            with suppress(OSError), listening.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(65536)  # until the client hangs up

        threading.Thread(target=refuse, daemon=True).start()
        with pytest.raises(ConfigurationError, match=r"TLS with https://127.0.0.1"):
            ask(f"https://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([piece("a")], "ended without saying that it was done"),
        ([], "ended without saying that it was done"),
        ([b"nonsense\n"], "is not JSON"),
        ([b"\xff\xfe\n"], "is not JSON"),
        ([b"[" * 100_000 + b"\n"], "is not JSON"),
        ([b"[1]\n"], "not a JSON object"),
        ([b'{"message": {"content": "\xed\xa0\x80"}}\n'], "is not JSON"),
        (
            [line({"message": {"content": "", "x": 1}, "done": True, "done_reason": "load"})],
            "that the model was loaded",
        ),
        ([line({"message": {"content": ""}, "done": True, "done_reason": "unload"})], "that the model was unloaded"),
        ([line({"message": {"content": 5}})], "no text where Ollama puts it"),
        ([line({"message": "x"})], "no text where Ollama puts it"),
        ([line({"response": "x"})], "no text where Ollama puts it"),
        ([line({"done": False})], "no text where Ollama puts it"),
        ([b"<html>\n"], "is not JSON"),
    ],
)
def test_an_answer_that_is_not_ollamas(parts: list[bytes], words: str) -> None:
    error, _ = fails(streams(*parts))
    assert isinstance(error, MalformedResponseError)
    assert words in str(error)
    assert error.retried


def test_text_before_a_malformed_line_is_kept() -> None:
    _, reply = fails(streams(piece("good"), b"bad\n"))
    assert reply.text == "good"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("llama runner process has terminated", RunnerError),
        ("an error was encountered while running the model: unexpected EOF", RunnerError),
        ("an error was encountered while running the model: context deadline exceeded", RunnerError),
        ("llama runner process has terminated: error loading model: unsupported architecture", ModelError),
        ("input length exceeds the context length", ContextOverflowError),
    ],
)
def test_an_error_in_the_middle_of_an_answer(message: str, kind: type[BenchmarkError]) -> None:
    error, reply = fails(streams(piece("half"), line({"error": message})))
    assert type(error) is kind
    assert message in str(error)
    assert reply.text == "half"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error": "the input length exceeds the context length"}', ContextOverflowError),
        (
            400,
            b'{"error": "request (9031 tokens) exceeds the available context size (8192 tokens)"}',
            ContextOverflowError,
        ),
        (400, b'{"error": "invalid options"}', ModelError),
        (404, b'{"error": "model \'x\' not found"}', ModelError),
        (404, b"404 page not found", ModelError),
        (404, b'{"error": "model \'out of memory:1b\' not found"}', ModelError),
        (500, b'{"error": "invalid JSON schema in format"}', ModelError),
        (500, b'{"error": "runner crashed"}', ModelError),
        (500, b'{"error": "llama runner process has terminated: signal: killed"}', RunnerError),
        (500, b'{"error": "llama runner process has terminated: exit status 2"}', RunnerError),
        (500, b'{"error": "llama runner process no longer running: 2"}', RunnerError),
        (500, b'{"error": "llama runner process has terminated: CUDA error: out of memory"}', RunnerError),
        (500, b'{"error": "do load request: Post \\"http://127.0.0.1:40577/load\\": EOF"}', RunnerError),
        (500, b'{"error": "model requires more system memory (5.5 GiB) than is available (3.1 GiB)"}', RunnerError),
        (
            500,
            b'{"error": "model runner has unexpectedly stopped, this may be due to resource limitations or an internal'
            b' error, check ollama server logs for details"}',
            RunnerError,
        ),
        (500, b"", ModelError),
        (503, b'{"error": "server busy, please try again"}', OverloadedError),
        (429, b"", OverloadedError),
        (499, b'{"error": "cancelled"}', InterruptedRequestError),
        (502, b"<html>Bad gateway</html>", EndpointConnectionError),
        (504, b"", EndpointConnectionError),
        (401, b"", ConfigurationError),
        (403, b"", ConfigurationError),
        (301, b"", ConfigurationError),
    ],
)
def test_statuses(status: int, body: bytes, kind: type[BenchmarkError]) -> None:
    error, _ = fails(whole(status, body))
    assert type(error) is kind
    assert str(status) in str(error) or status == 499
    if body.startswith(b'{"error"') and kind is not InterruptedRequestError:
        assert json.loads(body)["error"][:200] in str(error)


@given(st.integers(201, 599), st.binary(max_size=80) | st.just(b"[" * 100_000))
def test_any_status_and_body_is_one_line(status: int, body: bytes) -> None:
    error = status_error(status, body)
    assert "\n" not in str(error)
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2),
        ("0.5", 0.5),
        ("-1", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("soon", None),
        ("", None),
        ("nan", None),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    error, _ = fails(whole(503, b"{}", f"Retry-After: {header}"))
    assert error.retry_after_s == seconds


def test_an_unknown_model_of_the_fake_is_a_model_error() -> None:
    with FakeOllama(["other:1b"]) as fake, pytest.raises(ModelError, match="model 'fake:1b' not found"):
        ask(fake.url)


def test_which_classes_a_rerun_asks_again() -> None:
    again = {"connection", "overloaded", "malformed_response", "runner"}
    assert set(ASKED_AGAIN) == {*again, "no_turn", "interrupted", "configuration", "budget"}
    retried = {kind.error_class for kind in BenchmarkError.__subclasses__() if kind.retried}
    assert retried == again
