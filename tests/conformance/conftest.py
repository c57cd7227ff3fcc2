"""The server under test."""

from __future__ import annotations

import pytest

from support.asking import Server


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Server:
    """The Ollama named on the command line, else the embedded endpoint."""
    url = request.config.getoption("--endpoint-url") or request.getfixturevalue("embedded_endpoint").base_url
    return Server(url, request.config.getoption("--endpoint-model"))


@pytest.fixture
def embedded_only(request: pytest.FixtureRequest) -> None:
    """For what a real Ollama does only with a network or answers in its own words."""
    if request.config.getoption("--endpoint-url"):
        pytest.skip("only said of the embedded endpoint")
