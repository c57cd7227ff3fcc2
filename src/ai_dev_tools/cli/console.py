"""What the command line prints, and how it ends. Light imports: this is read before every `--help`."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from ai_dev_tools.benchmark._util.text import visible_line

OK = 0
FAILED = 1
WRONG_CALL = 2
UNDECIDED = 3
WIDTH = 100
"""Characters in a line of a table that people read to the end."""
_UNSEEN = re.compile("[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
_DASHES_UNDER_THE_HEAD = "    \n    \n -  \n" + 5 * "    \n"
UNFOLDED = 100_000
NARROWEST = 12
"""A column is not folded to less."""


def say(line: str) -> None:
    """A line for people, on standard error; always one visible line."""
    print(visible_line(line), file=sys.stderr, flush=True)


def tell(line: object) -> None:
    """A result on standard output that holds untrusted text: one visible line."""
    out(visible_line(line))


def out(text: str) -> None:
    """Data or a result on standard output."""
    print(text, end="" if text.endswith("\n") else "\n", flush=True)  # which is content without a standard output


def out_to_nowhere() -> None:
    """Discard what could not be written: Python would try again at its end, and complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def out_json(data: object) -> None:
    """Data for programs; what would act unseen on a terminal is written as JSON's own escapes."""
    out(_UNSEEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(data, indent=1, ensure_ascii=False, default=str)))


def stop(message: str, code: int = WRONG_CALL) -> NoReturn:
    """End with one `error:` line for each line of the message."""
    for line in message.splitlines():
        say(f"error: {line}")
    raise SystemExit(code)


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str] | None = None, most: int | None = None) -> str:
    """Rows as aligned text; empty cells as a dash.

    Args:
        most: characters in a line; the widest cells are folded until it fits.
    """
    # these take 50 ms, and no `--help` has a table
    from rich.box import Box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = list(columns or (rows[0] if rows else ()))
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    grid = Table(box=Box(_DASHES_UNDER_THE_HEAD), show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(names):
        widest = max(map(cell_len, (name, *(line[place] for line in cells))))
        grid.add_column(Text(name), overflow="fold", min_width=min(NARROWEST, widest))
    for line in cells:
        grid.add_row(*map(Text, line))
    page = Console(file=io.StringIO(), width=most or UNFOLDED, color_system=None, force_jupyter=False)
    with page.capture() as captured:
        page.print(grid)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _cell(value: object) -> str:
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else visible_line(value)
