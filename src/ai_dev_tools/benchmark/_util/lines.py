"""Foreign text where people read lines: one visible line, whatever it holds."""

from __future__ import annotations

from ai_dev_tools.benchmark._util.text import shorten, visible

MOST = 2000


def visible_line(text: object, most: int = MOST) -> str:
    """A text that neither steers a terminal nor forges another line.

    Args:
        most: characters that are shown of it.
    """
    return visible(shorten(str(text), most).replace("\r", "\n").replace("\n", " "), keep_lines=False)
