"""The embedded endpoint: up when asked, honest about counts, and gone with its parent by whatever cause."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3

from ai_dev_tools.benchmark._util.processes import start_time
from ai_dev_tools.benchmark.endpoints import EndpointSpec, ReadyEndpoint, open_endpoint
from ai_dev_tools.benchmark.endpoints.embedded import ENVIRONMENT, MODULE
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, StartupTimeoutError

HOLD = """
import sys, time
from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
with open_endpoint(EndpointSpec(model_file=sys.argv[1])) as endpoint:
    print(endpoint.pid, flush=True)
    time.sleep(60)
"""


def ask(endpoint: ReadyEndpoint, prompt: str = "Say hello.", **options: Any) -> dict[str, Any]:
    body = {
        "model": endpoint.model,
        "prompt": prompt,
        "stream": False,
        "options": {"temperature": 0, "num_predict": 8, **options},
    }
    reply = urllib3.request("POST", f"{endpoint.base_url}/api/generate", json=body, timeout=60)
    answer: dict[str, Any] = reply.json()
    assert reply.status == 200, answer
    return answer


def connections(endpoint: ReadyEndpoint) -> int:
    """How many are with the server just now."""
    found = psutil.Process(endpoint.pid).net_connections()
    return sum(connection.status == psutil.CONN_ESTABLISHED for connection in found)


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if start_time(pid) is None:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def spec(weights: Path) -> EndpointSpec:
    return EndpointSpec(model_file=str(weights), num_ctx=1024)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_it_is_identified(embedded_endpoint: ReadyEndpoint) -> None:
    assert embedded_endpoint.kind == "embedded"
    assert embedded_endpoint.model_digest == find_model("smollm2:135m").sha256
    assert "xllamacpp" in embedded_endpoint.version
    assert embedded_endpoint.details["quantization"] == "Q4_1"
    assert embedded_endpoint.details["model_context_length"] == 8192
    assert "<|im_start|>" in embedded_endpoint.details["template"]


def test_it_listens_on_this_machine_only(embedded_endpoint: ReadyEndpoint) -> None:
    assert embedded_endpoint.pid
    listening = [
        c.laddr.ip for c in psutil.Process(embedded_endpoint.pid).net_connections() if c.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}


def test_waiting_threads_do_not_spin(embedded_endpoint: ReadyEndpoint) -> None:
    environment = psutil.Process(embedded_endpoint.pid).environ()
    assert {name: environment.get(name) for name in ENVIRONMENT} == ENVIRONMENT


def test_the_same_question_twice_counts_the_whole_prompt_twice(embedded_endpoint: ReadyEndpoint) -> None:
    first, second = ask(embedded_endpoint), ask(embedded_endpoint)
    assert second["prompt_eval_count"] == first["prompt_eval_count"] > 20
    assert second["prompt_eval_cached_count"] == 0
    assert second["response"] == first["response"]


def test_a_warm_cache_can_be_declared_and_is_told(spec: EndpointSpec) -> None:
    warm = EndpointSpec.from_dict({**spec.to_dict(), "cache_prompt": True})
    with open_endpoint(warm) as endpoint:
        first, second = ask(endpoint), ask(endpoint)
        assert first["prompt_eval_cached_count"] == 0
        assert second["prompt_eval_cached_count"] > 10
        assert second["prompt_eval_count"] == first["prompt_eval_count"]
        assert endpoint.details["settings"]["cache_prompt"] is True


def test_requests_that_wait_for_the_slot_say_so(embedded_endpoint: ReadyEndpoint) -> None:
    """The slot is taken by an answer that is not read on; another request gets it when that client goes away."""
    alone = ask(embedded_endpoint)
    body = {"model": embedded_endpoint.model, "prompt": "Tell a story without end.", "options": {"num_predict": 4000}}
    first = urllib3.request("POST", f"{embedded_endpoint.base_url}/api/generate", json=body, preload_content=False)
    first.read(20)
    before = connections(embedded_endpoint)
    answers: list[dict[str, Any]] = []
    second = threading.Thread(target=lambda: answers.append(ask(embedded_endpoint)))
    second.start()
    while connections(embedded_endpoint) == before:
        assert second.is_alive()
        time.sleep(0.02)
    time.sleep(0.5)
    first.close()
    second.join()
    (waited,) = answers
    assert waited["load_duration"] > alone["load_duration"]
    assert waited["load_duration"] > 50e6, "some of the half second"
    assert waited["response"] == alone["response"]


def test_its_process_ends_with_the_context(spec: EndpointSpec) -> None:
    with open_endpoint(spec) as endpoint:
        assert endpoint.pid
        assert start_time(endpoint.pid)
    assert start_time(endpoint.pid) is None


def test_it_ends_in_the_middle_of_an_answer_too(spec: EndpointSpec) -> None:
    with open_endpoint(spec) as endpoint:
        body = {"model": endpoint.model, "prompt": "Tell a story without end.", "options": {"num_predict": 900}}
        reply = urllib3.request("POST", f"{endpoint.base_url}/api/generate", json=body, preload_content=False)
        reply.read(20)
        started = time.monotonic()
    assert time.monotonic() - started < 60
    assert endpoint.pid
    assert start_time(endpoint.pid) is None


def test_a_killed_server_is_restarted_where_it_was(spec: EndpointSpec) -> None:
    with open_endpoint(spec) as endpoint:
        first, url = endpoint.pid, endpoint.base_url
        assert first
        os.kill(first, signal.SIGKILL)
        endpoint.restart()
        assert endpoint.pid != first
        assert endpoint.base_url == url
        assert endpoint.restarts == 1
        assert ask(endpoint)["eval_count"] > 0
    assert endpoint.pid
    assert start_time(endpoint.pid) is None


@pytest.mark.parametrize("cause", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_is_gone_when_its_parent_is(weights: Path, cause: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(weights)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout
        server = int(parent.stdout.readline())
        assert start_time(server)
        parent.send_signal(cause)
        assert gone_within(server, 60)


def test_it_stays_while_the_thread_that_started_it_is_over(spec: EndpointSpec) -> None:
    """Linux signals the death of the starting thread as that of the parent: it must not be taken for it."""
    opened = open_endpoint(spec)
    endpoints: list[ReadyEndpoint] = []
    thread = threading.Thread(target=lambda: endpoints.append(opened.__enter__()))
    thread.start()
    thread.join()
    try:
        time.sleep(0.3)
        assert ask(endpoints[0])["eval_count"] > 0
    finally:
        opened.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model_file": "no/such.gguf"}, r"no weights at no/such\.gguf"),
        ({"model_file": __file__}, "is not a GGUF model file"),
        ({"model_file": None, "model": "llama3.2:1b"}, "has no model 'llama3.2:1b'"),
        ({"model": "llama3.2:1b"}, ", not llama3.2:1b"),
        ({"host": "no-such-host.invalid"}, "does not resolve"),
    ],
)
def test_what_cannot_be_started_is_one_line(spec: EndpointSpec, changed: dict[str, str], message: str) -> None:
    with (
        pytest.raises(ConfigurationError, match=message) as caught,
        open_endpoint(EndpointSpec.from_dict({**spec.to_dict(), **changed})),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_a_taken_port_is_one_line(spec: EndpointSpec, taken_port: int) -> None:
    with (
        pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{taken_port} .address already in use"),
        open_endpoint(EndpointSpec.from_dict({**spec.to_dict(), "port": taken_port})),
    ):
        pass


def test_other_weights_are_not_served_under_the_pinned_name(weights: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered.gguf"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    altered.write_bytes(data)
    with (
        pytest.raises(ConfigurationError, match="is not the pinned"),
        open_endpoint(EndpointSpec(model_file=str(altered))),
    ):
        pass
    with open_endpoint(EndpointSpec(model_file=str(altered), model="mine:1", num_ctx=512)) as endpoint:
        assert endpoint.model_digest not in (None, find_model("smollm2:135m").sha256)


def test_a_server_too_slow_to_start_is_stopped(spec: EndpointSpec) -> None:
    before = set(psutil.Process().children(recursive=True))
    with (
        pytest.raises(StartupTimeoutError, match=r"within 0\.05 s"),
        open_endpoint(EndpointSpec.from_dict({**spec.to_dict(), "startup_timeout_s": 0.05})),
    ):
        pass
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.fixture
def alone(weights: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server started by hand, and the line that it prints."""
    command = [sys.executable, "-m", MODULE, "--port", "0", "--model-file", str(weights), "--num-ctx", "512"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process, process.stdout.readline()
        process.kill()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_alone_it_says_where_it_is_and_stops_in_order(
    alone: tuple[subprocess.Popen[str], str], stop: signal.Signals
) -> None:
    process, line = alone
    assert line.startswith("smollm2:135m is served at http://127.0.0.1:")
    url = line.split()[4]
    assert urllib3.request("GET", url).data == b"Ollama is running"
    process.send_signal(stop)
    assert process.wait(60) == 0
    assert process.stderr
    assert process.stderr.read() == ""


def test_alone_on_a_taken_port_it_says_what_to_do(weights: Path, taken_port: int) -> None:
    command = [sys.executable, "-m", MODULE, "--port", str(taken_port), "--model-file", str(weights)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "choose another with --port" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_run_that_fails_leaves_no_server_either(spec: EndpointSpec) -> None:
    seen: list[int] = []

    def run() -> None:
        with open_endpoint(spec) as endpoint:
            seen.append(endpoint.pid or 0)
            raise BenchmarkError("the run failed")

    with pytest.raises(BenchmarkError, match="the run failed"):
        run()
    assert seen[0]
    assert start_time(seen[0]) is None
