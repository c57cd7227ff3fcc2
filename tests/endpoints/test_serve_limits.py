"""How many bodies and connections a served model takes at once, and for how long it waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from ai_dev_tools.benchmark.endpoints.embedded.limits import Bodies, ConnectionGuard, ServerLimits, request_began
from ai_dev_tools.benchmark.endpoints.embedded.ollama_api import ApiError


@asynccontextmanager
async def small_server(limits: ServerLimits) -> AsyncIterator[tuple[tuple[str, int], ConnectionGuard]]:
    """A real server with the real limits, set so low that a test need not wait; it says how long bodies are."""
    bodies, door = Bodies(limits), ConnectionGuard(limits)

    async def handle(request: web.Request) -> web.StreamResponse:
        request_began(request)
        try:
            async with bodies.received(request) as body:
                return web.json_response(len(body))
        except ApiError as error:
            return web.json_response({"error": error.message}, status=error.status)

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app, auto_decompress=False, lingering_time=0.1)  # for the rest of a body that was refused
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(door.guarding(runner.server), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[:2], door
    finally:
        server.close()
        await runner.cleanup()


def exchange(limits: ServerLimits, sent: Callable[[int], bytes], connections: int = 1) -> list[bytes]:
    """What several connections get back for what each sends, all at once, without ending their own side."""

    async def one(place: tuple[str, int], number: int, opened: asyncio.Barrier) -> bytes:
        reader, writer = await asyncio.open_connection(*place)
        await opened.wait()
        writer.write(sent(number))
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def everything() -> list[bytes]:
        async with small_server(limits) as (place, _):
            opened = asyncio.Barrier(connections)
            return await asyncio.gather(*(one(place, number, opened) for number in range(connections)))

    return asyncio.run(everything())


def head(length: int) -> bytes:
    return f"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    (reply,) = exchange(ServerLimits(arrival_s=0.1), lambda _: head(100) + b"slow")
    assert reply.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("part", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: local"])
def test_a_connection_that_says_nothing_or_half_is_closed(part: bytes) -> None:
    (reply,) = exchange(ServerLimits(arrival_s=0.1), lambda _: part)
    assert reply == b""


def test_more_connections_than_there_may_be_are_told_so() -> None:
    replies = exchange(ServerLimits(connections=3), lambda _: head(2) + b"{}", connections=5)
    assert sorted(reply.split()[1] for reply in replies) == [b"200"] * 3 + [b"503"] * 2


def test_large_bodies_are_bounded_together_and_small_ones_always_taken() -> None:
    limits = ServerLimits(all_bodies_bytes=3000, free_bytes=100, arrival_s=0.3)
    sizes = [2000, 2000, 50]
    replies = exchange(limits, lambda number: head(sizes[number] + (1 if number == 0 else 0)) + b" " * sizes[number], 3)
    assert [reply.split()[1] for reply in replies] == [b"408", b"503", b"200"]


def test_what_was_held_is_given_back() -> None:
    limits = ServerLimits(all_bodies_bytes=1000, free_bytes=0)

    async def twice() -> list[bytes]:
        found = []
        async with small_server(limits) as (place, door):
            for _ in range(3):
                reader, writer = await asyncio.open_connection(*place)
                writer.write(head(900) + b" " * 900)
                found.append(await reader.read())
                writer.close()
            while door.open:
                await asyncio.sleep(0.01)
        return found

    assert [reply.split()[1] for reply in asyncio.run(twice())] == [b"200"] * 3
