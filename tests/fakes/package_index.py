"""A package index in miniature: the Simple API for one project, over HTTP on this machine, with range requests."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Index(ThreadingHTTPServer):
    """A package index with one project; it counts the bytes of archives it hands out."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.knows_ranges = True
        self.password: str | None = None
        self.bytes_sent = 0
        self.authorised: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple/"


class Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        index = self.server
        if "Authorization" in self.headers:
            index.authorised.append(self.path)
        if index.password and index.password not in self.headers.get("Authorization", ""):
            return self.answer(401, b"")
        name = self.path.rsplit("/", 1)[1]
        if self.path == "/simple/demo/":
            links = "".join(
                f'<a href="http://127.0.0.1:{index.server_port}/files/{file}">{file}</a>' for file in index.files
            )
            return self.answer(200, f"<html><body>{links}</body></html>".encode(), "text/html")
        if name not in index.files:
            return self.answer(404, b"")
        content = index.files[name]
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if not (wanted and index.knows_ranges):
            index.bytes_sent += len(content)
            return self.answer(200, content)
        first, _, last = wanted.partition("-")
        start = int(first) if first else max(0, len(content) - int(last))
        end = int(last) if first and last else len(content) - 1
        part = content[start : end + 1]
        index.bytes_sent += len(part)
        self.answer(206, part, content_range=f"bytes {start}-{start + len(part) - 1}/{len(content)}")

    def answer(self, status: int, body: bytes, kind: str = "application/octet-stream", content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
