"""Disk cache for rendered map tiles, shared by the workers of one service."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

DEFAULT_FOLDER = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tiles"


class TileCache:
    """Files named after a digest of what they show; the oldest go first."""

    def __init__(self, folder: Path = DEFAULT_FOLDER, limit: int = 500_000_000, seconds: float = 3600) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        assert limit > 0
        self.folder = folder
        self.limit = limit
        self.seconds = seconds

    @staticmethod
    def key(request: dict[str, Any]) -> str:
        text = json.dumps(request, sort_keys=True, separators=(",", ":"))
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.png"

    def get(self, request: dict[str, Any]) -> bytes | None:
        path = self.path(self.key(request))
        try:
            age = time.time() - path.stat().st_mtime
            # workers must not all render the same tile in the same second
            if age > self.seconds * random.uniform(0.9, 1.1):
                return None
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def put(self, request: dict[str, Any], image: bytes) -> None:
        path = self.path(self.key(request))
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
            out.write(image)
        os.replace(out.name, path)

    def get_or_render(self, request: dict[str, Any], render: Callable[[dict[str, Any]], bytes]) -> bytes:
        image = self.get(request)
        if image is None:
            image = render(request)
            try:
                self.put(request, image)
            except OSError:
                log.warning("the tile cache cannot be written", exc_info=True)
        return image

    def shrink(self) -> int:
        files = [(path.stat(), path) for path in self.folder.rglob("*.png")]
        files.sort(key=lambda entry: entry[0].st_mtime)
        size = sum(stat.st_size for stat, _ in files)
        removed = 0
        for stat, path in files:
            if size <= self.limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                size -= stat.st_size
                removed += 1
        return removed

    def warm(self, requests: list[dict[str, Any]], render: Callable[[dict[str, Any]], bytes], share: float = 0.1) -> None:
        for request in random.sample(requests, k=int(len(requests) * share)):
            try:
                self.get_or_render(request, render)
            except Exception:
                pass
