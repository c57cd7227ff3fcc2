"""What a request costs in each dialect: the time that the client adds, and the CPU of 576 requests.

    python benchmarks/dialects.py [--requests 576]

A labelled fake in a process of its own sends a ready-made answer at once. The dialects take turns within one run, so that their
ratio says something on a busy machine too.

- What a request takes there is what client, loopback and fake add: at most 3 ms (median).
- CPU of this process per request of a block, storing included: no more in OpenAI's dialect than in Ollama's, within noise.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ai_dev_tools.benchmark.endpoints import EndpointSpec
from ai_dev_tools.benchmark.endpoints.chat import Chat, Reply
from ai_dev_tools.benchmark.endpoints.dialects import DIALECTS
from ai_dev_tools.benchmark.execution import run_block
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.records.block import Block

REPO = Path(__file__).parents[1]
ROUNDS = 6
PROMISED_MS = 3.0
SCHEMA = {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"]}
PROMPT = "Which colour has the sky? " * 60
FAKE = """
import sys
sys.path[:0] = [sys.argv[1]]
from fakes.plain_wire import serve
serve()
"""


def chat(model: str, number: int) -> Chat:
    options = {"num_predict": 8, "temperature": 0.0, "seed": number, "num_ctx": 8192}
    return Chat(model, f"Request {number:08d}\n\n{PROMPT}", SCHEMA, options, None)


@contextmanager
def fake() -> Iterator[str]:
    """A labelled fake in a process of its own; both dialects get the same answer in as many pieces."""
    process = subprocess.Popen(
        [sys.executable, "-c", FAKE, str(REPO / "tests")], stdout=subprocess.PIPE, text=True, cwd=REPO
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def cpu_per_request(url: str, requests: int) -> dict[str, list[float]]:
    """CPU milliseconds of this process per request, round and dialect, storing included; the dialects take turns."""
    spent: dict[str, list[float]] = {api: [] for api in DIALECTS}
    each = max(1, requests // 2)  # two arms
    for round_ in range(ROUNDS):
        for api in list(DIALECTS) if round_ % 2 else list(DIALECTS)[::-1]:
            with tempfile.TemporaryDirectory() as folder:
                asked = a_block(folder, url, api, each)
                prompts = {(case, arm): prompt(case, arm) for case in asked.cases for arm in asked.approaches}
                before = time.process_time()
                samples = run_block(asked, prompts, lambda _: None, threading.Event())
                spent[api].append(1000 * (time.process_time() - before) / len(samples))
                assert all(sample.status == "completed" for sample in samples)
    return spent


def ratio(cpu: dict[str, list[float]]) -> float:
    """OpenAI's CPU per request relative to Ollama's: the median of rounds, each against its neighbour."""
    return statistics.median(one / other for one, other in zip(cpu["openai"], cpu["ollama"], strict=True))


def a_block(folder: str, url: str, api: str, samples: int) -> Block:
    spec = EndpointSpec(kind=url, api=api, instance="fake", model="fake:1b", startup_timeout_s=5)
    return Block(
        profile="fake", results=folder, instance="fake", model="fake:1b", task="colours", cases=["one", "two", "three"],
        samples=samples, approaches=["baseline", "tools"],
        options={"temperature": 0.0, "num_ctx": 8192, "num_predict": 512}, think=None, timeout_s=30.0, attempts=1,
        retry="default", round=0, plan=None, run_requests=2 * samples, endpoint=spec,
    )  # fmt: skip


def prompt(case: str, arm: str) -> Prompt:
    text = f"{PROMPT} {case} {arm}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Prompt(
        task="colours", case=case, cluster=case, size="S", approach=arm, prompt=text, prompt_sha256=digest,
        answer_schema=SCHEMA, scoring=[{"field": "colour", "scorer": "choice", "weight": 1.0}], truth={"colour": "red"},
        stratum="",
    )  # fmt: skip


def added_ms(url: str, requests: int) -> dict[str, float]:
    """Milliseconds that a request takes where nothing is computed, per dialect: the median."""
    clients = {api: client(url) for api, client in DIALECTS.items()}
    added: dict[str, list[float]] = {api: [] for api in clients}
    for number in range(-5, requests):
        for api, client in clients.items():
            reply = Reply()
            client.ask(chat("fake:1b", number + 5), 30, reply)
            if number >= 0:
                added[api].append(1000 * reply.duration_s)
    return {api: statistics.median(values) for api, values in added.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=576, help="requests per dialect and round")
    given = parser.parse_args()
    with fake() as url:
        added = added_ms(url, given.requests)
        cpu = cpu_per_request(url, given.requests)
    for api in DIALECTS:
        print(
            f"{api:7s} {added[api]:5.2f} ms added to a request (median); CPU with storing {min(cpu[api]):5.2f} ms a request"
        )
    best = min(cpu["openai"]) / min(cpu["ollama"])
    time_ratio = added["openai"] / added["ollama"]
    print(
        f"openai / ollama: time {time_ratio:.2f}, CPU {ratio(cpu):.2f} (median of {ROUNDS} rounds), {best:.2f} (best of each)"
    )
    return 1 if added["openai"] > PROMISED_MS else 0


if __name__ == "__main__":
    raise SystemExit(main())
