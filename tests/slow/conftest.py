"""Settings of podman for all slow tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ai_dev_tools.benchmark.agents import sandbox

LIMITS = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
"""


@pytest.fixture(scope="module", autouse=True)
def modest_podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Limits that Podman may also set inside another container, unless the machine has settings of its own."""
    with pytest.MonkeyPatch.context() as patch:
        if "CONTAINERS_CONF" not in os.environ:
            file = tmp_path_factory.mktemp("podman") / "containers.conf"
            file.write_text(LIMITS)
            patch.setenv("CONTAINERS_CONF", str(file))
        sandbox._podman_problem.cache_clear()
        yield
        sandbox._podman_problem.cache_clear()
