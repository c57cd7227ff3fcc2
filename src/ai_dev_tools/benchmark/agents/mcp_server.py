"""An MCP server over stdio, for one episode.

It is started in the tool's folder, asked through the `mcp` package, and ended.

`mcp` is imported only where a server is started: it takes longer than everything else that a block job imports.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Self, TypeVar

from ai_dev_tools.benchmark._util.json_values import JsonFields, JsonValue
from ai_dev_tools.benchmark._util.text import visible_line
from ai_dev_tools.benchmark.agents.tool_folder import ToolFolder
from ai_dev_tools.benchmark.errors import ToolError
from ai_dev_tools.benchmark.prompts.containment import ContainedProgram, RunLimits
from ai_dev_tools.benchmark.prompts.run_failures import require_success
from ai_dev_tools.benchmark.prompts.run_folder import last_words

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp import ClientSession
    from mcp.shared.message import SessionMessage
    from mcp.types import CallToolResult

LIFE_S = 86_400.0
"""Most seconds that a server runs; its episode has its own limits."""
LEAVING_S = 2.0
"""How long a server may take to end once its input is closed."""
ENDING_S = 5.0
"""How long to wait for word of how a server ended whose output is closed."""
MOST_MESSAGE = 20_000_000
"""Bytes of one message."""
MOST_PAGES = 20
T = TypeVar("T")


@dataclass(frozen=True)
class McpTool:
    """One tool, as a server describes it."""

    name: str
    description: str
    schema: JsonFields


class McpServer:
    """A server that runs in a folder.

    Attributes:
        instructions: what it tells those who use it.
        tools: what it offers.
        startup_s: from its start until it had said so.
        timeout_s: most seconds for one answer.
    """

    def __init__(self, folder: ToolFolder) -> None:
        self._folder, self._id = folder, folder.tool.id
        self._stack, self._garbage = ExitStack(), ""
        self.instructions, self.startup_s, self.timeout_s = "", 0.0, folder.tool.timeout_s
        self.tools: list[McpTool] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def call(self, name: str, arguments: Mapping[str, JsonValue]) -> tuple[str, bool, float]:
        """What a tool returns as text, whether that is an error, and how long it took.

        Raises:
            ToolError: the server died, hung or said what is not MCP.
        """
        started = time.perf_counter()

        async def ask() -> tuple[str, bool]:
            # these take 0.6 s
            from mcp.shared.exceptions import MCPError
            from mcp.types import CONNECTION_CLOSED

            try:
                result = await self._session.call_tool(name, dict(arguments))
            except MCPError as error:
                if error.error.code == CONNECTION_CLOSED:
                    raise
                return error.error.message, True
            return _text(result), bool(result.is_error)

        text, is_error = self._ask(ask, started)
        return text, is_error, time.perf_counter() - started

    # start and end

    def _start(self, stack: ExitStack) -> None:
        from anyio.from_thread import start_blocking_portal  # takes 20 ms

        command = self._folder.filled(self._folder.tool.mcp)
        input_, output = os.pipe(), os.pipe()
        self._to, self._from = input_[1], output[0]
        stack.callback(os.close, self._from)
        self._close_input = stack.enter_context(_Once(self._to)).close
        self._stderr: BinaryIO = stack.enter_context((self._folder.run_folder.scratch / "mcp").open("w+b"))
        with open(input_[0], "rb", buffering=0) as stdin, open(output[1], "wb", buffering=0) as stdout:
            streams: tuple[BinaryIO, BinaryIO] = (stdout, self._stderr)
            self._process: ContainedProgram = self._folder.start(command, streams, LIFE_S, stdin)
        stack.callback(self._process.close)
        self._process.begin()
        started = time.perf_counter()
        for descriptor in (self._to, self._from):
            os.set_blocking(descriptor, False)
        stack.callback(self._leave)
        self._portal: BlockingPortal = stack.enter_context(start_blocking_portal())
        connection = self._portal.wrap_async_context_manager(self._connected())
        self._session: ClientSession = connection.__enter__()
        stack.callback(_leave_quietly, connection)
        self._ask(self._greet, started)
        self.startup_s = time.perf_counter() - started

    def _leave(self) -> None:
        """Close the server's input, which tells it to end, and give it time to do so."""
        self._close_input()
        self._process.ended_within(LEAVING_S)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[ClientSession]:
        # these take 0.6 s
        import anyio
        from mcp import ClientSession
        from mcp.shared.message import SessionMessage

        to_session, received = anyio.create_memory_object_stream[SessionMessage | Exception](16)
        to_server, sent = anyio.create_memory_object_stream[SessionMessage](16)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._receive, to_session)
            tasks.start_soon(self._send, sent)
            async with ClientSession(received, to_server) as session:
                yield session
            tasks.cancel_scope.cancel()

    async def _receive(self, to_session: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        """Pass on what the server prints, line by line, until it ends or prints what is not a message."""
        # these take 0.6 s
        import anyio
        from mcp.shared.message import SessionMessage
        from mcp.types import jsonrpc_message_adapter

        buffer = b""
        async with to_session:
            while True:
                await anyio.wait_readable(self._from)
                with suppress(BlockingIOError):
                    if not (part := os.read(self._from, 65536)):
                        return
                    buffer += part
                *lines, buffer = buffer.split(b"\n")
                for line in filter(bytes.strip, lines):
                    try:
                        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                    except ValueError:
                        self._garbage = visible_line(line.decode("utf-8", "replace").strip(), 120)
                        return
                    await to_session.send(SessionMessage(message))
                if len(buffer) > MOST_MESSAGE:
                    self._garbage = f"{MOST_MESSAGE // 1_000_000} MB in one line"
                    return

    async def _send(self, sent: MemoryObjectReceiveStream[SessionMessage]) -> None:
        import anyio  # takes 4 ms, and `mcp` has imported it by now

        async with sent:
            async for item in sent:
                left = item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
                while left:
                    try:
                        left = left[os.write(self._to, left) :]
                    except BlockingIOError:
                        await anyio.wait_writable(self._to)
                    except OSError:  # it has ended; reading notices
                        return

    async def _greet(self) -> None:
        from mcp.types import PaginatedRequestParams  # takes 0.5 s

        greeting = await self._session.initialize()
        self.instructions = (greeting.instructions or "").strip()
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
            self.tools += [McpTool(tool.name, tool.description or "", tool.input_schema) for tool in page.tools]
            if not (cursor := page.next_cursor):
                return

    # what can go wrong

    def _ask(self, ask: Callable[[], Awaitable[T]], started: float) -> T:
        """Ask the server something; what goes wrong is the tool's failure."""
        from pydantic import ValidationError  # takes 20 ms, and `mcp` has imported it by now

        async def in_time() -> T:
            import anyio  # takes 4 ms, and `mcp` has imported it by now

            with anyio.fail_after(self.timeout_s):
                return await ask()

        try:
            return self._portal.call(in_time)
        except TimeoutError:
            problem = f"did not answer within {self.timeout_s:g} s (`timeout_s` in its file){self._words()}"
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            said = visible_line(f"{place}: {first['msg']}", 300)
            problem = self._garbage_said() or f"sent what the protocol does not allow ({said})"
        except Exception as error:  # of the package, of what it validates with, or of the connection
            problem = self._garbage_said() or self._end_said() or f"answered with an error: {visible_line(error, 300)}"
        failure = ToolError(f"{self._id}: its MCP server {problem}")
        failure.spent_s = time.perf_counter() - started
        raise failure

    def _garbage_said(self) -> str:
        if not self._garbage:
            return ""
        return (
            f"printed something other than MCP messages, for which stdout is reserved: {self._garbage}{self._words()}"
        )

    def _end_said(self) -> str:
        """How the server ended, if it did."""
        if (ended := self._process.ended_within(ENDING_S)) is None:
            return ""
        words = last_words(self._folder.run_folder, io.BytesIO(), self._stderr)
        try:
            require_success("it", ended, RunLimits(LIFE_S), words)
        except ToolError as error:
            return str(error).removeprefix("it ")
        return f"ended{f': {words}' if words else ''}"

    def _words(self) -> str:
        words = last_words(self._folder.run_folder, io.BytesIO(), self._stderr)
        return f" ({words})" if words else ""


class _Once:
    """A descriptor that is closed exactly once, by either of two threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


def _leave_quietly(connection: AbstractContextManager[ClientSession]) -> None:
    """End a connection in any state; its errors were reported where it was used."""
    with suppress(Exception):
        connection.__exit__(None, None, None)


def _text(result: CallToolResult) -> str:
    """The content of a result as text; what is not text is named."""
    parts = [part.text if part.type == "text" else f"[{part.type}, not shown]" for part in result.content]
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)
