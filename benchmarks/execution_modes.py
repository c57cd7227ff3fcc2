"""How much wall time `execution_mode=async` saves over `sequential`, through the real workflow.

    python benchmarks/execution_modes.py                  # a labelled fake endpoint: 0.5 s for each answer, 4 slots
    python benchmarks/execution_modes.py --server embedded    # the real embedded model with 4 slots

On the fake at least 60 % less is promised: it stands for a server that has room for four at once. On a CPU the requests
share the cores, so that little is to be gained: that figure is reported, not promised.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fakes.ollama import FakeOllama
from support.repository import ROOT as REPO
from support.workflow_project import Project

MODEL = {"fake": "fake:1b", "embedded": "smollm2:135m"}
PROMISED = 0.60


def profile(server: str, port: int, slots: int, samples: int) -> str:
    """A hardware profile as text, to be appended to the config."""
    kind = "external" if server == "fake" else "embedded"
    return (
        f"  modes:\n    description: benchmark of execution modes\n    samples: {samples}\n    sizes: [S]\n"
        f"    endpoint: {kind}\n    max_concurrent: {slots}\n    task_timeout: 300\n"
        f"    instances:\n      modes: {{model: '{MODEL[server]}', host: 127.0.0.1, port: {port}}}\n"
    )


def measuring_s(samples: list[dict[str, Any]]) -> float:
    """Seconds from sending the first request of each session to the last answer of it, sessions added up."""
    total = 0.0
    for session in {sample["session"] for sample in samples}:
        mine = [sample for sample in samples if sample["session"] == session]
        begun = [datetime.fromisoformat(sample["started_at"]).timestamp() for sample in mine]
        ended = [start + sample["duration_s"] for start, sample in zip(begun, mine, strict=True)]
        total += max(ended) - min(begun)
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=["fake", "embedded"], default="fake")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument(
        "--samples", type=int, help="samples per arm (default: 16 on the fake, 6 on the embedded model)"
    )
    parser.add_argument("--latency", type=float, default=0.5, help="seconds for each answer of the fake")
    given = parser.parse_args()
    samples = given.samples or (16 if given.server == "fake" else 6)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modes-"))) / "project"
        port, weights = 11434, None  # the embedded endpoint takes a free one
        if given.server == "fake":
            port = stack.enter_context(FakeOllama([MODEL["fake"]], latency_s=given.latency)).port
        else:
            from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model
            from ai_dev_tools.benchmark.endpoints.embedded.weights import fetch_weights

            model = find_model("smollm2:135m", REPO)
            weights = fetch_weights(model, REPO / model.path)
        folder.mkdir()
        project = Project.create(folder, weights)
        with (folder / "config/config.yaml").open("a", encoding="utf-8") as config:
            config.write(profile(given.server, port, given.slots, samples))
        project.run("results/prompts/systematic_fix.jsonl", profile="modes", tasks="systematic_fix")
        span, wall = {}, {}
        for mode in ("sequential", "async"):
            shutil.rmtree(folder / "results" / "modes", ignore_errors=True)
            started = time.perf_counter()
            project.run("run", profile="modes", tasks="systematic_fix", execution_mode=mode)
            wall[mode] = time.perf_counter() - started
            answers: list[dict[str, Any]] = list(project.sample_files("modes").values())  # type: ignore[arg-type]
            span[mode] = measuring_s(answers)
            latency = statistics.median(answer["duration_s"] for answer in answers)
            print(
                f"{mode:>10}: {len(answers)} requests in {span[mode]:.1f} s of measuring,"
                f" {wall[mode]:.1f} s for the whole command; one request takes {latency:.2f} s (median)"
            )
    saved = 1 - span["async"] / span["sequential"]
    less_or_more = "less" if saved > 0 else "more"
    print(
        f"{given.server} endpoint, {given.slots} slots: async takes {abs(saved):.0%} {less_or_more} time"
        f" (whole command: {wall['async'] / wall['sequential'] - 1:+.0%})"
    )
    if given.server == "fake" and saved < PROMISED:
        print(f"less than the {PROMISED:.0%} that is promised")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
