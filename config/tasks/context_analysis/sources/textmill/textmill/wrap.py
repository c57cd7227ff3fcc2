import textwrap

from . import terminal
from .hyphens import break_word


def visible(text: str) -> int:
    return len(terminal.ESCAPE.sub("", text))


def fill(text: str, width: int, language: str | None = None, indent: str = "") -> str:
    if language is None:
        return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent)
    lines, line = [], indent
    for word in text.split():
        space = "" if line == indent else " "
        if visible(line) + len(space) + visible(word) <= width:
            line += space + word
            continue
        head, tail = break_word(word, width - len(line) - len(space) - 1, language)
        if head:
            lines.append(f"{line}{space}{head}-")
        else:
            lines.append(line)
        line = indent + tail
    return "\n".join([*lines, line])
