"""A cache in a file, for results that depend only on their key; it makes the next start faster.

Nothing is kept unless `keep_in` names a file, as the main process of a run does. The file can be deleted at any time.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

Kept: TypeAlias = str | list[str]
MOST = 5_000
"""Entries that are kept; the ones that were used last."""


class _Memory:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid = os.getpid()
        self._before: dict[str, Kept] = {}
        self._used: dict[str, Kept] = {}
        self._new = False
        with suppress(OSError, ValueError):
            found = json.loads(path.read_bytes())
            self._before = found if isinstance(found, dict) else {}

    def get(self, key: str) -> Kept | None:
        found = self._used.get(key, self._before.get(key))
        if found is not None:
            self._used[key] = found
        return found

    def put(self, key: str, value: Kept) -> None:
        self._used[key], self._new = value, True

    def save(self) -> None:
        """Write the file, unless this is a forked child or nothing is new.

        What cannot be written is computed again.
        """
        if not self._new or os.getpid() != self._pid:
            return
        kept = [*(item for item in self._before.items() if item[0] not in self._used), *self._used.items()]
        temporary = self.path.with_name(f"{self.path.name}.{self._pid}")
        with suppress(OSError):
            temporary.write_text(json.dumps(dict(kept[-MOST:])), encoding="utf-8")
            os.replace(temporary, self.path)


_memory: _Memory | None = None


def keep_in(path: Path) -> None:
    """Remember in this file from now on, and write it when the process ends."""
    global _memory
    path = path.absolute()
    if _memory is not None and _memory.path == path:  # two modules of one workflow
        return
    forget()
    _memory = _Memory(path)
    atexit.register(_memory.save)


def forget() -> None:
    """Write what is new, and remember nothing any more."""
    global _memory
    if _memory is not None:
        atexit.unregister(_memory.save)
        _memory.save()
    _memory = None


def key_of(kind: str, *parts: object) -> str:
    """A key for plain data: texts, numbers, and lists and mappings of them."""
    return f"{kind} {hashlib.sha256(repr(parts).encode('utf-8', 'surrogatepass')).hexdigest()}"


def recall(key: str) -> Kept | None:
    """What was kept under this key; None if nothing was, or nothing is kept."""
    return None if _memory is None else _memory.get(key)


def keep(key: str, value: Kept) -> None:
    """Keep a result under a key that holds all it depends on."""
    if _memory is not None:
        _memory.put(key, value)
