"""How many requests are in flight, counted at the servers, on a plain `snakemake` and for instances a user adds."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator

import pytest

from fakes.ollama import FakeOllama
from support.workflow_project import Project

SLOTS = 3


class Pair:
    """Two servers, and the largest number of requests that were with both at one time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.servers = [Counting("one:1b", self), Counting("two:1b", self)]
        self.together = 0

    def begin(self, waiting_for: int) -> None:
        """Count anew; no request is answered before so many were with each server at once."""
        self.together = 0
        for server in self.servers:
            server.measured = server.most_at_once = 0
            server.gate = lambda: all(server.most_at_once >= waiting_for for server in self.servers)


class Counting(FakeOllama):
    """One of a pair of fakes."""

    def __init__(self, model: str, pair: Pair) -> None:
        super().__init__([model])
        self._pair = pair

    def arrived(self) -> None:
        with self._pair.lock:
            super().arrived()
            self._pair.together = max(self._pair.together, sum(server.here for server in self._pair.servers))

    def left(self) -> None:
        with self._pair.lock:
            super().left()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    pair = Pair()
    with pair.servers[0], pair.servers[1]:
        yield pair


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> Iterator[Project]:
    project = Project.create(tmp_path_factory.mktemp("modes"))
    first, second = pair.servers
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
    ("mode", "waiting_for", "per_server", "together"),
    [("sequential", 0, 1, 1), ("parallel", 1, 1, 2), ("async", SLOTS, SLOTS, 2 * SLOTS)],
)
def test_a_mode_holds_on_a_plain_snakemake(
    project: Project, pair: Pair, mode: str, waiting_for: int, per_server: int, together: int
) -> None:
    shutil.rmtree(project.folder / "results" / "mine", ignore_errors=True)
    pair.begin(waiting_for)
    project.run("run", profile="mine", tasks="systematic_fix", execution_mode=mode)
    assert [server.measured for server in pair.servers] == [12, 12]
    assert [server.most_at_once for server in pair.servers] == [per_server, per_server]
    assert pair.together == together
    noted = {sample["in_flight"] for sample in project.sample_files("mine").values()}
    assert max(noted) == per_server, "each sample says how many were under way"
