"""What the command line prints, and how it ends. Light imports: this is read before every `--help`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

OK = 0
FAILED = 1
WRONG_CALL = 2
UNDECIDED = 3


def say(line: str) -> None:
    """A line for people, beside the data on standard output."""
    print(line, file=sys.stderr, flush=True)


def out(text: str) -> None:
    """Data or a result on standard output."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def out_json(data: Any) -> None:
    """Data for programs."""
    out(json.dumps(data, indent=1, ensure_ascii=False, default=str))


def stop(message: str, code: int = WRONG_CALL) -> NoReturn:
    """End with one `error:` line for each line of the message."""
    for line in message.splitlines():
        say(f"error: {line}")
    raise SystemExit(code)


def table(rows: Sequence[Mapping[Any, Any]], columns: Sequence[str] | None = None) -> str:
    """Rows as aligned text; empty cells as a dash."""
    names = list(columns or (rows[0] if rows else ()))
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells), 0) for i, name in enumerate(names)]
    lines = [names, ["-" * width for width in widths], *cells]
    return "\n".join("  ".join(f"{text:<{w}}" for text, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _cell(value: Any) -> str:
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
