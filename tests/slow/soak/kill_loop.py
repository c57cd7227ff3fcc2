"""Kills processes of a real run at random, again and again, and checks that nothing is lost, repeated or left behind.

    python tests/slow/soak/kill_loop.py --kills 500 --seed 7              a labelled fake Ollama, started as `ollama serve`
    python tests/slow/soak/kill_loop.py --kills 100 --server embedded     the real embedded model
    python tests/slow/soak/kill_loop.py --kills 50 --server agents        the fake, asked by the agent, also with an MCP server
    python tests/slow/soak/kill_loop.py --kills 50 --server programs      the fake, asked by a program in its sandbox

Each round starts the workflow and kills one kind of process (Snakemake, a block's job, the block, the worker that blocks
start from, the server, its guard, or all at once) with SIGKILL, SIGTERM or SIGINT after a random time, until the run has
ended. Then it looks:
every finished sample is there, unchanged but for the time of a tool that others disturbed; the server was not asked for any of
them again; episodes have all their turns; no process (of the run, of a tool, of an agent) and no port is left. At the end one
undisturbed run must complete.
The same seed draws the same kills, but not the same moments.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
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

from ai_dev_tools.benchmark._util.scratch import OWNER, PREFIX
from slow.soak import recording_ollama
from slow.soak.kinds import KINDS, write_agent, write_tool
from slow.soak.recording_ollama import PLAYS, REQUEST_LOG
from support.repository import ROOT
from support.workflow_project import Project

MARK = "KILL_LOOP_RUN"
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
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
        self.kind = KINDS[server]
        self.samples = self.kind.more
        self.log = folder / "requests.log"
        self._finished: dict[str, bytes] = {}
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self.mark = f"{folder.name}-{os.getpid()}-{seed}"
        programs = folder / "programs"
        programs.mkdir()
        ollama = programs / "ollama"
        ollama.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{recording_ollama.__file__}"\n')
        ollama.chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.scratch = tempfile.mkdtemp(prefix="soak-")  # short: there are sockets in it
        plays = {PLAYS: "1"} if server == "agents" else {}
        self.environment = {
            **os.environ,
            MARK: self.mark,
            REQUEST_LOG: str(self.log),
            "PATH": path,
            "TMPDIR": self.scratch,
            **plays,
        }
        write_tool(folder / "config" / "tools")
        write_agent(folder)
        with (folder / "config" / "config.yaml").open("a", encoding="utf-8") as config:
            config.write(self.kind.profile(self.port))

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
                self.project.command(
                    "run",
                    profile="soak",
                    tasks=self.kind.tasks,
                    samples=self.samples,
                    retry_attempts=2,
                    **self.kind.settings,
                ),
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
        return self.draw.choices(list(self.kind.killed), list(self.kind.killed.values()))[0]

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
        names = {"job": "start_block.py", "guard": "endpoints.guard", "server": "recording_ollama.py"}
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
        while (left := self._left()) and time.monotonic() < deadline:
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
        self.outcome.wrong += [
            problem for name, content in now.items() if (problem := self._wrong_turns(name, content))
        ]
        known = {_key(json.loads(content)) for content in self._finished.values()}
        self.outcome.wrong += [f"asked again: {key}" for key in self._requests()[asked_before:] if key in known]
        self._finished = now
        if len(now) >= self._expected():
            self.samples += self.kind.more  # something to do for the next round

    def _expected(self) -> int:
        return self.samples * self.kind.samples_at_once

    def _left(self) -> list[psutil.Process]:
        """Processes of the run, and of its tools and agents: these know nothing of the run but paths below its folder."""
        found = {process.pid: process for process in self._processes("everything")}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                known = process.environ().values() if process.status() != psutil.STATUS_ZOMBIE else ()
                if process.pid != os.getpid() and any(str(self.project.folder) in value for value in known):
                    found[process.pid] = process
        return list(found.values())

    def _wrong_turns(self, name: str, content: bytes) -> str:
        """What is wrong with the turns of a finished episode; empty if nothing is."""
        sample = json.loads(content)
        turns, wanted = sample.get("turns", []), self.kind.turns[sample["approach"]]
        if len(turns) != wanted:
            return f"{name} has {len(turns)} turns instead of {wanted}"
        if turns and sum(turn["input_tokens"] for turn in turns) != sample["input_tokens"]:
            return f"the turns of {name} do not add up"
        return ""

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
        if left := sorted(path.parent.name for path in Path(self.scratch).glob(f"{PREFIX}*/{OWNER}")):
            self.outcome.wrong.append(f"temporary folders of programs that were killed: {left}")
        if temporary := list((self.project.folder / "results").rglob("*.tmp")):
            print(f"temporary files of killed writers: {len(temporary)}", flush=True)


def _asked_part(content: bytes) -> dict[str, object]:
    """A sample without the time of its tool: where other programs disturbed the tool, a later run of it replaces that."""
    return {name: value for name, value in json.loads(content).items() if name not in ("tool_s", "tool_other_cpu_s")}


def _key(sample: dict[str, Any]) -> str:
    return f"{sample['request']['prompt_sha256']} {sample['seed']}"


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
        for process in task._left():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        shutil.rmtree(task.scratch, ignore_errors=True)  # what killed runs could not remove
    task.outcome.seconds = time.monotonic() - started
    return task.outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", choices=[*KINDS], default="fake")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work in this new folder and keep it")
    given = parser.parse_args()
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
