"""What a served model accepts from web pages and from clients that mean no good, asked of the real server."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark.endpoints import EndpointSpec, ReadyEndpoint, open_endpoint
from ai_dev_tools.benchmark.endpoints.embedded import MODULE, origins
from ai_dev_tools.benchmark.errors import ConfigurationError

JSON = {"Content-Type": "application/json"}


class Client:
    """Requests to the server with any header at all."""

    def __init__(self, endpoint: ReadyEndpoint) -> None:
        self.endpoint, self.url = endpoint, endpoint.base_url
        parts = urlsplit(self.url)
        self.place = (parts.hostname or "", parts.port or 0)
        self._pool = urllib3.PoolManager(retries=False, timeout=60)

    def ask(self, headers: dict[str, str], path: str = "/api/generate", **fields: Any) -> urllib3.BaseHTTPResponse:
        body = {"model": self.endpoint.model, "prompt": "Hi", "stream": False, "options": {"num_predict": 1}, **fields}
        return self.post(json.dumps(body).encode(), headers, path)

    def post(self, body: bytes, headers: dict[str, str], path: str = "/api/generate") -> urllib3.BaseHTTPResponse:
        return self._pool.request("POST", self.url + path, body=body, headers=headers)

    def is_loaded(self) -> bool:
        reply = self._pool.request("GET", f"{self.url}/api/ps").json()
        return bool(reply["models"])

    def raw(self, text: str) -> bytes:
        """All that comes back for bytes on the wire, which no client library has tidied up."""
        return raw(self.place, text)


def raw(place: tuple[str, int], text: str) -> bytes:
    with socket.create_connection(place, timeout=60) as connection:
        connection.sendall(text.encode())
        received = b""
        while chunk := connection.recv(1 << 16):
            received += chunk
    return received


@pytest.fixture(scope="module")
def client(embedded_endpoint: ReadyEndpoint) -> Client:
    return Client(embedded_endpoint)


# ------------------------------------------------------------------------------------------ web pages


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:11434", "localhost.evil.example", "127.0.0.1.nip.io", "8.8.8.8", "localhost@evil"],
)
def test_a_name_that_was_made_to_resolve_here_is_refused(client: Client, host: str) -> None:
    reply = client.ask(JSON | {"Host": host})
    assert reply.status == 403
    assert "Host" in reply.json()["error"]


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]:11434", "10.0.0.7", "my.internal", "0.0.0.0"],
)
def test_names_of_this_machine_are_accepted(client: Client, host: str) -> None:
    assert client.ask(JSON | {"Host": host}).status == 200


def test_the_host_of_an_absolute_target_counts_as_well(client: Client) -> None:
    reply = client.raw("GET http://evil.example/api/tags HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("name", ["Host", "Origin"])
def test_a_header_that_is_given_twice_is_refused(client: Client, name: str) -> None:
    lines = f"{name}: localhost\r\n{name}: evil.example\r\n"
    lines += "" if name == "Host" else "Host: localhost\r\n"
    reply = client.raw(f"GET /api/tags HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")
    assert reply.split()[1] == b"400"


FOREIGN = [
    "http://evil.example",
    "https://localhost.evil.example",
    "null",
    "http://localhostevil",
    "chrome-extension://x",
]
SIMPLE = ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data", None]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("kind", SIMPLE)
def test_a_cross_origin_page_gets_no_text(client: Client, origin: str, kind: str | None) -> None:
    reply = client.ask({"Origin": origin} | ({"Content-Type": kind} if kind else {}))
    assert reply.status == 403
    assert "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
def test_a_cross_origin_page_cannot_unload_the_model(client: Client, path: str) -> None:
    client.ask(JSON)
    fields = {"prompt": "", "messages": [], "keep_alive": 0}
    assert client.ask({"Origin": "http://evil.example", "Content-Type": "text/plain"}, path, **fields).status == 403
    assert client.ask({"Sec-Fetch-Site": "cross-site"}, path, **fields).status == 403
    assert client.is_loaded()


def test_a_name_that_resolves_here_does_not_make_a_page_one_of_ours(client: Client) -> None:
    """After DNS rebinding, a page's origin and the host are the same foreign name."""
    assert client.ask(JSON | {"Host": "evil.example:80", "Origin": "http://evil.example:80"}).status == 403


@pytest.mark.parametrize(
    "origin",
    ["http://localhost", "https://127.0.0.1:3000", "http://[::1]:8080", "http://0.0.0.0:1", "app://obsidian.md"],
)
def test_pages_and_applications_of_this_machine_are_accepted_and_may_read_the_reply(
    client: Client, origin: str
) -> None:
    reply = client.ask(JSON | {"Origin": origin})
    assert reply.status == 200
    assert reply.headers["Access-Control-Allow-Origin"] == origin
    assert reply.headers["Vary"] == "Origin"


@pytest.mark.parametrize("kind", SIMPLE)
def test_a_page_must_say_that_it_sends_json(client: Client, kind: str | None) -> None:
    """Other types are sent without the browser asking first."""
    reply = client.ask({"Origin": "http://localhost:3000"} | ({"Content-Type": kind} if kind else {}))
    assert reply.status == 415


@pytest.mark.parametrize("kind", SIMPLE)
def test_a_program_may_leave_the_type_to_curl(client: Client, kind: str | None) -> None:
    assert client.ask({"Content-Type": kind} if kind else {}).status == 200


@pytest.mark.parametrize(("origin", "status"), [("http://localhost:3000", 204), ("https://evil.example", 403)])
def test_a_browser_that_asks_first_is_answered(client: Client, origin: str, status: int) -> None:
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    reply = urllib3.request("OPTIONS", f"{client.url}/api/chat", headers={"Origin": origin} | asking)
    assert reply.status == status
    assert ("Access-Control-Allow-Origin" in reply.headers) is (status == 204)
    assert ("POST" in reply.headers.get("Access-Control-Allow-Methods", "")) is (status == 204)


def test_what_ollama_origins_allows_is_allowed(weights: Path) -> None:
    environment = {origins.VARIABLE: "https://notes.example,https://*.wiki.example"}
    spec = EndpointSpec(model_file=str(weights), num_ctx=512, environment=environment)
    with open_endpoint(spec) as endpoint:
        client = Client(endpoint)
        allowed = ["https://notes.example", "https://a.wiki.example", "http://localhost:1"]
        assert [client.ask(JSON | {"Origin": origin}).status for origin in allowed] == [200] * 3
        refused = ["http://notes.example", "https://notes.example.evil", "https://wiki.example.evil"]
        assert [client.ask(JSON | {"Origin": origin}).status for origin in refused] == [403] * 3


@given(name=st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True))
def test_no_other_name_is_this_machine(name: str) -> None:
    foreign = f"{name}.example"
    assert not origins.is_allowed_host(foreign)
    assert not origins.is_allowed_host(f"{foreign}:11434")
    assert not origins.is_allowed_origin(f"http://{foreign}", origins.allowed_origins(""))


@given(st.text())
def test_headers_never_break_the_check(text: str) -> None:
    patterns = origins.allowed_origins("")
    for headers in ({"Host": text}, {"Host": "localhost", "Origin": text}):
        origins.problem("POST", headers, patterns, reached_locally=True)


def test_a_star_allows_every_page() -> None:
    assert origins.is_allowed_origin("null", origins.allowed_origins("*"))
    assert origins.is_allowed_origin("https://evil.example", origins.allowed_origins('" * "'))


@pytest.mark.parametrize("wrong", ["example.org", "https://*.a.*", "http://a,b"])
def test_an_origin_that_cannot_be_one_is_one_line(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="OLLAMA_ORIGINS") as caught:
        origins.allowed_origins(wrong)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_reached_from_elsewhere_may_have_any_name() -> None:
    patterns = origins.allowed_origins("https://notes.example")
    gpu = {"Host": "gpu.example:11434"}
    assert origins.problem("POST", gpu, patterns, reached_locally=False) is None
    assert origins.problem("POST", gpu | {"Origin": "https://notes.example"}, patterns, reached_locally=False) is None
    assert origins.problem("POST", gpu | {"Origin": "http://gpu.example:11434"}, patterns, reached_locally=False)


# ------------------------------------------------------------------------------------------ other places


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../props", "/v1/%2e%2e/props", "/v1/..%2fprops", "/v1/%2E%2E%2Fprops", "/v1//props", "//props",
        "/v1/./../slots", "/v1/models/../../props", "/v1/models/%2e%2e/%2e%2e/props", "/v1/props", "/props", "/slots",
        "/v1/../completion", "/v1/\\..\\props", "/v1/..;/props", "/v1/models?x=/../../props",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_the_routes_of_openai_reach_llama_cpp(client: Client, method: str, path: str) -> None:
    reply = client.raw(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    status = int(reply.split()[1])
    assert status in (404, 405, 400) or (path.startswith("/v1/models?") and status == 200)
    for secret in (b"model_path", b"chat_template", b"default_generation_settings", b"n_ctx_train"):
        assert secret not in reply or path.startswith("/v1/models?")


# ------------------------------------------------------------------------------------------ what is not HTTP

HOST = "Host: localhost\r\n"
MALFORMED = [
    "garbage\r\n\r\n", "\x16\x03\x01\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /api/tags HTTP/1.1\r\n\r\n",
    f"POST /api/chat HTTP/1.1\r\n{HOST}Content-Length: -5\r\n\r\n", f"POST /api/chat HTTP/1.1\r\n{HOST}Content-Length: x\r\n\r\n",
    f"POST /api/chat HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\nZZ\r\n", f"GET /{'a' * 9000} HTTP/1.1\r\n{HOST}\r\n",
    f"GET http://evil.example/api/tags HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n",
    f"CONNECT evil.example:80 HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n",
]  # fmt: skip


def test_what_is_not_http_is_refused_and_leaves_no_traceback(weights: Path) -> None:
    """Alone and with brackets around its address, as an address in a URL has them."""
    command = [sys.executable, "-m", MODULE, "--host", "[127.0.0.1]", "--port", "0", "--model-file", str(weights)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        try:
            port = urlsplit(process.stdout.readline().split()[4]).port or 0
            statuses = [raw(("127.0.0.1", port), text).split()[1] for text in MALFORMED]
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
        assert set(statuses) <= {b"400", b"403", b"404", b"405"}
        assert process.stderr.read() == ""


# ------------------------------------------------------------------------------------------ bodies

NUMBERS = ["1e999", "-1e999", "NaN", "Infinity", "-Infinity", "1" + "0" * 400, "1e300", "9" * 5000, "4294967296"]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("option", ["num_predict", "num_ctx", "temperature", "seed", "top_k", "num_keep"])
def test_a_number_beyond_all_limits_is_one_line(client: Client, option: str, number: str) -> None:
    if option == "temperature" and number == "4294967296":
        return
    body = f'{{"model": "{client.endpoint.model}", "prompt": "Hi", "options": {{"{option}": {number}}}}}'
    reply = client.post(body.encode(), JSON)
    assert reply.status == 400
    assert "\n" not in reply.json()["error"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("path", ["/api/generate", "/api/chat", "/api/show", "/api/pull", "/v1/chat/completions"])
def test_what_is_not_a_number_is_400_wherever_it_stands(client: Client, path: str, number: str) -> None:
    reply = client.post(f'{{"model": "{client.endpoint.model}", "x": [{{"y": {number}}}]}}'.encode(), JSON, path)
    assert reply.status == 400


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("field", ["format", "options", "keep_alive", "messages", "unknown"])
@pytest.mark.parametrize("levels", [400, 100_000])
def test_deep_nesting_is_one_line(client: Client, path: str, field: str, levels: int) -> None:
    deep = "[" * levels + "]" * levels if field in ("messages", "keep_alive") else '{"a":' * levels + "1" + "}" * levels
    body = f'{{"model": "{client.endpoint.model}", "stream": false, "{field}": {deep}}}'
    reply = client.post(body.encode(), JSON, path)
    assert reply.status < 600
    assert reply.status in (200, 400, 500)
    assert levels == 400 or reply.status == 400
    assert b"Traceback" not in reply.data
    assert client.is_loaded()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**31, 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
OPTIONS = st.dictionaries(
    st.sampled_from(["num_predict", "num_ctx", "seed", "top_k", "top_p", "repeat_last_n", "stop", "mirostat", "x"]),
    VALUES,
    max_size=4,
)
FIELDS = st.sampled_from(
    ["model", "prompt", "messages", "stream", "raw", "format", "options", "keep_alive", "think", "template", "system"]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(fields=st.dictionaries(FIELDS, VALUES, max_size=4), path=st.sampled_from(["/api/generate", "/api/chat"]))
def test_any_body_gets_an_answer_or_one_line(client: Client, fields: dict[str, Any], path: str) -> None:
    reply = client.post(json.dumps({"model": "none", "options": {"num_predict": 1}} | fields).encode(), JSON, path)
    assert reply.status in (200, 400, 404, 500)
    assert reply.status == 200 or "\n" not in reply.json()["error"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(options=OPTIONS)
def test_any_options_get_an_answer_or_one_line(client: Client, options: dict[str, Any]) -> None:
    small = {"num_predict": 1} | {k: v for k, v in options.items() if k not in ("num_predict", "num_ctx")}
    refused = {k: v for k, v in options.items() if k == "num_predict" and not isinstance(v, int)}
    reply = client.ask(JSON, options=small | refused)
    assert reply.status in (200, 400) or (reply.status == 500 and b"must be of" in reply.data)
    assert reply.status == 200 or "\n" not in reply.json()["error"]


def test_a_packed_body_is_not_unpacked(client: Client) -> None:
    import gzip

    body = gzip.compress(json.dumps({"model": client.endpoint.model, "prompt": "Hi"}).encode())
    assert client.post(body, JSON | {"Content-Encoding": "gzip"}).status == 400


# ------------------------------------------------------------------------------------------ limits


def test_forty_unfinished_large_bodies_do_not_fill_the_memory(client: Client) -> None:
    """And whoever asks something small meanwhile is answered."""
    assert client.endpoint.pid
    process = psutil.Process(client.endpoint.pid)
    client.ask(JSON)
    before = process.memory_info().rss
    head = f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {60 << 20}\r\n\r\n".encode()
    most = 0
    with ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(socket.create_connection(client.place, timeout=30))
            try:
                connection.sendall(head)
                for _ in range(12):
                    connection.sendall(b" " * (1 << 20))
            except OSError:  # told that it is too much
                pass
            most = max(most, process.memory_info().rss)
        assert client.ask(JSON).status == 200
    assert most - before < 400e6


def test_a_body_that_is_too_large_is_refused_by_its_length(client: Client) -> None:
    with socket.create_connection(client.place, timeout=60) as connection:
        connection.sendall(f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {65 << 20}\r\n\r\n".encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413")


@pytest.fixture(autouse=True)
def still_alive(client: Client) -> Iterator[None]:
    """Whatever a test did, the server answers afterwards."""
    yield
    assert urllib3.request("GET", client.url).data == b"Ollama is running"
