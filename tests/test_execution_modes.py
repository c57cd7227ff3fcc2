"""How many requests are in flight, counted at the servers, on a plain `snakemake` and for instances a user adds."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.faulty_proxy import NONCE
from fakes.ollama import FakeOllama
from workflow_project import Project

SLOTS = 3


class Counting(FakeOllama):
    """A fake that notes when each measured request was there."""

    def __init__(self, model: str) -> None:
        super().__init__([model])
        self.spans: list[tuple[float, float]] = []
        self._noting = threading.Lock()

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, list[dict[str, Any]], float]:
        known = len(self.requests)
        answer = super().reply(method, path, body)
        if len(self.requests) > known and NONCE.match(self.requests[-1]["messages"][0]["content"]):
            now = time.monotonic()
            with self._noting:
                self.spans.append((now, now + self.latency_s))
        return answer


def most_at_once(*servers: Counting) -> int:
    """The largest number of requests that were with the servers at one time."""
    spans = [span for server in servers for span in server.spans]
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Counting, Counting]]:
    with Counting("one:1b") as first, Counting("two:1b") as second:
        yield first, second


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, servers: tuple[Counting, Counting]) -> Iterator[Project]:
    project = Project.create(tmp_path_factory.mktemp("modes"))
    first, second = servers
    with (project.folder / "config/config.yaml").open("a", encoding="utf-8") as config:
        config.write(
            f"  mine:\n    description: a user's own\n    samples: 4\n    sizes: [S]\n    max_concurrent: {SLOTS}\n"
            f"    endpoint: external\n    instances:\n"
            f"      a: {{model: 'one:1b', host: 127.0.0.1, port: {first.port}}}\n"
            f"      b: {{model: 'two:1b', host: 127.0.0.1, port: {second.port}}}\n"
        )
    yield project
    project.clean_up()


@pytest.mark.parametrize(
    ("mode", "latency_s", "per_server", "together"),
    [
        ("sequential", 0.1, 1, {1}),
        ("parallel", 0.5, 1, {2}),
        ("async", 1.5, SLOTS, set(range(SLOTS + 1, 2 * SLOTS + 1))),
    ],  # slow enough that the two blocks, of 6 s each, overlap however late one of them begins
)
def test_a_mode_holds_on_a_plain_snakemake(
    project: Project,
    servers: tuple[Counting, Counting],
    mode: str,
    latency_s: float,
    per_server: int,
    together: set[int],
) -> None:
    shutil.rmtree(project.folder / "results" / "mine", ignore_errors=True)
    for server in servers:
        server.spans.clear()
        server.latency_s = latency_s
    project.run("run", profile="mine", tasks="systematic_fix", execution_mode=mode)
    assert [len(server.spans) for server in servers] == [12, 12]
    assert [most_at_once(server) for server in servers] == [per_server, per_server]
    assert most_at_once(*servers) in together
    noted = {sample["in_flight"] for sample in project.sample_files("mine").values()}
    assert max(noted) == per_server, "each sample says how many were under way"
