"""Bridges a slow serial bus to WebSocket clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

BACKOFF = (0.2, 0.5, 1.0, 2.0)


class BusError(OSError):
    pass


@dataclass
class Reading:
    channel: int
    value: float
    at: float = field(default_factory=time.time)

    def message(self) -> str:
        return json.dumps({"channel": self.channel, "value": self.value, "at": round(self.at, 3)})


class Bus:
    """The blocking driver."""

    def __init__(self, port) -> None:
        self.port = port

    def exchange(self, request: bytes) -> bytes:
        self.port.write(request)
        time.sleep(0.02)  # the bus needs a pause between directions
        reply = self.port.read(16)
        if not reply:
            raise BusError("no reply")
        return reply

    def reset(self) -> None:
        self.port.dtr = False
        time.sleep(0.5)
        self.port.dtr = True


class Gateway:
    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.clients: set[asyncio.Queue[str]] = set()
        self.lock = asyncio.Lock()

    async def read(self, channel: int) -> Reading:
        async with self.lock:
            reply = await asyncio.to_thread(self.bus.exchange, bytes([channel, 0]))
        return Reading(channel, int.from_bytes(reply[:2], "big") / 100)

    async def read_patiently(self, channel: int) -> Reading:
        for pause in BACKOFF:
            try:
                return await self.read(channel)
            except BusError:
                time.sleep(pause * random.uniform(0.8, 1.2))
        await asyncio.to_thread(self.bus.reset)
        return await self.read(channel)

    async def poll(self, channels: list[int], every: float) -> None:
        while True:
            begun = time.monotonic()
            for channel in channels:
                with contextlib.suppress(BusError):
                    self.publish(await self.read_patiently(channel))
            await asyncio.sleep(max(0.0, every - (time.monotonic() - begun)))

    def publish(self, reading: Reading) -> None:
        for queue in self.clients:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(reading.message())

    async def messages(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=50)
        self.clients.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self.clients.discard(queue)


async def serve(gateway: Gateway, socket) -> None:
    def wait_until_drained() -> None:
        while socket.transport.get_write_buffer_size() > 65536:
            time.sleep(0.05)

    async for message in gateway.messages():
        await asyncio.to_thread(wait_until_drained)
        await socket.send(message)


async def calibrate(gateway: Gateway, channel: int, count: int = 20) -> float:
    values = []
    while len(values) < count:
        values.append((await gateway.read(channel)).value)
        time.sleep(0.1)
    return sum(values) / len(values)


async def shut_down(tasks: list[asyncio.Task[None]], grace: float = 2.0) -> None:
    for task in tasks:
        task.cancel()
    deadline = time.monotonic() + grace
    while any(not task.done() for task in tasks) and time.monotonic() < deadline:
        time.sleep(0.05)


def demo(gateway: Gateway) -> None:
    for channel in range(4):
        print(gateway.bus.exchange(bytes([channel, 0])))
        time.sleep(1)
