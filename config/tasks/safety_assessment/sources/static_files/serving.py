"""A small ASGI application that serves a documentation tree with several versions."""

from __future__ import annotations

import mimetypes
import re
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

VERSION = re.compile(r"[0-9]+\.[0-9]+|latest")
CHUNK = 64 * 1024


class NotHere(Exception):
    pass


class Docs:
    def __init__(self, root: str, index: str = "index.html") -> None:
        self.root = Path(root).resolve()
        self.index = index

    def resolve(self, version: str, name: str) -> Path:
        if not VERSION.fullmatch(version):
            raise NotHere
        base = (self.root / version).resolve()
        path = (base / name.lstrip("/")).resolve()
        if not path.is_relative_to(base):
            raise NotHere
        if path.is_dir():
            path = path / self.index
        if not path.is_file() or path.name.startswith("."):
            raise NotHere
        return path

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._plain(send, 405, "method not allowed")
            return
        _, version, *rest = (scope["path"] + "/").split("/", 2)
        try:
            if scope["path"] == "/":
                await self._redirect(send, "/latest/")
                return
            path = self.resolve(version, rest[0].rstrip("/") if rest else "")
        except (NotHere, ValueError):
            await self._plain(send, 404, "not found")
            return
        await self._file(send, path, body=scope["method"] == "GET")

    async def _file(self, send, path: Path, body: bool) -> None:
        stat = path.stat()
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(stat.st_size if body else 0).encode()),
            (b"last-modified", formatdate(stat.st_mtime, usegmt=True).encode()),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if body:
            with path.open("rb") as handle:
                while block := handle.read(CHUNK):
                    await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _redirect(self, send, target: str) -> None:
        headers = [(b"location", quote(target).encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _plain(self, send, status: int, text: str) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})
