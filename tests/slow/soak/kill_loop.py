"""Kills processes of a real run at random, again and again, and checks that nothing is lost, repeated or left behind.

    python tests/slow/soak/kill_loop.py --kills 500 --seed 7              a labelled fake Ollama, started as `ollama serve`
    python tests/slow/soak/kill_loop.py --kills 100 --server embedded     the real embedded model

Each round starts the workflow and kills one kind of process (Snakemake, a block's job, the block, the worker that blocks
start from, the server, its guard, or all at once) with SIGKILL, SIGTERM or SIGINT after a random time, until the run has
ended. Then it looks:
every finished sample is there, unchanged but for the time of a tool that others disturbed; the server was not asked for any of
them again; no process and no port is left. At the end one undisturbed run must complete.
The same seed draws the same kills, but not the same moments.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from fakes.faulty_proxy import NONCE
from fakes.ollama import FakeOllama
from support.repository import ROOT
from support.workflow_project import Project

MARK = "KILL_LOOP_RUN"
REQUEST_LOG = "KILL_LOOP_REQUESTS"
MODEL = {"fake": "fake:1b", "embedded": "smollm2:135m"}
TASKS = {"fake": "safety_assessment,systematic_fix", "embedded": "systematic_fix"}
MORE = {"fake": 6, "embedded": 2}
"""Samples per arm to begin with, and more of them each time that all are there."""
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
KINDS = {"snakemake": 2, "job": 3, "block": 3, "worker": 1, "server": 4, "guard": 1, "everything": 2}
"""What is killed, and how often relative to the others."""
LATENCY_S = 0.12
QUIET_WITHIN_S = 60.0
HANG_S = 15.0
RUN_S = 900.0
"""What only a run that hangs can take."""


@dataclass
class Outcome:
    """What a soak did and found; `wrong` is empty when all is well."""

    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    hung: int = 0
    samples: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{name}: {count}" for name, count in sorted(self.kills.items()))
        return (
            f"{sum(self.kills.values())} kills in {self.runs} runs ({kinds}), {self.samples} samples,"
            f" {self.seconds:.0f} s\n"
            f"Snakemake did not end by itself after a signal: {self.hung}\n"
            f"finished samples lost or asked again, things left over, runs not completed: {len(self.wrong)}"
        )


class Soak:
    """One project that is run and killed.

    Args:
        folder: empty folder for the project.
        server: `fake` or `embedded`.
        seed: of the draws.
    """

    def __init__(self, folder: Path, server: str, seed: int, weights: Path | None = None) -> None:
        self.project = Project.create(folder, weights)
        self.server = server
        self.draw = random.Random(seed)
        self.outcome = Outcome()
        self.samples = MORE[server]
        self.tasks = TASKS[server]
        self.log = folder / "requests.log"
        self._finished: dict[str, bytes] = {}
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self.mark = f"{folder.name}-{os.getpid()}-{seed}"
        programs = folder / "programs"
        programs.mkdir()
        ollama = programs / "ollama"
        ollama.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" --serve\n')
        ollama.chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, MARK: self.mark, REQUEST_LOG: str(self.log), "PATH": path}
        with (folder / "config" / "config.yaml").open("a", encoding="utf-8") as config:
            config.write(self._profile())

    def _profile(self) -> str:
        kind = "process" if self.server == "fake" else "embedded"
        return (
            f"  soak:\n    description: killed again and again\n    samples: 1\n    sizes: [S]\n    endpoint: {kind}\n"
            "    max_concurrent: 2\n    task_timeout: 600\n"
            f"    instances:\n      soak: {{model: '{MODEL[self.server]}', host: 127.0.0.1, port: {self.port}}}\n"
        )

    # one round

    def round(self, kills_left: int) -> int:
        """One run with one kill or several; returns how many."""
        run, asked_before = self._start(), len(self._requests())
        done = 0
        deadline = time.monotonic() + RUN_S
        while run.poll() is None and done < kills_left:
            self._wait_for_a_moment(run)
            if run.poll() is not None:
                break
            kind, signum = self._draw_kind(), self.draw.choice(SIGNALS)
            if not self._kill(kind, signum, run):
                continue
            done += 1
            self.outcome.kills[f"{kind} {signum.name}"] += 1
            if kind in ("snakemake", "everything"):
                self._await_end(run)
            if time.monotonic() > deadline:
                self.outcome.wrong.append(f"a run did not end within {RUN_S:g} s")
                run.kill()
        if run.poll() is None:
            self._wait(run, 120)
            self._await_end(run)
        self._check(asked_before)
        return done

    def _start(self) -> subprocess.Popen[bytes]:
        self.outcome.runs += 1
        output = (self.project.folder / "output.log").open("ab")
        with output:
            return subprocess.Popen(
                self.project.command("run", profile="soak", tasks=self.tasks, samples=self.samples, retry_attempts=2),
                cwd=self.project.folder,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @staticmethod
    def _wait(run: subprocess.Popen[bytes], seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            run.wait(seconds)

    def _wait_for_a_moment(self, run: subprocess.Popen[bytes]) -> None:
        """Until so many more samples are there, mostly; at times for a random while, to hit other phases too."""
        if self.draw.random() < 0.2:
            self._wait(run, self.draw.uniform(0.2, 6.0))
            return
        wanted, deadline = self._count() + self.draw.randint(1, 6), time.monotonic() + 60
        while run.poll() is None and self._count() < wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(self.draw.uniform(0, 0.1))

    def _count(self) -> int:
        root = self.project.folder / "results" / "soak" / "samples"
        return sum(name.endswith(".json") for _, _, names in os.walk(root) for name in names)

    def _draw_kind(self) -> str:
        return self.draw.choices(list(KINDS), list(KINDS.values()))[0]

    def _kill(self, kind: str, signum: signal.Signals, run: subprocess.Popen[bytes]) -> bool:
        """Send the signal; false when there is no such process just now."""
        victims = self._processes(kind, run)
        if kind == "everything" and signum == signal.SIGINT:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signum)  # as Ctrl-C in a terminal
            return True
        for process in victims:
            try:
                process.send_signal(signum)
            except psutil.Error:
                continue
        return bool(victims)

    def _processes(self, kind: str, run: subprocess.Popen[bytes] | None = None) -> list[psutil.Process]:
        names = {"job": "start_block.py", "guard": "endpoints.guard", "server": "--serve"}
        names |= dict.fromkeys(("worker", "block"), "execution.worker")  # a block is a fork of the worker
        if self.server == "embedded":
            names["server"] = "endpoints.embedded"
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE or process.environ().get(MARK) != self.mark:
                    continue
                command = " ".join(process.cmdline())
                of_run = run is not None and process.ppid() == run.pid
            except psutil.Error:
                continue
            if kind in ("worker", "block") and of_run != (kind == "worker"):
                continue
            if (
                kind == "everything"
                or (kind == "snakemake" and run is not None and process.pid == run.pid)
                or (kind in names and names[kind] in command)
            ):
                found.append(process)
        return found

    def _await_end(self, run: subprocess.Popen[bytes]) -> None:
        self._wait(run, HANG_S)
        if run.poll() is None:
            self.outcome.hung += 1
            run.kill()
        run.wait()

    # what must hold

    def _check(self, asked_before: int) -> None:
        deadline = time.monotonic() + QUIET_WITHIN_S
        while (left := self._processes("everything")) and time.monotonic() < deadline:
            time.sleep(0.1)
        for process in left:
            with suppress(psutil.NoSuchProcess):  # it took longer than allowed, but went
                self.outcome.wrong.append(f"left over: {process.pid}: {' '.join(process.cmdline())[:200]}")
                process.kill()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                self.outcome.wrong.append(f"port {self.port} is still open")
        now = self._completed()
        for name, content in self._finished.items():
            if name not in now or _asked_part(now[name]) != _asked_part(content):
                self.outcome.wrong.append(f"{name} was finished and is {'changed' if name in now else 'gone'}")
        known = {_key(json.loads(content)) for content in self._finished.values()}
        self.outcome.wrong += [f"asked again: {key}" for key in self._requests()[asked_before:] if key in known]
        self._finished = now
        if len(now) >= self._expected():
            self.samples += MORE[self.server]  # something to do for the next round

    def _expected(self) -> int:
        return self.samples * 3 * len(self.tasks.split(","))

    def _completed(self) -> dict[str, bytes]:
        root = self.project.folder / "results" / "soak" / "samples"
        files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("[0-9]*.json")}
        return {name: content for name, content in files.items() if json.loads(content)["status"] == "completed"}

    def _requests(self) -> list[str]:
        return self.log.read_text().split("\n")[:-1] if self.log.exists() else []

    def finish(self) -> None:
        """Everything that is missing, undisturbed; then once more, when nothing may be missing."""
        before = len(self._requests())
        for _ in range(2):
            run = self._start()
            self._wait(run, RUN_S)
            if run.poll() != 0:
                self.outcome.wrong.append(f"an undisturbed run ended with {run.poll()}")
                self._await_end(run)
        wanted = self._expected()
        self._check(before)
        self.outcome.samples = len(self._finished)
        if len(self._finished) < wanted:
            other = sorted(
                {f"{s['status']}: {s['error']}" for s in self.project.sample_files("soak").values() if s["error"]}
            )
            self.outcome.wrong.append(
                f"only {len(self._finished)} of {wanted} samples after an undisturbed run {other}"
            )
        if temporary := list((self.project.folder / "results").rglob("*.tmp")):
            print(f"temporary files of killed writers: {len(temporary)}", flush=True)


def _asked_part(content: bytes) -> dict[str, object]:
    """A sample without the time of its tool: where other programs disturbed the tool, a later run of it replaces that."""
    return {name: value for name, value in json.loads(content).items() if name not in ("tool_s", "tool_other_cpu_s")}


def _key(sample: dict[str, Any]) -> str:
    return f"{sample['request']['prompt_sha256']} {sample['seed']}"


class RecordingOllama(FakeOllama):
    """A fake that notes each measured request in a file before it answers."""

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, list[dict[str, Any]], float]:
        if path == "/api/chat" and (log := os.environ.get(REQUEST_LOG)):
            asked = json.loads(body)
            content = asked["messages"][0]["content"]
            if (prompt := NONCE.sub("", content)) != content:
                with open(log, "a", encoding="utf-8") as file:
                    file.write(f"{hashlib.sha256(prompt.encode()).hexdigest()} {asked['options']['seed']}\n")
        return super().reply(method, path, body)


async def _serve() -> None:
    port = int(os.environ["OLLAMA_HOST"].rpartition(":")[2])
    await RecordingOllama([MODEL["fake"]], port, LATENCY_S).listen()
    await asyncio.Event().wait()


def soak(kills: int, seed: int, server: str, folder: Path, limit_s: float = float("inf")) -> Outcome:
    """Kill `kills` times, or until the time is up; then let a run complete."""
    weights = None
    if server == "embedded":
        from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model
        from ai_dev_tools.benchmark.endpoints.embedded.weights import fetch_weights

        model = find_model("smollm2:135m", ROOT)
        weights = fetch_weights(model, ROOT / model.path)
    started = time.monotonic()
    task = Soak(folder, server, seed, weights)
    try:
        left = kills
        while left > 0 and time.monotonic() - started < limit_s:
            left -= task.round(left)
            print(
                f"{kills - left}/{kills} kills, {len(task._finished)} samples, {len(task.outcome.wrong)} wrong",
                flush=True,
            )
        task.finish()
    finally:
        for process in task._processes("everything"):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    task.outcome.seconds = time.monotonic() - started
    return task.outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", choices=["fake", "embedded"], default="fake")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work in this new folder and keep it")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(_serve())
        return 0
    with tempfile.TemporaryDirectory(prefix="kill-loop-", ignore_cleanup_errors=True) as temporary:
        folder = given.keep or Path(temporary) / "project"
        folder.mkdir(parents=True)
        outcome = soak(given.kills, given.seed, given.server, folder.resolve())
    print(outcome)
    for line in outcome.wrong:
        print(f"wrong: {line}")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
