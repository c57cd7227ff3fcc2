"""What the command line prints, and how it ends. Light imports: this is read before every `--help`."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, NoReturn

from ai_dev_tools.benchmark._util.lines import visible_line

OK = 0
FAILED = 1
WRONG_CALL = 2
UNDECIDED = 3
WIDTH = 100
"""Characters in a line of a table that people read to the end."""
_UNSEEN = re.compile("[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
NARROWEST = 12
"""A column is not folded to less."""


def say(line: str) -> None:
    """A line for people, beside the data on standard output; whatever it holds, it is one visible line."""
    print(visible_line(line), file=sys.stderr, flush=True)


def tell(line: object) -> None:
    """A result on standard output that holds foreign text: one visible line."""
    out(visible_line(line))


def out(text: str) -> None:
    """Data or a result on standard output."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def out_json(data: Any) -> None:
    """Data for programs; what would act unseen on a terminal is written as JSON's own escapes."""
    out(_UNSEEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(data, indent=1, ensure_ascii=False, default=str)))


def stop(message: str, code: int = WRONG_CALL) -> NoReturn:
    """End with one `error:` line for each line of the message."""
    for line in message.splitlines():
        say(f"error: {line}")
    raise SystemExit(code)


def table(rows: Sequence[Mapping[Any, Any]], columns: Sequence[str] | None = None, most: int | None = None) -> str:
    """Rows as aligned text; empty cells as a dash.

    Args:
        most: characters in a line; the widest cells are folded until it fits.
    """
    names = list(columns or (rows[0] if rows else ()))
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells), 0) for i, name in enumerate(names)]
    while most and sum(widths) + 2 * len(widths) - 2 > most and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    lines = [names, ["-" * width for width in widths]]
    for row in cells:
        folded = [textwrap.wrap(text, w, break_on_hyphens=False) for text, w in zip(row, widths, strict=True)]
        lines += map(list, zip_longest(*folded, fillvalue=""))
    return "\n".join("  ".join(f"{text:<{w}}" for text, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _cell(value: Any) -> str:
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else visible_line(value)
