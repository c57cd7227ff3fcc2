"""A fake third-party agent: does what its first argument says, to try the meter and its sandbox; it judges nothing.

    python agent_program.py SCRIPT BASE_URL MODEL QUESTION_FILE ANSWER_FILE

`SCRIPT` is words joined by `+`: `ask` (one request in OpenAI's API, streamed), `chat` (one in Ollama's), `complete`
(one in Ollama's, not streamed, without a conversation), `try_chat` (one that may fail), `other` (asks for another
model), `show` (puts what the server says of the model into the next message), `look` (reads a file of the workspace into
it), `answer` (writes what the model said last), `misplace` (writes it elsewhere), `print` (prints it), `wander` (says which
of further arguments it sees), `reach` (says which interfaces there are, and which of further arguments are ports that
answer), `scribble` (says in which of further arguments it can write), `forever` (asks without end), `compute` (half a second
of CPU), `sleep`, `fail`, `silent`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


class Agent:
    def __init__(self, base_url: str, model: str, question: str, answer: str) -> None:
        self.base_url, self.model, self.answer_file = base_url, model, Path(answer)
        self.messages = [{"role": "user", "content": Path(question).read_text(encoding="utf-8")}]
        self.said = ""

    def _post(self, path: str, body: dict[str, object]) -> list[dict[str, object]]:
        request = urllib.request.Request(
            self.base_url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            lines = [line.removeprefix(b"data: ").strip() for line in reply]
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def ask(self) -> None:
        items = self._post("/v1/chat/completions", {"model": self.model, "messages": self.messages, "stream": True})
        deltas = [choice["delta"] for item in items for choice in item["choices"]]  # type: ignore[attr-defined]
        self._hear("".join(delta.get("content") or "" for delta in deltas))

    def chat(self) -> None:
        items = self._post("/api/chat", {"model": self.model, "messages": self.messages})
        self._hear("".join(item["message"]["content"] for item in items))  # type: ignore[index]

    def complete(self) -> None:
        (item,) = self._post("/api/generate", {"model": self.model, "prompt": "Are you sure?", "stream": False})
        self.said = str(item["response"])

    def try_chat(self) -> None:
        with contextlib.suppress(urllib.error.HTTPError):
            self.chat()

    def _hear(self, text: str) -> None:
        self.said = text
        self.messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "Go on."}]

    def show(self) -> None:
        (shown,) = self._post("/api/show", {"model": self.model})
        length = next(value for name, value in shown["model_info"].items() if name.endswith(".context_length"))  # type: ignore[attr-defined]
        self.messages[-1]["content"] = f"context: {length}; can: {shown['capabilities']}"

    def other(self) -> None:
        try:
            self._post("/v1/chat/completions", {"model": "gpt-9", "messages": self.messages})
        except urllib.error.HTTPError as error:
            print(error.read().decode())

    def look(self) -> None:
        name = sorted(path for path in Path.cwd().rglob("*") if path.is_file())[0]
        self.messages[-1]["content"] = name.read_text(encoding="utf-8")

    def answer(self) -> None:
        self.answer_file.write_text(self.said, encoding="utf-8")

    def misplace(self) -> None:
        place = self.answer_file.parent / "out" / "result.json"
        place.parent.mkdir()
        place.write_text(self.said, encoding="utf-8")

    def print(self) -> None:
        print(f"So this is my answer:\n{self.said}\nGoodbye.")

    def wander(self) -> None:
        seen = [place for place in sys.argv[6:] if os.path.exists(place)]
        self.messages[-1]["content"] = "\n".join(["seen:", *seen])

    def reach(self) -> None:
        found = []
        for port in sys.argv[6:]:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 5):
                found.append(port)
        interfaces = " ".join(name for _, name in socket.if_nameindex())
        self.messages[-1]["content"] = f"interfaces: {interfaces}; ports: {' '.join(found)}"

    def scribble(self) -> None:
        found = []
        for folder in sys.argv[6:]:
            with contextlib.suppress(OSError):
                Path(folder, "scribble").write_text("x", encoding="utf-8")
                found.append(folder)
        self.messages[-1]["content"] = f"written: {' '.join(found)}"

    def forever(self) -> None:
        while True:
            self.chat()

    def compute(self) -> None:
        while time.process_time() < 0.5:
            pass

    def sleep(self) -> None:
        time.sleep(600)

    def fail(self) -> None:
        sys.exit("this agent broke down")

    def silent(self) -> None:
        pass


def main() -> None:
    script, *rest = sys.argv[1:6]
    agent = Agent(*rest)
    for word in script.split("+"):
        getattr(agent, word)()


if __name__ == "__main__":
    main()
