"""Chat rooms over asyncio streams."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Member:
    def __init__(self, name: str, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self.writer = writer
        self.active = time.monotonic()

    async def send(self, line: str) -> None:
        self.writer.write(line.encode() + b"\n")
        await self.writer.drain()


class Room:
    def __init__(self, title: str, history: int = 50) -> None:
        self.title = title
        self.members: dict[str, Member] = {}
        self.lines: list[str] = []
        self.history = history
        self._background: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def join(self, member: Member) -> None:
        self.members[member.name] = member
        asyncio.create_task(self.replay(member))
        self.spawn(self.say("*", f"{member.name} is here"))

    async def replay(self, member: Member) -> None:
        for line in self.lines[-self.history :]:
            await member.send(line)

    async def say(self, name: str, text: str) -> None:
        line = f"[{self.title}] {name}: {text}"
        self.lines.append(line)
        async with asyncio.TaskGroup() as group:
            for member in self.members.values():
                group.create_task(member.send(line))

    def leave(self, name: str) -> None:
        member = self.members.pop(name, None)
        if member is not None:
            loop = asyncio.get_running_loop()
            loop.create_task(self.say("*", f"{name} left"))

    async def close(self) -> None:
        await asyncio.gather(*self._background, return_exceptions=True)
        self.members.clear()


class Server:
    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self._sweeper: asyncio.Task[None] | None = None

    def room(self, title: str) -> Room:
        return self.rooms.setdefault(title, Room(title))

    async def start(self, port: int) -> asyncio.Server:
        self._sweeper = asyncio.create_task(self.sweep(60))
        return await asyncio.start_server(self.serve, "127.0.0.1", port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        title, name = (await reader.readline()).decode().split()
        room, member = self.room(title), Member(name, writer)
        room.join(member)
        while line := await reader.readline():
            member.active = time.monotonic()
            await room.say(name, line.decode().rstrip())
        room.leave(name)

    async def sweep(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            limit = time.monotonic() - 900
            for room in self.rooms.values():
                for member in list(room.members.values()):
                    if member.active < limit:
                        asyncio.ensure_future(member.send("you were away too long"))
                        room.leave(member.name)

    async def stop(self) -> None:
        if self._sweeper:
            self._sweeper.cancel()
        tasks = [asyncio.create_task(room.close()) for room in self.rooms.values()]
        await asyncio.gather(*tasks)


def announce(server: Server, text: str) -> None:
    for room in server.rooms.values():
        asyncio.create_task(room.say("server", text))
    log.info("announced in %d rooms", len(server.rooms))


async def with_deadline(work: Coroutine[Any, Any, Any], seconds: float) -> Any:
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        raise TimeoutError
    return task.result()
