"""What tests of this folder start from."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fakes.package_index import Index


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that pip is configured to use."""
    server = Index()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", server.url)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    yield server
    server.shutdown()
    server.server_close()
