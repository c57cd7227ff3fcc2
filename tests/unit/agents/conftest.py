"""Servers that agents' requests are passed on to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.openai_api import FakeOpenAI


@pytest.fixture
def openai() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(key="the server's key") as fake:
        yield fake
