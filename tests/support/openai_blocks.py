"""Blocks that are asked in the dialect of OpenAI's API."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark.execution import run_block
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.sample import Sample
from support.making import block, prompts

ENDPOINT = {"instance": "small", "model": "fake:1b", "max_concurrent": 1, "startup_timeout_s": 5}
FOUR: dict[str, Any] = {"samples": 4, "cases": ["one", "two", "three", "four"]}
"""One case more than a block has otherwise."""


def a_block(folder: Path, url: str, endpoint: dict[str, Any] | None = None, **changed: Any) -> Block:
    return block(**{"results": str(folder), "endpoint": ENDPOINT | {"kind": url} | (endpoint or {})} | changed)


def run(asked: Block, lines: list[str] | None = None) -> list[Sample]:
    return run_block(asked, prompts(asked), (lines if lines is not None else []).append, threading.Event())


def identity(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "identity" / "fake-1b" / "colours.json").read_text())["sessions"][-1]
    return found
