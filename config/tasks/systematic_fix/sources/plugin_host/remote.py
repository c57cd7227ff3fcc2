"""Plugins in another process, reached by lines of JSON over a pipe."""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import threading
from typing import Any

log = logging.getLogger(__name__)


class RemotePlugin:
    def __init__(self, argv: list[str]) -> None:
        self.argv = argv
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            try:
                self.answers.put(json.loads(line))
            except ValueError:
                log.debug("not JSON: %r", line[:80])

    def ask(self, method: str, timeout: float = 5.0, **parameters: Any) -> Any:
        self._send({"method": method, "parameters": parameters})
        try:
            answer = self.answers.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"{self.argv[0]} does not answer") from None
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("result")

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def alive(self) -> bool:
        try:
            return self.ask("ping", timeout=1.0) == "pong"
        except (OSError, TimeoutError, RuntimeError):
            return False

    def tell(self, method: str, **parameters: Any) -> None:
        """A message without an answer."""
        try:
            self._send({"method": method, "parameters": parameters})
        except Exception:
            pass

    def stop(self, grace: float = 2.0) -> int:
        self.tell("exit")
        try:
            return self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
