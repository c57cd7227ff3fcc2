"""Lines: untrusted text as a single visible one, and the numbered ones of a file."""

from __future__ import annotations

from ai_dev_tools.benchmark._util.text import shorten, visible

MOST = 2000


def visible_line(text: object, most: int = MOST) -> str:
    """A text that can neither control a terminal nor forge another line.

    Args:
        most: maximum number of characters shown.
    """
    return visible(shorten(str(text), most).replace("\r", "\n").replace("\n", " "), keep_lines=False)


def numbered_lines(text: str) -> list[str]:
    """The lines of a file's text as compilers and `grep -n` count them: a form feed, for one, does not end a line."""
    return text.removesuffix("\n").split("\n") if text else []
