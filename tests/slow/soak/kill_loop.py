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
import asyncio
import hashlib
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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from ai_dev_tools.benchmark.prompts.containment import bubblewrap_problem
from fakes import agent_program
from fakes.agent_model import Message, action, only_answers
from fakes.faulty_proxy import NONCE
from fakes.ollama import FakeOllama, smallest_answer
from support.repository import ROOT
from support.workflow_project import Project

MARK = "KILL_LOOP_RUN"
REQUEST_LOG = "KILL_LOOP_REQUESTS"
PLAYS = "KILL_LOOP_PLAYS"
KINDS = {"snakemake": 2, "job": 3, "block": 3, "worker": 1, "server": 4, "guard": 1, "everything": 2}
"""What is killed, and how often relative to the others."""
AROUND_AGENTS = {"snakemake": 2, "job": 2, "block": 4, "server": 1, "everything": 2}
"""The same where agents are asked: what was above them, so that they could be left behind."""


@dataclass(frozen=True)
class Kind:
    """What is asked in a soak.

    Attributes:
        more: samples per arm to begin with, and more of them each time that all are there.
        turns: how many turns the episodes of an arm have; none: an arm of single prompts.
        settings: of the run, besides.
        killed: what is killed, and how often relative to the others.
    """

    endpoint: str = "process"
    model: str = "fake:1b"
    tasks: str = "systematic_fix"
    more: int = 2
    turns: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(("baseline", "tools", "no_context"), 0))
    settings: Mapping[str, object] = field(default_factory=dict)
    killed: Mapping[str, int] = field(default_factory=lambda: KINDS)

    @property
    def samples_at_once(self) -> int:
        """Samples that one more per arm means."""
        return len(self.turns) * len(self.tasks.split(","))


SANDBOX = "none" if bubblewrap_problem() else "bubblewrap"
AGENTS = "agent,agent-none"
KINDS_OF_SOAK = {
    "fake": Kind(tasks="safety_assessment,systematic_fix", more=6),
    "embedded": Kind(endpoint="embedded", model="smollm2:135m"),
    "agents": Kind(
        more=4, turns={"agent": 3, "agent-none": 1, "agent-quick": 3}, killed=AROUND_AGENTS,
        settings={"approaches": AGENTS, "tools": "quick"},
    ),
    "programs": Kind(
        more=6, turns={"agent": 2, "agent-none": 1}, killed=AROUND_AGENTS,
        settings={"approaches": AGENTS, "agent": f"{{program: scripted, sandbox: {SANDBOX}}}"},
    ),
}  # fmt: skip
QUICK_SERVER = """
import json, sys

tool = {"name": "lookup", "description": "Finds a name.", "inputSchema": {"type": "object", "properties": {}}}
results = {
    "initialize": {
        "protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "quick", "version": "1"},
    },
    "tools/list": {"tools": [tool]},
    "tools/call": {"content": [{"type": "text", "text": "found nothing"}]},
}
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("method") in results:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": results[asked["method"]]}), flush=True)
"""
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
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
        self.kind = KINDS_OF_SOAK[server]
        self.samples = self.kind.more
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
        _write_tool(folder / "config" / "tools")
        _write_agent(folder)
        with (folder / "config" / "config.yaml").open("a", encoding="utf-8") as config:
            config.write(self._profile())

    def _profile(self) -> str:
        return (
            f"  soak:\n    description: killed again and again\n    samples: 1\n    sizes: [S]\n"
            f"    endpoint: {self.kind.endpoint}\n    max_concurrent: 2\n    task_timeout: 600\n"
            f"    instances:\n      soak: {{model: '{self.kind.model}', host: 127.0.0.1, port: {self.port}}}\n"
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
        if temporary := list((self.project.folder / "results").rglob("*.tmp")):
            print(f"temporary files of killed writers: {len(temporary)}", flush=True)


def _write_tool(folder: Path) -> None:
    """A tool with an MCP server that starts at once."""
    (folder / "quick_server.py").write_text(QUICK_SERVER)
    server = {"mcp": {"command": ["{python}", "{tool_dir}/quick_server.py"]}}
    about = {"id": "quick", "description": "LABELLED FAKE", "install": "comes with the test", "agent": server}
    (folder / "quick.yaml").write_text(json.dumps(about))


def _write_agent(folder: Path) -> None:
    """The labelled, scripted third-party agent, installed where agents are."""
    place = folder / "resources" / "agents" / "scripted"
    place.mkdir(parents=True)
    shutil.copy(agent_program.__file__, place)
    words = ["ask+look+chat+answer", "{base_url}", "{model}", "{question_file}", "{answer_file}"]
    command = [sys.executable, "{folder}/agent_program.py", *words]
    about = {"id": "scripted", "description": "LABELLED FAKE", "install": "comes with the test", "command": command}
    (folder / "config" / "agents" / "scripted.yaml").write_text(json.dumps(about))


def _converse(conversation: Sequence[Message], schema: Any) -> str:
    """Looks twice, and answers the smallest that the task allows."""
    turn = sum(message["role"] == "assistant" for message in conversation)
    if turn > 1 or only_answers(schema):
        return smallest_answer("", schema)
    looks_up = turn == 0 and '"action":"lookup"' in conversation[0]["content"]
    return json.dumps(action("lookup") if looks_up else action("list_files", path=""))


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
    server = RecordingOllama([KINDS_OF_SOAK["fake"].model], port, LATENCY_S)
    server.converse = _converse if os.environ.get(PLAYS) else None
    await server.listen()
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
    parser.add_argument("--server", choices=[*KINDS_OF_SOAK], default="fake")
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
