"""What a meter says of the work of a server, of its runners, and of the rest of the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from ai_dev_tools.benchmark._util import supervised_cpu
from ai_dev_tools.benchmark.endpoints import EndpointSpec, ReadyEndpoint, endpoint_kind, resource_use
from ai_dev_tools.benchmark.endpoints.resource_use import ResourceMonitor
from ai_dev_tools.benchmark.execution import run_block
from ai_dev_tools.benchmark.prompts.containment import ContainedProgram, RunLimits, bubblewrap_problem
from ai_dev_tools.benchmark.prompts.run_folder import fresh_run_folder, tool_environment
from fakes.ollama import FakeOllama
from support.making import block, prompts


def wait_for_child(pid: int) -> psutil.Process:
    deadline = time.monotonic() + 60
    while not (children := psutil.Process(pid).children()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return children[0]


def test_a_meter_sees_the_cpu_and_memory_of_a_server_and_its_children() -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'while True: pass'])"
    code = f"import subprocess, sys, time\n{child}\ntime.sleep(60)"
    server = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        child_process = wait_for_child(server.pid)
        meter = ResourceMonitor(server.pid)
        with meter.measuring() as reading:
            used_before, deadline = child_process.cpu_times().user, time.monotonic() + 60
            while child_process.cpu_times().user < used_before + 0.1 and time.monotonic() < deadline:
                time.sleep(0.05)
        meter.close()
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert reading.result.server_cpu_s is not None
    assert reading.result.server_cpu_s >= 0.1
    assert reading.result.server_peak_rss_bytes is not None
    assert reading.result.server_peak_rss_bytes > 2_000_000
    assert reading.result.other_cpu_s is not None
    assert reading.result.other_cpu_s >= 0
    assert reading.result.measured_s is not None
    assert reading.result.measured_s > 0


RUNNER = "import time\nwhile time.process_time() < {busy_s}: pass\nprint(flush=True)\n{then}"
SERVER = """
import subprocess, sys
print(flush=True)
for line in sys.stdin:
    runner = subprocess.Popen([sys.executable, "-c", line.encode().decode("unicode_escape")], stdout=subprocess.PIPE)
    runner.stdout.readline()
    print(flush=True)
"""
"""Stands for a server whose model runs in a child: each line it reads is the code of another, and is answered when
that one has worked."""


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout
        process.stdout.readline()
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def load(server: subprocess.Popen[str], busy_s: float, then: str = "time.sleep(60)") -> None:
    """Have the server start a runner, and wait until it has worked for so long."""
    assert server.stdin
    assert server.stdout
    server.stdin.write(RUNNER.format(busy_s=busy_s, then=then).encode("unicode_escape").decode() + "\n")
    server.stdin.flush()
    server.stdout.readline()


def test_the_work_of_a_runner_that_was_born_at_the_warm_up_is_no_part_of_the_first_request(
    server: subprocess.Popen[str],
) -> None:
    meter = ResourceMonitor(server.pid)
    load(server, busy_s=0.5)
    meter.rescan()
    with meter.measuring() as reading:
        pass
    meter.close()
    assert reading.result.server_cpu_s is not None
    assert reading.result.server_cpu_s < 0.25


def test_a_runner_that_a_request_loaded_counts_as_its_work(server: subprocess.Popen[str]) -> None:
    meter = ResourceMonitor(server.pid)
    with meter.measuring() as reading:
        load(server, busy_s=0.5)
        reading.reloaded = True
    meter.close()
    assert reading.result.server_cpu_s is not None
    assert reading.result.server_cpu_s >= 0.4


def test_a_runner_that_was_overlooked_makes_the_work_unknown_instead_of_wrong(server: subprocess.Popen[str]) -> None:
    meter = ResourceMonitor(server.pid)
    load(server, busy_s=0.5)
    with meter.measuring() as reading:
        meter.rescan()
    meter.close()
    assert reading.result.server_cpu_s is None
    assert reading.result.other_cpu_s is None


def test_a_block_looks_for_the_runner_after_the_warm_up(
    tmp_path: Path, server: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: the runner is born when the block warms up, and works during the first request too."""
    with FakeOllama(["fake:1b"], latency_s=0.5) as fake:
        usual, born = fake.reply, threading.Event()

        def reply(method: str, path: str, body: bytes) -> tuple[int, list[dict[str, Any]], float]:
            if path == "/api/chat" and not born.is_set():
                born.set()
                load(server, busy_s=0.1, then="while True: pass")
            return usual(method, path, body)

        monkeypatch.setattr(fake, "reply", reply)

        @endpoint_kind("test_with_a_runner")
        def _open(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
            yield ReadyEndpoint(fake.url, "test_with_a_runner", "1", spec.model, "w", pid=server.pid)

        spec = {"kind": "test_with_a_runner", "instance": "a", "model": "fake:1b", "max_concurrent": 1}
        asked = block(results=str(tmp_path), samples=1, endpoint=spec | {"startup_timeout_s": 5})
        first, *_ = run_block(asked, prompts(asked), lambda line: None, threading.Event())
    assert first.resources.server_cpu_s is not None
    assert first.resources.server_cpu_s > 0


def test_what_a_server_used_that_ended_meanwhile_is_unknown_and_not_zero() -> None:
    code = "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        meter = ResourceMonitor(server.pid)
        with meter.measuring() as reading:
            server.kill()
            server.wait()
        meter.close()
    assert reading.result.server_cpu_s is None
    assert reading.result.other_cpu_s is None


@pytest.mark.parametrize("pid", [None, 2**22 + 1])
def test_a_server_that_cannot_be_seen_is_unknown_and_not_zero(pid: int | None) -> None:
    meter = ResourceMonitor(pid)
    with meter.measuring() as reading:
        pass
    meter.close()
    assert reading.result.server_cpu_s is None
    assert reading.result.server_peak_rss_bytes is None


# --- programs of an episode -------------------------------------------------------------------------------------------

WORKS = "import time\nwhile time.process_time() < 0.4: pass\nprint(flush=True)\n"
PARENT = f"""
import os, subprocess, sys
subprocess.run([sys.executable, "-c", {WORKS!r}])
with open("done.part", "w") as file:
    file.write(str(sum(os.times()[:4])))
os.replace("done.part", "done")
input()
"""
"""A tool whose child works: what has ended below a tool counts too. It says what both have used."""
SANDBOXES = [
    "none",
    pytest.param("bubblewrap", marks=pytest.mark.skipif(bool(bubblewrap_problem()), reason="no sandbox here")),
]


@contextmanager
def program(folder: Path, sandbox: Any) -> Iterator[tuple[ContainedProgram, float]]:
    """A program of an episode that has worked for 0.4 s and goes on running, as an MCP server does; what it has used."""
    listen, talk = os.pipe()
    with (
        fresh_run_folder() as room,
        (folder / "out").open("w+b") as out,
        open(listen, "rb", buffering=0) as stdin,
        open(talk, "wb", buffering=0),
    ):
        argv = [sys.executable, "-c", PARENT]
        environment = tool_environment(room, sandbox)
        contained = ContainedProgram(argv, room, environment, (out, out), RunLimits(60.0), sandbox, stdin=stdin)
        try:
            contained.begin()
            deadline = time.monotonic() + 60
            while not (room.case / "done").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield contained, float((room.case / "done").read_text())
        finally:
            contained.close()


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_what_a_program_of_ours_uses_is_counted_while_it_runs_and_once_when_it_has_ended(
    tmp_path: Path, sandbox: Any
) -> None:
    before = supervised_cpu.used_s()
    with program(tmp_path, sandbox) as (contained, used):
        running = supervised_cpu.used_s() - before
        contained.close()
        ended = supervised_cpu.used_s() - before
    assert 0.9 * used <= running <= ended < 1.9 * used, "all of it, and not twice"
    assert supervised_cpu.used_s() - before == ended


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_the_work_of_a_tool_that_still_runs_is_not_that_of_other_programs(
    tmp_path: Path, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As beside an MCP server of another episode; the machine is said to have worked for one second in all."""
    worked = iter([100.0, 101.0])
    monkeypatch.setattr(resource_use, "_busy_s", lambda: next(worked))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as idle:
        meter = ResourceMonitor(idle.pid)
        with ExitStack() as opened:
            with meter.measuring() as reading:
                opened.enter_context(program(tmp_path, sandbox))
            assert reading.result.other_cpu_s is not None and reading.result.other_cpu_s <= 0.65
        meter.close()
        idle.kill()
