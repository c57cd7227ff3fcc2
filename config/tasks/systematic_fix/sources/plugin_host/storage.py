"""What plugins may keep: settings and a small cache on disk."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any


class Settings:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def number(self, key: str, default: float) -> float:
        try:
            return float(self.values[key])
        except Exception:
            return default

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value
        handle, name = tempfile.mkstemp(dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                json.dump(self.values, out)
            os.replace(name, self.path)
        except BaseException:
            os.unlink(name)
            raise


class DiskCache:
    def __init__(self, folder: Path, seconds: float = 3600) -> None:
        self.folder = folder
        self.seconds = seconds
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def get(self, key: str) -> Any:
        path = self._path(key)
        try:
            if time.time() - path.stat().st_mtime > self.seconds:
                return None
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def put(self, key: str, value: Any) -> None:
        try:
            self._path(key).write_text(json.dumps(value), encoding="utf-8")
        except (OSError, TypeError):
            pass

    def clear(self) -> int:
        count = 0
        for path in self.folder.iterdir():
            try:
                path.unlink()
                count += 1
            except BaseException:
                pass
        return count

    def free(self) -> float:
        """Gigabytes left on the disk of the cache."""
        return shutil.disk_usage(self.folder).free / 1e9
