"""A third-party agent in podman: what it reaches and leaves, and when podman is taken. The agent is a scripted, labelled fake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ai_dev_tools.benchmark._util import supervised_cpu
from ai_dev_tools.benchmark.agents import podman, sandbox
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.prompts.containment import bubblewrap_problem
from fakes.ollama import FakeOllama
from support.repository import ROOT
from support.third_party_agents import ANSWER, play, program

pytestmark = pytest.mark.slow
HOLD = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]) / "tests"))
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from fakes.ollama import FakeOllama
from support.third_party_agents import play, program
with MeterServer() as meter, FakeOllama() as fake:
    play(meter, fake, program("chat+sleep", sandbox="podman"))
"""


@pytest.fixture(scope="module", autouse=True)
def works(modest_podman: None) -> None:
    """Podman, as this module's settings have it."""
    if problem := sandbox._podman_problem():
        pytest.skip(problem)


def containers() -> list[str]:
    command = [
        podman.podman() or "podman",
        "ps",
        "--all",
        "--format",
        "{{.Names}}",
        "--filter",
        "name=ai-dev-tools-agent",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_it_asks_looks_and_answers_through_the_meter(meter: MeterServer, ollama: FakeOllama) -> None:
    played = play(meter, ollama, program("ask+look+chat+answer+print", sandbox="podman"))
    assert played.answer == {"names": ["a"]} and played.limit is None and not played.flags
    assert [turn.result for turn in played.turns] == ["def a(): ...", None]
    assert ollama.requests[0]["messages"][0]["content"] == "Request 00000042\n\nWhat is there?"
    assert played.tool_s > 0
    assert containers() == []


def test_what_it_computes_is_the_runs_own_and_also_while_it_runs(meter: MeterServer, ollama: FakeOllama) -> None:
    before, during = supervised_cpu.used_s(), []

    def answer(prompt: str, schema: object) -> str:
        during.append(supervised_cpu.used_s())
        return ANSWER

    ollama.answer = answer
    play(meter, ollama, program("compute+ask+answer", sandbox="podman"))
    assert during[0] - before >= 0.5
    assert supervised_cpu.used_s() >= during[0]


COUNT = """
import ctypes, os, resource, sys, time
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]) / "tests"))
from ai_dev_tools.benchmark._util import supervised_cpu
from ai_dev_tools.benchmark.agents.meter.server import MeterServer
from ai_dev_tools.benchmark.agents.sandbox import _podman_problem
from fakes.ollama import FakeOllama
from support.third_party_agents import ANSWER, play, program

def used():
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.1)
        except ChildProcessError:
            break
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # whatever is left alone becomes a child of this process
assert not _podman_problem()
before, counted = used(), supervised_cpu.used_s()
with MeterServer() as meter, FakeOllama(answer=lambda prompt, schema: ANSWER) as fake:
    play(meter, fake, program("ask+answer", sandbox="podman"))
print((supervised_cpu.used_s() - counted) / (used() - before))
"""


def test_what_podman_itself_uses_is_the_runs_own_too() -> None:
    """All that was started becomes a child of the test's program in the end, which then knows what was used in truth."""
    counting = [sys.executable, "-c", COUNT, str(ROOT)]
    share = float(subprocess.run(counting, capture_output=True, text=True, check=True).stdout)
    assert 0.8 <= share <= 1.05


def test_what_it_prints_is_an_answer_too(meter: MeterServer, ollama: FakeOllama) -> None:
    assert play(meter, ollama, program("ask+print", sandbox="podman", answer=["stdout"])).answer == {"names": ["a"]}


def test_it_sees_its_files_and_nothing_else_of_the_machine(
    meter: MeterServer, ollama: FakeOllama, tmp_path: Path
) -> None:
    (tmp_path / "secret").touch()
    hidden = [ROOT / "config/tasks", ROOT / "README.md", tmp_path / "secret", meter.socket]
    shown = ["/run/workspace/src/a.py", "/usr/bin"]
    agent = program("ask+wander+ask", *map(str, hidden), *shown, answer=["message"], sandbox="podman")
    assert play(meter, ollama, agent).turns[0].result == "\n".join(["seen:", *shown])


def test_it_reaches_the_meter_and_nothing_else_of_the_network(meter: MeterServer, ollama: FakeOllama) -> None:
    ports = [str(ollama.port), meter.url.rpartition(":")[2], "11434"]
    agent = program("ask+reach+ask", *ports, answer=["message"], sandbox="podman")
    assert play(meter, ollama, agent).turns[0].result == "interfaces: lo; ports: 11434"


def test_it_can_write_to_its_own_folders_only(meter: MeterServer, ollama: FakeOllama) -> None:
    places = ["/run/workspace", "/tmp", "/usr", "/etc", "/run", "/", str(Path(sys.prefix))]
    agent = program("ask+scribble+ask", *places, answer=["message"], sandbox="podman")
    assert play(meter, ollama, agent).turns[0].result == "written: /run/workspace /tmp"


def test_a_limit_ends_it_and_its_container(meter: MeterServer, ollama: FakeOllama) -> None:
    played = play(meter, ollama, program("forever", sandbox="podman"), turns=3)
    assert played.limit == "turns" and len(played.turns) == 3
    assert containers() == []


@pytest.mark.parametrize("victims", ["run", "run and podman"])
def test_a_run_that_is_killed_leaves_no_container(victims: str) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(ROOT)], start_new_session=True) as run:
        assert _within(60, containers), "a container is there"
        children = psutil.Process(run.pid).children()
        os.kill(run.pid, signal.SIGKILL)
        for child in children if victims == "run and podman" else []:
            with suppress(psutil.NoSuchProcess):
                child.kill()
    assert _within(60, lambda: not containers()), "it is taken away"


def _within(seconds: float, condition: object) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.2)
    return bool(found)


def test_it_is_taken_where_bubblewrap_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    if not bubblewrap_problem():
        assert sandbox.agent_sandbox("x", "auto") == "bubblewrap"
    monkeypatch.setattr(sandbox, "bubblewrap_problem", lambda: "bubblewrap (bwrap) is not installed")
    assert sandbox.agent_sandbox("x", "auto") == "podman"
