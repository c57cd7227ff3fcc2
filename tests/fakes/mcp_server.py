"""A fake MCP server over stdio, written with the official package: a small index of a folder, and its faults.

    python mcp_server.py WORKSPACE [FAULT]

Faults: `dies` at once, `silent` (never answers), `garbage` (prints what is not MCP), `empty` (offers no tools), `formless` (says of
a tool what no tool may be).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

own_stdout = os.dup(1)  # the package gives its tools another one
workspace, fault = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
if fault == "dies":
    sys.exit("cannot open the index")
if fault == "garbage":
    print("Welcome to fake-index 1.0", flush=True)
if fault in ("garbage", "silent"):
    time.sleep(600)

if fault == "formless":
    for line in sys.stdin:
        asked = json.loads(line)
        hello = {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "x", "version": "1"},
        }
        tools = {"tools": [{"name": "find", "inputSchema": "nonsense"}]}
        said = {"initialize": hello, "tools/list": tools}.get(asked["method"])
        if said:
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": said}), flush=True)

from mcp.server.mcpserver import MCPServer  # noqa: E402 - it takes longer than the faults above need

server = MCPServer("fake-index", instructions="Ask `count_lines` before you read.")


def count_lines(path: str) -> str:
    """Counts the lines of a file."""
    return f"{path}: {len((workspace / path).read_text().splitlines())} lines"


def surroundings() -> str:
    """Tells where it runs."""
    return f"{workspace.resolve()}/app.py HOME={os.environ['HOME']} secret={os.environ.get('SECRET_TOKEN')}"


def long_text(size: int) -> str:
    """Returns a long text."""
    return "x" * size


def search(pattern: str) -> str:
    """Has the name of one of the agent's own actions."""
    return f"searched {pattern}"


def die() -> str:
    """Ends the server."""
    print("the index is corrupt", file=sys.stderr, flush=True)
    os._exit(3)


def hang() -> str:
    """Never returns."""
    time.sleep(600)
    return ""


def babble() -> str:
    """Prints what is not a message."""
    os.write(own_stdout, b"Indexing 10 files ...\n")
    time.sleep(600)
    return ""


if fault != "empty":
    for tool in (count_lines, surroundings, long_text, search, die, hang, babble):
        server.tool()(tool)
server.run("stdio")
