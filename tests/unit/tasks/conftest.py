"""What tests of this folder start from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder as people have them: code, a hidden folder, a backup, a picture."""
    for name, text in {
        "app/core.py": "def run():\n    return 1\n",
        "app/util.py": "from app.core import run\n",
        "README.md": "# Mine ∀\n",
        ".git/HEAD": "ref: refs/heads/main\n",
        "app/core.py~": "old\n",
    }.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text(text, encoding="utf-8")
    (tmp_path / "mine" / "logo.png").write_bytes(b"\x89PNG\0\0")
    return tmp_path / "mine"
