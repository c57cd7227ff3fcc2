"""Makers of sensors: who may upload firmware, and what they are told about their devices."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import re
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Z][A-Za-z0-9 .-]{1,60}")
WINDOW_S = 300
REGISTRY = "https://registry.makers.example/v1"


@dataclass
class Maker:
    number: int
    name: str
    secret: bytes
    devices: set[int] = field(default_factory=set)

    def sign(self, head: str, body: bytes) -> str:
        return hmac.new(self.secret, head.encode() + b"\n" + body, hashlib.sha256).hexdigest()


class Makers:
    """Kept in one JSON file that only the service can read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_number: dict[int, Maker] = {}
        if path.exists():
            for entry in json.loads(path.read_text(encoding="utf-8")):
                maker = Maker(entry["number"], entry["name"], bytes.fromhex(entry["secret"]), set(entry["devices"]))
                self.by_number[maker.number] = maker

    def add(self, name: str) -> Maker:
        if not NAME.fullmatch(name):
            raise ValueError(f"not the name of a maker: {name!r}")
        number = max(self.by_number, default=0) + 1
        maker = Maker(number, name, os.urandom(32))
        self.by_number[number] = maker
        self.save()
        return maker

    def save(self) -> None:
        entries = [
            {"number": m.number, "name": m.name, "secret": m.secret.hex(), "devices": sorted(m.devices)}
            for m in self.by_number.values()
        ]
        handle = os.open(self.path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(entries, out)
        os.replace(self.path.with_suffix(".new"), self.path)

    def owner(self, device: int) -> Maker | None:
        return next((maker for maker in self.by_number.values() if device in maker.devices), None)


async def maker_of(request: web.Request) -> int:
    """Number of the maker who signed a request.

    The signature covers method, path, time and body; requests older than a few minutes are refused.
    """
    makers: Makers = request.app["makers"]
    stamp, tag = request.headers.get("X-Time", ""), request.headers.get("X-Signature", "")
    maker = makers.by_number.get(int(request.headers.get("X-Maker", "0") or 0))
    if maker is None or not stamp.isdecimal() or abs(time.time() - int(stamp)) > WINDOW_S:
        raise web.HTTPUnauthorized()
    head = f"{request.method} {request.path} {stamp}"
    if not hmac.compare_digest(maker.sign(head, await request.read()).encode(), tag.encode()):
        log.warning("maker %d: wrong signature from %s", maker.number, request.remote)
        raise web.HTTPUnauthorized()
    return maker.number


async def devices(request: web.Request) -> web.Response:
    """Latest readings of the maker's own devices."""
    makers: Makers = request.app["makers"]
    own = makers.by_number[await maker_of(request)].devices
    latest: dict[int, dict[str, Any]] = request.app["hub"].latest
    return web.json_response({str(device): latest[device] for device in sorted(own) if device in latest})


async def send_command(request: web.Request) -> web.Response:
    number = await maker_of(request)
    data = json.loads(await request.read())
    owner = request.app["makers"].owner(int(data["device"]))
    if owner is None or owner.number != number:
        raise web.HTTPNotFound()
    sent = await request.app["hub"].command(int(data["device"]), str(data["name"])[:20], int(data["value"]))
    return web.json_response({"sent": sent})


async def refresh(makers: Makers, every: float = 3600) -> None:
    """Keeps the lists of devices in step with the registry of the makers' association."""
    context = ssl.create_default_context()
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            for maker in list(makers.by_number.values()):
                try:
                    async with session.get(f"{REGISTRY}/makers/{maker.number}", ssl=context) as reply:
                        reply.raise_for_status()
                        maker.devices = {int(device) for device in (await reply.json())["devices"]}
                except (aiohttp.ClientError, ValueError, KeyError) as error:
                    log.warning("devices of maker %d: %s", maker.number, error)
            makers.save()
            await asyncio.sleep(every)
