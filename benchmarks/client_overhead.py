"""What the client adds to a request: the duration it sees minus the server's `total_duration`. At most 3 ms (median).

    python benchmarks/client_overhead.py                              # starts the embedded model
    python benchmarks/client_overhead.py --url http://127.0.0.1:11434 --model llama3.2:1b

Short answers over a kept connection, one after another; each through the same code as a measured request.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import ExitStack

from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
from ai_dev_tools.benchmark.endpoints.embedded import DEFAULT_MODEL
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model
from ai_dev_tools.benchmark.endpoints.embedded.weights import fetch_weights
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient, Reply
from ai_dev_tools.benchmark.endpoints.resource_use import ResourceMonitor

PROMISED_MS = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running server instead of the embedded endpoint")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--requests", type=int, default=100)
    given = parser.parse_args()
    with ExitStack() as stack:
        weights = None
        if not given.url:
            model = find_model(given.model)
            weights = str(fetch_weights(model, model.path))
        spec = EndpointSpec(kind=given.url or "embedded", model=given.model, model_file=weights)
        endpoint = stack.enter_context(open_endpoint(spec))
        client = OllamaClient(endpoint.base_url, 1, endpoint.headers)
        meter = ResourceMonitor(endpoint.pid)
        added, cpu = [], []
        for number in range(-5, given.requests):
            body = {
                "model": endpoint.model,
                "messages": [{"role": "user", "content": f"Request {number + 5:08d}\n\nSay hello."}],
                "options": {"num_predict": 4, "temperature": 0, "seed": number + 5, "num_ctx": 8192},
                "truncate": False,
                "shift": False,
            }
            reply, before = Reply(), time.process_time()
            with meter.measuring():
                client.chat(body, 60, reply)
            if number >= 0:
                added.append(1000 * reply.duration_s - reply.final["total_duration"] / 1e6)
                cpu.append(1000 * (time.process_time() - before))
        meter.close()
    quantiles = statistics.quantiles(added, n=20)
    median = statistics.median(added)
    print(
        f"{endpoint.kind} endpoint, {len(added)} requests: client's duration minus total_duration:"
        f" median {median:.2f} ms, 5 % to 95 % {quantiles[0]:.2f} to {quantiles[-1]:.2f} ms;"
        f" CPU of the client, metering included: median {statistics.median(cpu):.2f} ms a request"
    )
    if median > PROMISED_MS:
        print(f"more than the {PROMISED_MS:g} ms that are promised")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
