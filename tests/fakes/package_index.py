"""A package index in miniature: the Simple API, over HTTP on this machine, with range requests."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Index(ThreadingHTTPServer):
    """A package index of archives by file name; it counts the bytes of archives it hands out."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.knows_ranges = True
        self.password: str | None = None
        self.breaks_after: int | None = None
        """Bytes of a longer answer after which the connection is lost, once."""
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
        if self.path.startswith("/simple/"):
            project = self.path.split("/")[2].replace("-", "_")
            offered = [file for file in index.files if file.replace("-", "_").startswith(f"{project}_")]
            if not offered:
                return self.answer(404, b"")
            links = "".join(
                f'<a href="http://127.0.0.1:{index.server_port}/files/{file}">{file}</a>' for file in offered
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
        if index.breaks_after is not None and len(part) > index.breaks_after:
            return self.break_off(part[: index.breaks_after], f"bytes {start}-{end}/{len(content)}", len(part))
        self.answer(206, part, content_range=f"bytes {start}-{start + len(part) - 1}/{len(content)}")

    def answer(self, status: int, body: bytes, kind: str = "application/octet-stream", content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(body)

    def break_off(self, body: bytes, content_range: str, promised: int) -> None:
        self.server.breaks_after = None
        self.send_response(206)
        self.send_header("Content-Range", content_range)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass
