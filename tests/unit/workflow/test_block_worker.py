"""Blocks of a run on this machine start from one worker, and each of them is to its job what a program of its own would be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from ai_dev_tools.benchmark.execution.job import RUN_PID
from ai_dev_tools.benchmark.execution.start_block import KILLED, WORKER
from ai_dev_tools.benchmark.prompts import write_prompts
from ai_dev_tools.benchmark.records.sample import read_block
from ai_dev_tools.benchmark.workflow import block_worker
from ai_dev_tools.benchmark.workflow.process_setup import rest_between_jobs
from fakes.ollama import FakeOllama
from support.making import block, prompts

RUN = """
import os, sys, time
from pathlib import Path
from ai_dev_tools.benchmark.execution.job import RUN_PID
from ai_dev_tools.benchmark.execution.start_block import WORKER
from ai_dev_tools.benchmark.workflow.block_worker import listen

os.environ[RUN_PID] = str(os.getpid())
listen(Path(sys.argv[1]))
print(os.environ[WORKER], flush=True)
time.sleep(600)
"""
MODULE = "execution.worker"


@dataclass
class Run:
    """What stands for Snakemake: a process that offers a worker, and starts a block's job as a rule does."""

    folder: Path
    process: subprocess.Popen[str]
    worker: str

    def job(self, name: str, url: str, worker: str | None = None, **changed: Any) -> subprocess.Popen[str]:
        """Start the job of a block; `name` tells its results, log and output from those of other blocks."""
        asked = block(
            results=str(self.folder / name),
            endpoint=block().endpoint.to_dict() | {"kind": url, "max_concurrent": 1},
            **changed,
        )
        write_prompts(self.folder / f"{name}.prompts", prompts(asked).values())
        files = {"prompts": "prompts", "log": "log", "output": "jsonl"}
        given = [part for key, end in files.items() for part in (f"--{key}", str(self.folder / f"{name}.{end}"))]
        return subprocess.Popen(
            [sys.executable, "-I", "-S", block_worker.PROGRAM, "--block", asked.to_json(), *given],
            cwd=self.folder,
            env={**os.environ, RUN_PID: str(self.process.pid), WORKER: worker or self.worker},
            stderr=subprocess.PIPE,
            text=True,
        )

    def begun(self, name: str, url: str, **changed: Any) -> subprocess.Popen[str]:
        """The job of a long block, of which two samples are there."""
        job = self.job(name, url, samples=100, cases=["one"], **changed)
        until(lambda: len(self.samples(name)) >= 2)
        return job

    def samples(self, name: str) -> list[Path]:
        return list((self.folder / name).rglob("[0-9]*.json"))

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def worker_and_blocks(self) -> tuple[psutil.Process, list[psutil.Process]]:
        (worker,) = [child for child in psutil.Process(self.process.pid).children() if is_worker(child)]
        return worker, worker.children()


def is_worker(process: psutil.Process) -> bool:
    return any(part.endswith(MODULE) for part in process.cmdline())


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    command = [sys.executable, "-c", RUN, str(tmp_path / "blocks.socket")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield Run(tmp_path, process, process.stdout.readline().strip())
        process.kill()


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOllama]:
    with FakeOllama(["fake:1b"]) as server:
        yield server


FAILING_DRIVER = """#!/bin/sh
echo 'Broken card, 1, 1.0'
sleep 0.3 &
exit 9
"""
"""It ends while something still holds what it prints, so that it ends before anybody waits for it."""


def test_a_worker_learns_how_the_programs_that_it_asks_about_the_machine_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeOllama, request: pytest.FixtureRequest
) -> None:
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    driver.write_text(FAILING_DRIVER)
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{driver.parent}:{os.environ['PATH']}")
    run: Run = request.getfixturevalue("run")
    with run.job("one", fake.url, samples=1, cases=["one"]) as job:
        assert job.wait() == 0
    (recorded,) = (run.folder / "one" / "identity").rglob("*.json")
    assert "Broken card" not in recorded.read_text()


@pytest.fixture(scope="module")
def slow() -> Iterator[FakeOllama]:
    """LABELLED FAKE that takes its time, so that a block is under way for a while."""
    with FakeOllama(["fake:1b"], latency_s=0.1) as server:
        yield server


def test_each_block_has_an_exit_status_a_log_and_an_output_of_its_own(run: Run, fake: FakeOllama) -> None:
    jobs = {name: run.job(name, url) for name, url in (("good", fake.url), ("bad", "http://127.0.0.1:9"))}
    assert {name: job.wait(90) for name, job in jobs.items()} == {"good": 0, "bad": 1}
    assert len(read_block(run.folder / "good.jsonl")) == 6
    assert "error" not in run.said("good")
    assert run.said("bad").startswith("error: ")
    assert not (run.folder / "bad.jsonl").exists()
    for name, job in jobs.items():
        assert job.stderr
        assert job.stderr.read() == run.said(name), "what a block says reaches its job's console"
    worker, blocks = run.worker_and_blocks()
    assert worker.is_running()
    until(lambda: not any(block.is_running() for block in blocks))


def test_a_call_that_is_wrong_ends_as_the_program_would(run: Run) -> None:
    job = subprocess.run(
        [sys.executable, "-I", "-S", block_worker.PROGRAM, "--nonsense"],
        env={**os.environ, WORKER: run.worker},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (job.returncode, "--block" in job.stderr) == (2, True)
    assert run.worker_and_blocks()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_job_ends_its_block_in_order_and_no_other(
    run: Run, slow: FakeOllama, signum: signal.Signals
) -> None:
    told, other = run.begun("told", slow.url), run.job("other", slow.url)
    told.send_signal(signum)
    assert told.wait(60) == 128 + signum
    assert other.wait(60) == 0
    assert 2 <= len(run.samples("told")) < 200
    assert "error" not in run.said("told")


def test_a_block_ends_with_its_job(run: Run, slow: FakeOllama) -> None:
    job = run.begun("killed", slow.url)
    _, (child,) = run.worker_and_blocks()
    job.kill()
    until(lambda: not child.is_running())
    assert len(run.samples("killed")) < 200


def test_a_block_that_is_over_is_not_ended_for_the_end_of_its_job(tmp_path: Path) -> None:
    program = """
import os, socket, time
from ai_dev_tools.benchmark.execution import start_block, worker

listener = socket.socket(socket.AF_UNIX)
listener.bind("blocks.socket")
listener.listen()
os.environ[start_block.WORKER] = "secret:blocks.socket"
if (block := os.fork()) == 0:
    worker.block_job.main = lambda arguments: 3
    status = worker._serve(listener.accept()[0])
    time.sleep(0.5)  # whatever happens to it happens now
    os._exit(status)
job = start_block._hand_over([])
assert job.recv(1) == bytes([3])
job.close()
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(block, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False, timeout=90).returncode == 3


def test_a_block_that_is_killed_fails_and_says_why(run: Run, slow: FakeOllama) -> None:
    job = run.begun("killed", slow.url)
    _, (child,) = run.worker_and_blocks()
    child.kill()
    assert job.wait(60) == KILLED
    assert run.said("killed").splitlines()[-1].startswith("error: the process of this block was killed")


def test_blocks_go_on_and_start_when_the_worker_is_killed(run: Run, slow: FakeOllama) -> None:
    under_way = run.job("under_way", slow.url, samples=10)
    until(lambda: len(run.samples("under_way")) >= 2)
    worker, _ = run.worker_and_blocks()
    worker.kill()
    later = run.job("later", slow.url)
    assert (under_way.wait(60), later.wait(60)) == (0, 0)
    assert len(read_block(run.folder / "under_way.jsonl")) == 20
    assert len(read_block(run.folder / "later.jsonl")) == 6


def test_all_ends_when_the_run_is_killed(run: Run, slow: FakeOllama) -> None:
    job = run.begun("orphaned", slow.url)
    worker, blocks = run.worker_and_blocks()
    run.process.kill()
    run.process.wait()
    assert job.wait(60) == 128 + signal.SIGTERM
    until(lambda: not any(process.is_running() for process in (worker, *blocks)))
    assert "error" not in run.said("orphaned")


def test_who_does_not_know_the_secret_gets_nothing_done(run: Run, fake: FakeOllama) -> None:
    """A tool in a sandbox sees the socket, and what it would have run would not be in the sandbox."""
    job = run.job("stranger", fake.url, worker=f"guessed:{run.worker.partition(':')[2]}")
    until(lambda: job.poll() is not None or "-m" in psutil.Process(job.pid).cmdline())
    assert job.wait(60) == 0, "a job of another run starts its block by itself"


def test_it_starts_with_the_first_block_and_not_next_to_tools(run: Run, fake: FakeOllama) -> None:
    assert not psutil.Process(run.process.pid).children()
    assert run.job("first", fake.url).wait(60) == 0
    assert run.worker_and_blocks()


def workflow(**changed: Any) -> Any:
    """What is asked of Snakemake's workflow, for a run of two blocks on this machine."""
    jobs = [SimpleNamespace(rule=SimpleNamespace(name=name)) for name in ("run_block", "run_block", "make_tables")]
    usual = {
        "is_main_process": True,
        "local_exec": True,
        "deployment_settings": SimpleNamespace(deployment_method=frozenset()),
        "dag": SimpleNamespace(needrun_jobs=lambda: jobs),
    }
    return SimpleNamespace(**usual | changed)


@pytest.mark.parametrize(
    ("changed", "offered"),
    [
        ({}, True),
        ({"local_exec": False}, False),
        ({"is_main_process": False}, False),
        ({"deployment_settings": SimpleNamespace(deployment_method={"conda"})}, False),
        ({"dag": SimpleNamespace(needrun_jobs=list)}, False),
    ],
)
def test_only_a_run_on_this_machine_in_this_environment_offers_a_worker(
    changed: dict[str, Any], offered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKER, "")
    block_worker.offer_worker(workflow(**changed), tmp_path)
    assert bool(os.environ[WORKER]) == offered


def test_what_each_job_pays_for_is_python_alone() -> None:
    """Enumerations of `signal` and `socket` took as long as starting Python, in every block."""
    program = f"import sys; sys.path.insert(0, {str(Path(block_worker.PROGRAM).parent)!r}); import start_block; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "start_block" in loaded
    assert not {"site", "enum", "re", "collections", "contextlib", "pathlib", "signal", "socket"} & set(loaded)


def test_the_worker_has_imported_what_a_block_needs(tmp_path: Path, fake: FakeOllama) -> None:
    """What a block imports itself, all blocks import."""
    asked = block(results=str(tmp_path), endpoint=block().endpoint.to_dict() | {"kind": fake.url})
    write_prompts(tmp_path / "prompts", prompts(asked).values())
    program = """
import sys
from ai_dev_tools.benchmark.execution import block_job, worker
before = set(sys.modules)
block_job.main(sys.argv[1:])
print(sorted(set(sys.modules) - before))
"""
    arguments = ["--block", asked.to_json(), "--prompts", str(tmp_path / "prompts")]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("local", [True, False])
def test_snakemake_looks_for_jobs_only_when_one_has_ended_unless_a_cluster_needs_its_pace(local: bool) -> None:
    """Else it looks once a second for each job that has ended, beside the models that are measured."""
    limiter = object()
    scheduler = SimpleNamespace(job_rate_limiter=limiter)
    rest_between_jobs(workflow(local_exec=local, scheduler=scheduler))
    assert scheduler.job_rate_limiter is (None if local else limiter)
