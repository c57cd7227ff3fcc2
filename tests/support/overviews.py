"""Two runs compared, and what the overview of them says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ai_dev_tools.benchmark.comparison import write_comparison
from ai_dev_tools.benchmark.comparison.run import StoredRun

SMALL, LARGE = "llama3.2:1b", "llama3.2:3b"


def compare(folder: Path, before: StoredRun, after: StoredRun) -> dict[str, Any]:
    """The overview as data; the pages are in `comparison` below the folder."""
    write_comparison(before, after, folder / "comparison", "baseline")
    content: dict[str, Any] = json.loads((folder / "comparison" / "overview.json").read_text())
    return content


def said(content: dict[str, Any]) -> str:
    """All notices in one text."""
    return " ".join(notice["text"] for notice in content["notices"])


def rows(content: dict[str, Any], table: str) -> list[dict[str, Any]]:
    """A table of the page."""
    found: list[dict[str, Any]] = content["page"]["tables"][table]["rows"]
    return found
