"""`ollama serve` of the run's own: a real executable named `ollama` that serves the embedded façade."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import urllib3
from msgspec.structs import replace

from ai_dev_tools.benchmark._util.processes import start_time
from ai_dev_tools.benchmark.endpoints import EndpointSpec, memory, open_endpoint
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, ModelError, StartupTimeoutError
from support.ollama_program import OLLAMA, put_ollama

HOLD = """
import sys, time
from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
with open_endpoint(EndpointSpec(kind="process")) as endpoint:
    print(endpoint.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def spec(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EndpointSpec:
    put_ollama(tmp_path, monkeypatch, OLLAMA.format(python=sys.executable, weights=weights))
    return EndpointSpec(kind="process", num_ctx=512, log_dir=str(tmp_path / "logs"))


def gone(pid: int, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while start_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    return start_time(pid) is None


def test_it_is_started_with_an_environment_of_its_own_and_stopped(spec: EndpointSpec, tmp_path: Path) -> None:
    with open_endpoint(spec) as endpoint:
        assert endpoint.kind == "process"
        assert endpoint.details["settings"]["OLLAMA_CONTEXT_LENGTH"] == "512"
        body = {"model": endpoint.model, "prompt": "Hi", "stream": False, "options": {"num_predict": 2}}
        assert urllib3.request("POST", f"{endpoint.base_url}/api/generate", json=body).json()["eval_count"] == 2
        assert endpoint.pid
        assert psutil.Process(endpoint.pid).memory_info().rss > 100e6
    assert start_time(endpoint.pid) is None
    assert "context 512 parallel 1 keep -1" in next((tmp_path / "logs").iterdir()).read_text()


def test_it_is_restarted_where_it_was(spec: EndpointSpec) -> None:
    with open_endpoint(spec) as endpoint:
        first = (endpoint.pid, endpoint.base_url)
        endpoint.restart()
        assert endpoint.pid != first[0]
        assert endpoint.base_url == first[1]


@pytest.mark.parametrize("cause", [signal.SIGKILL, signal.SIGTERM])
def test_it_is_gone_when_the_run_is(spec: EndpointSpec, cause: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stdout
        server = int(run.stdout.readline())
        run.send_signal(cause)
        assert gone(server)


def test_it_is_gone_when_run_and_guard_are_killed_at_once(spec: EndpointSpec) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stdout
        server = int(run.stdout.readline())
        guard = psutil.Process(server).ppid()
        os.kill(guard, signal.SIGKILL)
        run.kill()
        assert gone(server)


def test_a_server_that_ends_at_once_tells_its_last_words(
    spec: EndpointSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_ollama(tmp_path, monkeypatch, "#!/bin/sh\necho 'Error: no GPU driver' >&2\nexit 1\n")
    with pytest.raises(ModelError, match="Error: no GPU driver"), open_endpoint(spec):
        pass


def test_a_server_that_never_answers_is_given_up(
    spec: EndpointSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_ollama(tmp_path, monkeypatch, "#!/bin/sh\nexec sleep 60\n")
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(StartupTimeoutError, match="within 1 s"), open_endpoint(replace(spec, startup_timeout_s=1)):
        pass
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_port_in_use_is_named(spec: EndpointSpec) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        taken = replace(spec, port=listener.getsockname()[1])
        with pytest.raises(BenchmarkError, match="used by something that is not Ollama"), open_endpoint(taken):
            pass


def test_an_ollama_that_runs_already_is_pointed_to(spec: EndpointSpec) -> None:
    with open_endpoint(spec) as endpoint:
        same = replace(spec, port=int(endpoint.base_url.rpartition(":")[2]))
        with pytest.raises(ConfigurationError, match="endpoint=external"), open_endpoint(same):
            pass


def test_a_start_that_would_exceed_free_memory_waits_with_a_line(
    spec: EndpointSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    impossible = replace(spec, memory_gb=1e6, startup_timeout_s=0.5)
    with pytest.raises(StartupTimeoutError, match="memory"), open_endpoint(impossible):
        pass
    assert capsys.readouterr().err.count("waiting for 1e+06 GB of free memory") == 1


def test_memory_promised_to_one_start_is_not_promised_to_another(spec: EndpointSpec) -> None:
    most = psutil.virtual_memory().available / 1e9 * 0.7
    one, other = (replace(spec, instance=name, memory_gb=most, startup_timeout_s=0.5) for name in ("one", "other"))
    with memory.reserved(one), pytest.raises(StartupTimeoutError), memory.reserved(other):
        pass
    with memory.reserved(other):
        pass


def test_memory_that_cannot_be_reserved_is_one_line(
    spec: EndpointSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")  # as little can be written below it as on a full disk
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with (
        pytest.raises(ConfigurationError, match=r"cannot reserve memory in .*TMPDIR"),
        memory.reserved(replace(spec, memory_gb=0.001)),
    ):
        pytest.fail("nothing was reserved")
