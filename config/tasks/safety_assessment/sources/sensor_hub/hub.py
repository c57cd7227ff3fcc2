"""The hub: takes frames from gateways, keeps the latest readings, sends commands."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
from collections import OrderedDict
from pathlib import Path

from aiohttp import web

from .firmware import BundleError, manifest, newest, unpack_tar, unpack_zip
from .makers import maker_of
from .protocol import Frame, FrameError, device_key, fingerprint, open_sealed, parse, seal_command, split

log = logging.getLogger(__name__)

FIRMWARE = Path(os.environ.get("FIRMWARE_ROOT", "firmware"))


class Hub:
    def __init__(self, master: bytes) -> None:
        self.master = master
        self.latest: dict[int, dict] = {}
        self.seen: OrderedDict[str, None] = OrderedDict()
        self.links: dict[int, asyncio.StreamWriter] = {}

    def repeated(self, raw: bytes) -> bool:
        mark = fingerprint(raw)
        if mark in self.seen:
            return True
        self.seen[mark] = None
        if len(self.seen) > 5000:
            self.seen.popitem(last=False)
        return False

    def take(self, frame: Frame) -> None:
        try:
            plain = open_sealed(device_key(self.master, frame.device), frame.payload)
            self.latest[frame.device] = {"kind": frame.kind, **json.loads(plain)}
        except (ValueError, TypeError):
            log.warning("frame of device %d cannot be opened", frame.device)

    async def gateway(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(4096):
                for raw in split(chunk):
                    if self.repeated(raw):
                        continue
                    try:
                        frame = parse(raw)
                    except FrameError as error:
                        log.info("%s", error)
                        continue
                    self.links[frame.device] = writer
                    self.take(frame)
        finally:
            writer.close()

    async def command(self, device: int, name: str, value: int) -> str:
        number = secrets.token_hex(4)
        text = json.dumps({"n": number, name: value}).encode()
        writer = self.links[device]
        writer.write(seal_command(device_key(self.master, device), text))
        await writer.drain()
        return number


async def upload(request: web.Request) -> web.Response:
    maker = await maker_of(request)
    version, data = request.match_info["version"], await request.read()
    unpack = unpack_zip if request.content_type == "application/zip" else unpack_tar
    try:
        folder = await asyncio.to_thread(unpack, FIRMWARE, maker, version, data)
    except BundleError as error:
        raise web.HTTPBadRequest(text=str(error)) from None
    return web.json_response({"files": manifest(folder), "newest": newest(FIRMWARE, maker)})
