"""Servers that somebody else runs, and the choice of the best endpoint there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_dev_tools.benchmark._util.addresses import host_url
from ai_dev_tools.benchmark.endpoints import EndpointSpec, ReadyEndpoint, container, open_endpoint, pulling
from ai_dev_tools.benchmark.endpoints.auto import choose
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, EndpointConnectionError, ModelError
from ai_dev_tools.benchmark.execution.provenance import is_here
from fakes.scripted_ollama import ScriptedOllama
from support.ports import refusing_port
from support.repository import ROOT

HALF = {"status": "pulling", "digest": "sha256:a", "total": 100, "completed": 50}
WHOLE = {"status": "pulling", "digest": "sha256:a", "total": 100, "completed": 100}
SUCCESS = {"status": "success"}


@pytest.fixture
def fake() -> Iterator[ScriptedOllama]:
    with ScriptedOllama(models={"llama3.2:1b": "a" * 64}).serving() as server:
        yield server


@pytest.fixture(autouse=True)
def no_other_endpoints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither an OLLAMA_HOST nor anything on PATH; pulls wait for nothing."""
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pulling.time, "sleep", lambda _: None)
    container.find_engine.cache_clear()


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port on which nothing listens."""
    with refusing_port() as port:
        yield port


def opened(spec: EndpointSpec) -> ReadyEndpoint:
    with open_endpoint(spec) as endpoint:
        return endpoint


def failure(spec: EndpointSpec) -> str:
    """The one line of a spec that cannot be opened."""
    with pytest.raises(BenchmarkError) as caught:
        opened(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_running_server_is_identified(fake: ScriptedOllama) -> None:
    endpoint = opened(EndpointSpec(kind=fake.url, model="llama3.2:1b"))
    assert (endpoint.kind, endpoint.version, endpoint.model_digest) == ("external", "0.0.0-fake", "a" * 64)
    assert not endpoint.can_restart


def test_whatever_else_listens_there_is_not_taken_for_the_server(fake: ScriptedOllama) -> None:
    """A proxy, `ssh -L`, docker-proxy, here the test itself: what it uses of the machine is not the server's."""
    endpoint = opened(EndpointSpec(kind=fake.url, model="llama3.2:1b"))
    assert endpoint.pid is None
    assert is_here(endpoint) is None


def test_a_program_called_ollama_is_the_server(tmp_path: Path) -> None:
    (tmp_path / "ollama").symlink_to(os.path.realpath(sys.executable))
    tests = ROOT / "tests"
    command = [str(tmp_path / "ollama"), "-m", "fakes.ollama", "--port", "0"]
    packages = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path))
    }  # the program behind the link is outside of the venv
    with subprocess.Popen(command, cwd=tests, stdout=subprocess.PIPE, text=True, env=os.environ | packages) as server:
        try:
            assert server.stdout is not None
            url = re.search(r"http://\S+", server.stdout.readline())
            assert url is not None
            endpoint = opened(EndpointSpec(kind=url.group(), model="fake:1b"))
        finally:
            server.kill()
    assert endpoint.pid == server.pid
    assert is_here(endpoint)


def test_the_real_facade_is_an_external_server_too(embedded_endpoint: ReadyEndpoint) -> None:
    endpoint = opened(EndpointSpec(kind=embedded_endpoint.base_url))
    assert endpoint.model_digest == embedded_endpoint.model_digest
    assert endpoint.pid == embedded_endpoint.pid


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("", None),
        ("example.org", "http://example.org:11434"),
        ("example.org:5000", "http://example.org:5000"),
        ("http://example.org", "http://example.org:80"),
        ("https://example.org/ollama/", "https://example.org:443/ollama"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":5000", "http://127.0.0.1:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(value: str, url: str | None) -> None:
    assert host_url(value) == url


@pytest.mark.parametrize("value", ["ftp://x", "host:port", "http://[::1"])
def test_an_ollama_host_without_sense_is_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match="OLLAMA_HOST"):
        host_url(value)


def test_external_looks_where_ollama_host_says(
    fake: ScriptedOllama, nobody: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", fake.url)
    assert opened(EndpointSpec(kind="external", port=nobody, model="llama3.2:1b")).base_url == fake.url


def test_a_token_is_taken_from_the_environment_only(fake: ScriptedOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.token = "secret"
    spec = EndpointSpec(kind=fake.url, model="llama3.2:1b", token_env="LAB_TOKEN")
    assert "LAB_TOKEN is not set" in failure(spec)
    monkeypatch.setenv("LAB_TOKEN", "secret")
    endpoint = opened(spec)
    assert endpoint.headers == {"Authorization": "Bearer secret"}
    assert "secret" not in repr(endpoint) + str(spec.to_dict())


def test_a_server_that_wants_a_token_says_which_setting(fake: ScriptedOllama) -> None:
    fake.token = "secret"
    assert "token_env" in failure(EndpointSpec(kind=fake.url, model="llama3.2:1b"))


def test_replicas_must_serve_the_same_weights(fake: ScriptedOllama) -> None:
    with ScriptedOllama(models={"llama3.2:1b": "a" * 64}).serving() as twin:
        spec = EndpointSpec(kind=fake.url, model="llama3.2:1b", replicas=(twin.url,))
        assert opened(spec).replicas == (fake.url, twin.url)
        twin.models["llama3.2:1b"] = "b" * 64
        assert "other weights" in failure(spec)


def test_a_missing_model_is_pulled_and_its_progress_shown(
    fake: ScriptedOllama, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "_LINE_EVERY_S", 0.0)
    fake.pulls = [[HALF, WHOLE, SUCCESS]]
    assert opened(EndpointSpec(kind=fake.url, model="new:1b")).model_digest == "d" * 64
    assert "small: pulling new:1b: 0 of 0 MB" in capsys.readouterr().err


def test_a_pull_that_breaks_off_is_resumed(fake: ScriptedOllama) -> None:
    fake.pulls = [[HALF, "break"], [{"error": "unexpected EOF"}], [WHOLE, SUCCESS]]
    assert opened(EndpointSpec(kind=fake.url, model="new:1b")).model_digest == "d" * 64
    assert fake.asked.count("/api/pull") == 3


def test_a_pull_without_progress_ends(fake: ScriptedOllama) -> None:
    fake.pulls = [["break"]]
    assert "makes no progress" in failure(EndpointSpec(kind=fake.url, model="new:1b"))
    assert fake.asked.count("/api/pull") == pulling.TRIES_WITHOUT_PROGRESS


NO_REGISTRY = [
    'pull model manifest: Get "https://registry.ollama.ai/v2/library/nope/manifests/1b": proxyconnect tcp: dial tcp '
    "127.0.0.1:9: connect: connection refused",
    "pull model manifest: dial tcp: lookup registry.ollama.ai on 10.0.0.2:53: no such host",
    "pull model manifest: Get ...: net/http: TLS handshake timeout",
    "pull model manifest: Get ...: tls: failed to verify certificate: x509: certificate signed by unknown authority",
]


@pytest.mark.parametrize("said", NO_REGISTRY)
def test_a_registry_that_cannot_be_reached_is_told_from_a_download_that_breaks(
    fake: ScriptedOllama, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.pulls = [[{"status": "pulling manifest"}, {"error": said}]]
    line = failure(EndpointSpec(kind=fake.url, model="new:1b"))
    assert "cannot reach the registry" in line
    assert said in line
    assert "resumed" not in line + capsys.readouterr().err
    assert fake.asked.count("/api/pull") == pulling.TRIES_OF_REGISTRY


def test_a_download_that_breaks_is_reported_in_the_servers_words(
    fake: ScriptedOllama, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "max retries exceeded: unexpected EOF"
    fake.pulls = [[HALF, {"error": said}], [WHOLE, SUCCESS]]
    opened(EndpointSpec(kind=fake.url, model="new:1b"))
    assert f"broke off ({said}); it is resumed" in capsys.readouterr().err


def test_a_registry_lost_in_the_middle_of_a_download_is_a_download_that_breaks(fake: ScriptedOllama) -> None:
    fake.pulls = [[HALF, {"error": "dial tcp: i/o timeout"}], [WHOLE, SUCCESS]]
    assert opened(EndpointSpec(kind=fake.url, model="new:1b")).model_digest == "d" * 64


@pytest.mark.parametrize(
    "step", [{"total": "many", "completed": []}, {"status": "x" * 1_100_000}, {"error": None}, {"error": ""}], ids=str
)
def test_what_a_pull_says_may_be_nonsense(fake: ScriptedOllama, step: dict[str, object]) -> None:
    fake.pulls = [[step, WHOLE, SUCCESS], [WHOLE, SUCCESS]]
    assert opened(EndpointSpec(kind=fake.url, model="new:1b")).model_digest == "d" * 64


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ("pull model manifest: file does not exist", ModelError, "there is no model 'new:1b'"),
        ("write /blobs/sha256-1: no space left on device", ConfigurationError, "no disk space"),
    ],
)
def test_a_pull_that_cannot_succeed_is_not_tried_again(
    fake: ScriptedOllama, said: str, error: type[BenchmarkError], message: str
) -> None:
    fake.pulls = [[{"error": said}]]
    with pytest.raises(error, match=message):
        opened(EndpointSpec(kind=fake.url, model="new:1b"))
    assert fake.asked.count("/api/pull") == 1


def test_nothing_there_says_what_to_do(nobody: int) -> None:
    line = failure(EndpointSpec(kind="external", port=nobody))
    assert "connection refused" in line
    assert "Start Ollama there" in line


def test_a_host_that_does_not_resolve_is_named() -> None:
    assert "does not resolve" in failure(EndpointSpec(kind="http://no-such-host.invalid:11434"))


def test_something_else_that_speaks_http_is_told_from_ollama(fake: ScriptedOllama) -> None:
    assert "is not Ollama" in failure(EndpointSpec(kind=f"{fake.url}/elsewhere"))


def test_tls_where_there_is_none_is_named(fake: ScriptedOllama) -> None:
    assert "TLS" in failure(EndpointSpec(kind=fake.url.replace("http", "https")))


def test_auto_takes_a_running_server_first(fake: ScriptedOllama) -> None:
    endpoint = opened(EndpointSpec(kind="auto", port=fake.port, model="llama3.2:1b"))
    assert (endpoint.kind, endpoint.base_url) == ("external", fake.url)


def test_auto_takes_the_server_of_ollama_host(
    fake: ScriptedOllama, nobody: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", fake.url)
    assert choose(EndpointSpec(kind="auto", port=nobody)).kind == fake.url


def test_auto_then_takes_ollama_on_path(nobody: int, tmp_path: Path) -> None:
    (tmp_path / "ollama").write_text("#!/bin/sh\n")
    (tmp_path / "ollama").chmod(0o755)
    assert choose(EndpointSpec(kind="auto", port=nobody)).kind == "process"


def test_auto_then_takes_a_container_engine_that_works(nobody: int, tmp_path: Path) -> None:
    (tmp_path / "podman").write_text("#!/bin/sh\n")
    (tmp_path / "podman").chmod(0o755)
    assert choose(EndpointSpec(kind="auto", port=nobody)).kind == "container"


def test_auto_without_anything_says_what_was_tried_and_the_three_ways_out(nobody: int) -> None:
    line = failure(EndpointSpec(kind="auto", port=nobody))
    for part in (f"127.0.0.1:{nobody}", "`ollama` on PATH", "docker is not installed", "podman is not installed"):
        assert part in line
    for way in ("Start Ollama", "endpoint=container", "profile=embedded"):
        assert way in line


def test_auto_suggests_the_one_server_that_answers(
    fake: ScriptedOllama, nobody: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_dev_tools.benchmark.endpoints.auto.OLLAMA_PORT", fake.port)
    assert f"endpoint={fake.url}" in failure(EndpointSpec(kind="auto", port=nobody))


def test_a_server_that_nobody_named_gets_no_token(
    fake: ScriptedOllama, nobody: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token goes to the addresses of the settings and to OLLAMA_HOST, and not to whatever has the usual port."""
    monkeypatch.setattr("ai_dev_tools.benchmark.endpoints.auto.OLLAMA_PORT", fake.port)
    monkeypatch.setenv("LAB_TOKEN", "secret")
    assert f"endpoint={fake.url}" in failure(EndpointSpec(kind="auto", port=nobody, token_env="LAB_TOKEN"))
    assert fake.asked and not fake.credentials


def test_an_engine_without_permission_is_named(nobody: int, tmp_path: Path) -> None:
    script = "#!/bin/sh\necho 'permission denied while trying to connect to the Docker daemon socket' >&2\nexit 1\n"
    (tmp_path / "docker").write_text(script)
    (tmp_path / "docker").chmod(0o755)
    assert "docker gives you no permission" in failure(EndpointSpec(kind="container", port=nobody))


@pytest.mark.parametrize(
    ("program", "problem"),
    [("#!/bin/sh\nexec /bin/sleep 60\n", "does not answer within 0.5 s"), ("no program\n", "cannot be executed")],
    ids=["hangs", "is none"],
)
def test_an_engine_that_does_not_work_is_named(
    nobody: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, problem: str
) -> None:
    monkeypatch.setattr(container, "ENGINE_ANSWERS_S", 0.5)
    (tmp_path / "podman").write_text(program)
    (tmp_path / "podman").chmod(0o755)
    assert f"podman {problem}" in failure(EndpointSpec(kind="container", port=nobody))


def test_no_connection_is_its_own_class(nobody: int) -> None:
    with pytest.raises(EndpointConnectionError):
        opened(EndpointSpec(kind="external", port=nobody))
