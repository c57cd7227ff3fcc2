"""Shared fixtures: the pinned weights and one embedded endpoint for the whole session."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ai_dev_tools.benchmark.endpoints import EndpointSpec, ReadyEndpoint, open_endpoint
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model
from ai_dev_tools.benchmark.endpoints.embedded.weights import fetch_weights
from support import rendered_once
from support.registries import registered_for_a_while

ROOT = Path(__file__).parents[1]
pytest_plugins = ["support.third_party_agents"]
LONGEST_FIRST = (
    *("workflow", "endpoints", "conformance"),
    *(f"unit/{room}" for room in ("execution", "prompts", "agents", "endpoints", "tasks")),
    *(f"unit/{room}" for room in ("comparison", "archive", "reporting", "analysis", "records")),
)
"""Folders whose files are given out first: those that start programs, those that wait, those that compute; then short ones."""

# The same examples for everybody, so that a commit is either good or not; new ones are looked for with HYPOTHESIS_PROFILE=explore.
# A slow machine is no reason to fail.
ANY_SPEED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **ANY_SPEED)
settings.register_profile("explore", print_blob=True, **ANY_SPEED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--endpoint-url", help="run tests/conformance against this Ollama instead of the embedded endpoint")
    group.addoption("--endpoint-model", help="model to ask there (default: the first that it lists)")


def pytest_configure(config: pytest.Config) -> None:
    # A shell lets what it starts in the background ignore SIGINT, and so would all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "slow: takes long, or needs podman, Slurm or Chromium; run by `make test-slow`")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What collecting leaves lives to the end: looking through it for garbage again and again is a third of the work."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no process is left alone with it at the end (`--no-loadscope-reorder`)."""
    items.sort(
        key=lambda item: LONGEST_FIRST.index(room) if (room := _room(item)) in LONGEST_FIRST else len(LONGEST_FIRST)
    )


def _room(item: pytest.Item) -> str:
    return "/".join(item.path.relative_to(Path(__file__).parent).parts[:-1])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is installed (CI_REQUIRE_ALL=1), a slow test that is skipped for want of some has failed."""
    report = yield
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and item.get_closest_marker("slow")
        and nothing_may_be_skipped()
    ):
        report.outcome = "failed"
        report.longrepr = (
            f"skipped, although CI_REQUIRE_ALL=1 says that all is installed: {call.excinfo and call.excinfo.value}"
        )
    return report


def nothing_may_be_skipped() -> bool:
    """Whether the machine is one that must have podman, Slurm and Chromium."""
    return os.environ.get("CI_REQUIRE_ALL", "") not in ("", "0")


@pytest.fixture(scope="session", autouse=True)
def rendered_templates() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        rendered_once.use(patch)
        yield


@pytest.fixture(autouse=True)
def own_registrations() -> Iterator[None]:
    """What a test registers, directly or by loading plugins, is gone for the next one."""
    with registered_for_a_while():
        yield


@pytest.fixture(scope="session")
def weights() -> Path:
    """The pinned weights, fetched once into the repository's resources."""
    model = find_model("smollm2:135m", ROOT)
    return fetch_weights(model, ROOT / model.path)


@pytest.fixture(scope="session")
def embedded_endpoint(weights: Path) -> Iterator[ReadyEndpoint]:
    """A real model in a real server, shared by all tests that only ask it."""
    with open_endpoint(EndpointSpec(model_file=str(weights))) as endpoint:
        yield endpoint
