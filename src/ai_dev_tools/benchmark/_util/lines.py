"""Show untrusted text as a single visible line, whatever it contains."""

from __future__ import annotations

from ai_dev_tools.benchmark._util.text import shorten, visible

MOST = 2000


def visible_line(text: object, most: int = MOST) -> str:
    """A text that can neither control a terminal nor forge another line.

    Args:
        most: maximum number of characters shown.
    """
    return visible(shorten(str(text), most).replace("\r", "\n").replace("\n", " "), keep_lines=False)
