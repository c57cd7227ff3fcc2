"""CPU time and memory around episodes: 576 episodes of 5 turns at a labelled fake of 0 ms. At most 25 CPU seconds.

    python benchmarks/episodes.py                     # 576 episodes; about a minute on two cores
    python benchmarks/episodes.py --episodes 10000    # whether memory stays flat

The fake runs in a process of its own and is not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from ai_dev_tools.benchmark.execution import ask_block
from fakes.agent_model import action, answer, in_turn, playing
from fakes.ollama import FakeOllama
from support.episodes import episode_prompts
from support.making import block

PROMISED_S = 25.0
PROMISED_FOR = 576
RED = {"colour": "red"}
TURNS = (
    action("list_files", path=""),
    action("search", pattern="COLOUR", path=""),
    action("read_file", path="sky.py", start=1),
    action("read_file", path="sea.py", start=1),
    answer(RED),
)


def serve(link: Connection) -> None:
    with FakeOllama(["fake:1b"]) as fake:
        fake.keep = False
        fake.converse = playing(in_turn(*TURNS), last=RED)
        link.send(fake.url)
        link.recv()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=PROMISED_FOR)
    given = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        cases = [f"case{number}" for number in range(24)]
        endpoint = {"kind": url, "instance": "small", "model": "fake:1b", "max_concurrent": 4, "startup_timeout_s": 5}
        wanted = block(
            results=folder, endpoint=endpoint, approaches=["agent"], cases=cases, samples=given.episodes,
        )  # fmt: skip
        prompts = episode_prompts(wanted)
        before, started, first = _cpu_s(), time.perf_counter(), _memory_mb()
        work = ask_block(wanted, prompts, lambda line: None, threading.Event())
        turns = episodes = 0
        for sample in work.samples():
            episodes, turns = episodes + 1, turns + len(sample.turns)
        spent, wall, last = _cpu_s() - before, time.perf_counter() - started, _memory_mb()
    ours.send(None)
    print(
        f"{episodes} episodes, {turns} turns: {spent:.1f} CPU s ({1000 * spent / turns:.2f} ms a turn), {wall:.1f} s; "
        f"memory {first:.0f} to {last:.0f} MB"
    )
    if spent > PROMISED_S * episodes / PROMISED_FOR:
        print(f"more than the {PROMISED_S:g} s for {PROMISED_FOR} episodes that are promised")
        return 1
    return 0


def _cpu_s() -> float:
    return sum(os.times()[:2])


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    raise SystemExit(main())
