"""A labelled fake Ollama that notes each measured request in a file before it answers; started as `ollama serve` by a soak.

OLLAMA_HOST=127.0.0.1:PORT KILL_LOOP_REQUESTS=FILE python tests/slow/soak/recording_ollama.py
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from fakes.agent_model import Message, action, only_answers
from fakes.faulty_proxy import NONCE
from fakes.ollama import FakeOllama, smallest_answer

MODEL = "fake:1b"
REQUEST_LOG = "KILL_LOOP_REQUESTS"
"""Variable with the file that requests are noted in."""
PLAYS = "KILL_LOOP_PLAYS"
"""Variable that, when set, has the fake play an agent."""
LATENCY_S = 0.12


class RecordingOllama(FakeOllama):
    """Notes the digest of the prompt, without its nonce, and the seed."""

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, list[dict[str, Any]], float]:
        if path == "/api/chat" and (log := os.environ.get(REQUEST_LOG)):
            asked = json.loads(body)
            content = asked["messages"][0]["content"]
            if (prompt := NONCE.sub("", content)) != content:
                with open(log, "a", encoding="utf-8") as file:
                    file.write(f"{hashlib.sha256(prompt.encode()).hexdigest()} {asked['options']['seed']}\n")
        return super().reply(method, path, body)


def converse(conversation: Sequence[Message], schema: Any) -> str:
    """Looks twice, and answers the smallest that the task allows."""
    turn = sum(message["role"] == "assistant" for message in conversation)
    if turn > 1 or only_answers(schema):
        return smallest_answer("", schema)
    looks_up = turn == 0 and '"action":"lookup"' in conversation[0]["content"]
    return json.dumps(action("lookup") if looks_up else action("list_files", path=""))


async def serve() -> None:
    port = int(os.environ["OLLAMA_HOST"].rpartition(":")[2])
    server = RecordingOllama([MODEL], port, LATENCY_S)
    server.converse = converse if os.environ.get(PLAYS) else None
    await server.listen()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
