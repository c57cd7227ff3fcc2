"""Zips made byte by byte, so that a test can say one wrong thing in one place and have all else, and the seal, right."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ai_dev_tools.benchmark.archive.container import TAG

LOCAL = (
    "mark",
    "needed",
    "flags",
    "method",
    "time",
    "date",
    "crc",
    "packed",
    "unpacked",
    "name_length",
    "extra_length",
)
CENTRAL = ("mark", "made", "needed", "flags", "method", "time", "date", "crc", "packed", "unpacked", "name_length",
           "extra_length", "comment_length", "disk", "internal", "attributes", "offset")  # fmt: skip
END = ("mark", "disk", "start_disk", "here", "members", "length", "start", "comment_length")


@dataclass
class Part:
    """A member; `local` and `central` replace fields of its headers, `gap` comes before it."""

    name: str | bytes
    content: bytes = b"x"
    local: Mapping[str, int | bytes] = field(default_factory=dict)
    central: Mapping[str, int | bytes] = field(default_factory=dict)
    extra: bytes = b""
    local_extra: bytes = b""
    comment: bytes = b""
    data: bytes | None = None
    behind: bytes = b""
    gap: bytes = b""


def zip_bytes(
    parts: Sequence[Part], *, prefix: bytes = b"", before_directory: bytes = b"", behind_directory: bytes = b"",
    end: Mapping[str, int] | None = None, shift: int = 0,
) -> bytes:  # fmt: skip
    """A zip without its comment.

    Args:
        shift: added to every offset.
    """
    body, directory = bytearray(prefix), bytearray()
    for part in parts:
        body += part.gap
        offset = len(body)
        name = part.name.encode() if isinstance(part.name, str) else part.name
        data = _deflated(part.content) if part.data is None else part.data
        values = {
            "mark": b"PK\x03\x04", "made": 3 << 8 | 20, "needed": 20, "flags": 0 if name.isascii() else 0x800, "method": 8,
            "time": 0, "date": 0x21, "crc": zlib.crc32(part.content), "packed": len(data), "unpacked": len(part.content),
            "name_length": len(name), "extra_length": len(part.local_extra), "comment_length": len(part.comment), "disk": 0,
            "internal": 0, "attributes": 0o100644 << 16, "offset": offset + shift,
        }  # fmt: skip
        local = values | dict(part.local)
        central = values | {"mark": b"PK\x01\x02", "extra_length": len(part.extra)} | dict(part.central)
        local_name, central_name = (fields.get("name", name) for fields in (local, central))
        body += struct.pack("<4s5H3L2H", *(local[key] for key in LOCAL)) + bytes(local_name) + part.local_extra  # type: ignore[arg-type]
        body += data + part.behind
        directory += struct.pack("<4s6H3L5H2L", *(central[key] for key in CENTRAL)) + bytes(central_name)  # type: ignore[arg-type]
        directory += part.extra + part.comment
    start = len(body) + len(before_directory)
    last = {"mark": b"PK\x05\x06", "disk": 0, "start_disk": 0, "here": len(parts), "members": len(parts),
            "length": len(directory), "start": start + shift, "comment_length": len(TAG) + 64} | (end or {})  # fmt: skip
    return bytes(body) + before_directory + bytes(directory) + behind_directory + struct.pack(
        "<4s4H2LH", *(last[key] for key in END)
    )  # fmt: skip


def seal(path: Path, data: bytes) -> Path:
    """A file with a correct seal, so that nothing but its content can be the reason to refuse it."""
    path.write_bytes(data + TAG + hashlib.sha256(data).hexdigest().encode())
    return path


def _deflated(content: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()
