"""Frames of the radio sensors: length, kind, device, payload, checksum."""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from Crypto.Cipher import AES, DES

HEAD = struct.Struct(">HBI")
KINDS = {1: "reading", 2: "alarm", 3: "hello", 4: "battery"}


class FrameError(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Frame:
    kind: str
    device: int
    payload: bytes


def split(stream: bytes) -> Iterator[bytes]:
    """Whole frames of a stream; what is incomplete at its end is dropped."""
    position = 0
    while position + HEAD.size <= len(stream):
        (length,) = struct.unpack_from(">H", stream, position)
        if length < HEAD.size + 4 or position + length > len(stream):
            return
        yield stream[position : position + length]
        position += length


def parse(frame: bytes) -> Frame:
    length, kind, device = HEAD.unpack_from(frame)
    body, checksum = frame[:-4], frame[-4:]
    if length != len(frame) or zlib.crc32(body) != int.from_bytes(checksum, "big"):
        raise FrameError("damaged frame")
    if kind not in KINDS:
        raise FrameError(f"unknown kind {kind}")
    return Frame(KINDS[kind], device, body[HEAD.size :])


def device_key(master: bytes, device: int) -> bytes:
    return hmac.new(master, device.to_bytes(4, "big"), hashlib.sha256).digest()[:16]


def open_sealed(key: bytes, payload: bytes) -> bytes:
    """Payload of a current sensor: nonce, tag, text (AES-GCM)."""
    nonce, tag, text = payload[:12], payload[12:28], payload[28:]
    return AES.new(key, AES.MODE_GCM, nonce=nonce).decrypt_and_verify(text, tag)


def seal_command(key: bytes, command: bytes) -> bytes:
    """A command for a sensor: switch, threshold or new interval."""
    padded = command + b"\0" * (-len(command) % 8)
    return DES.new(key[:8], DES.MODE_ECB).encrypt(padded)


def fingerprint(frame: bytes) -> str:
    """Tells repeated frames of the radio apart from new ones."""
    return hashlib.sha1(frame, usedforsecurity=False).hexdigest()[:16]
