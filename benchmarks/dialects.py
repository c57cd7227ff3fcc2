"""What a request costs in each dialect: the time that the client adds, and the CPU of 576 requests.

    python benchmarks/dialects.py [--requests 576] [--model-requests 40]

Two things are measured, each dialect in turn within one run, so that their ratio says something on a busy machine too:

- at the embedded model: the duration that the client sees minus what the server says that it computed. At most 3 ms more in
  OpenAI's dialect than in Ollama's, whose own overhead `client_overhead.py` measures (its server tells its whole time);
- at a labelled fake that answers at once, as a process of its own: CPU seconds of this process per request of a block, storing
  included. No more in OpenAI's dialect than in Ollama's, within the noise of some percent.
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

from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
from ai_dev_tools.benchmark.endpoints.chat import Chat, Reply
from ai_dev_tools.benchmark.endpoints.dialects import DIALECTS
from ai_dev_tools.benchmark.endpoints.embedded import DEFAULT_MODEL
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model
from ai_dev_tools.benchmark.endpoints.embedded.weights import fetch_weights
from ai_dev_tools.benchmark.execution import run_block
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.records.block import Block

REPO = Path(__file__).parents[1]
ROUNDS = 3
PROMISED_MS = 3.0
SCHEMA = {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"]}
PROMPT = "Which colour has the sky? " * 60
FAKE = """
import sys
sys.path[:0] = [sys.argv[1]]
from fakes.plain_wire import serve
serve()
"""


def chat(model: str, number: int, prompt: str = PROMPT) -> Chat:
    options = {"num_predict": 8, "temperature": 0.0, "seed": number, "num_ctx": 8192}
    return Chat(model, f"Request {number:08d}\n\n{prompt}", SCHEMA, options, None)


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


def cpu_per_request(url: str, requests: int) -> dict[str, float]:
    """CPU milliseconds of this process per request and dialect, storing included: the best of rounds that take turns."""
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
    return {api: min(rounds) for api, rounds in spent.items()}


def a_block(folder: str, url: str, api: str, samples: int) -> Block:
    spec = {
        "kind": url,
        "api": api,
        "instance": "fake",
        "model": "fake:1b",
        "max_concurrent": 1,
        "startup_timeout_s": 5,
    }
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


def added_ms(requests: int) -> dict[str, float]:
    """Milliseconds beyond what llama.cpp computed, per dialect: the median over requests that take turns."""
    model = find_model(DEFAULT_MODEL)
    spec = EndpointSpec(kind="embedded", model=DEFAULT_MODEL, model_file=str(fetch_weights(model, model.path)))
    with open_endpoint(spec) as endpoint:
        clients = {api: client(endpoint.base_url) for api, client in DIALECTS.items()}
        added: dict[str, list[float]] = {api: [] for api in clients}
        for number in range(-2, requests):
            for api, client in clients.items():
                reply = Reply()
                client.ask(chat(endpoint.model, number + 2, "Say red."), 60, reply)
                computed = reply.final["prompt_eval_duration"] + reply.final["eval_duration"]
                if number >= 0:
                    added[api].append(1000 * reply.duration_s - computed / 1e6)
    return {api: statistics.median(values) for api, values in added.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=576, help="requests per dialect to the fake")
    parser.add_argument("--model-requests", type=int, default=40, help="requests per dialect to the embedded model")
    given = parser.parse_args()
    with fake() as url:
        cpu = cpu_per_request(url, given.requests)
    added = added_ms(given.model_requests)
    for api in DIALECTS:
        print(f"{api:7s} CPU of the client {cpu[api]:6.3f} ms a request; beyond what is computed {added[api]:6.2f} ms")
    more_ms = added["openai"] - added["ollama"]
    print(f"openai / ollama: CPU {cpu['openai'] / cpu['ollama']:.2f}; {more_ms:+.2f} ms beyond what is computed")
    return 1 if more_ms > PROMISED_MS else 0


if __name__ == "__main__":
    raise SystemExit(main())
