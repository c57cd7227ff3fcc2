"""Format numbers and untrusted text in the same way for every output format."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, TypeAlias

Number: TypeAlias = Any
"""A number of any kind (of Python, numpy, or from JSON), or a value that means a missing one."""
MISSING = "–"
HUGE, HUGE_WITH_DECIMALS = 1e9, 1e6
MOST_OF_A_LINE = 2000
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEPT = {"\n", "\t"}
_NOT_KEPT, _SPACES = str.maketrans("", "", "".join(_KEPT)), str.maketrans(dict.fromkeys(_KEPT, " "))


def is_missing(value: object) -> bool:
    """None, NaN and pandas' NA."""
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def number(value: Number, digits: int = 0) -> str:
    """A number with `digits` decimals; a dash if missing, ∞ if infinite, 1.6e+12 if huge."""
    if is_missing(value):
        return MISSING
    value = float(value)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if abs(value) >= (HUGE_WITH_DECIMALS if digits else HUGE):
        return f"{value:.2g}"
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text


def signed(value: Number, digits: int = 0) -> str:
    """A difference with its sign, also if it is positive; 0 has none."""
    shown = number(value, digits)
    return f"+{shown}" if not is_missing(value) and value > 0 and shown != number(0, digits) else shown


def percent(share: Number, digits: int = 1) -> str:
    """A share of 1 as a percentage."""
    return MISSING if is_missing(share) else f"{number(100 * float(share), digits)} %"


def interval(low: Number, high: Number, digits: int = 0) -> str:
    """`low to high`, or a dash if neither end is known."""
    if is_missing(low) and is_missing(high):
        return MISSING
    return f"{number(low, digits)} to {number(high, digits)}"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """`1 sample`, `2 samples`."""
    return f"{number(count)} {noun if count == 1 else many or noun + 's'}"


def nearest(name: object, valid: Iterable[str], written: str = "'{}'") -> str:
    """A hint for a misspelt name: the nearest valid one as it is written, or all of them."""
    names = sorted(valid)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"did you mean {written.format(close[0])}?" if close else f"valid: {', '.join(names) or 'none'}"


def listing(words: list[str], most: int = 8) -> str:
    """`a, b and c`, shortened."""
    shown = words if len(words) <= most else [*words[:most], f"{len(words) - most} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "none"


def ratio_axis(reference: str) -> str:
    """Axis label below ratios to an arm; a long name is cut, so that both ends can be read."""
    name = reference if len(reference) <= 40 else f"{reference[:39]}…"
    return f"← cheaper · ratio to {visible(name, keep_lines=False)} · more expensive →"


def _visible(character: str) -> str:
    point = ord(character)
    if point < 0x20:
        return chr(0x2400 + point)
    if point == 0x7F:
        return "␡"
    return f"⟨U+{point:04X}⟩"


def visible(text: str, keep_lines: bool = True) -> str:
    """Untrusted text with everything made visible that would otherwise act unseen.

    Control characters (NUL, ANSI's ESC …), marks that change the writing direction, invisible format characters and lone
    surrogates become visible signs, so that they can neither control a terminal nor forge what a reader sees.

    Args:
        keep_lines: whether line ends and tabs stay; otherwise they become a space.
    """
    text = text.replace("\r\n", "\n")
    if text.isprintable():  # then no character is of a category below
        return text
    if text.translate(_NOT_KEPT).isprintable():
        return text if keep_lines else text.translate(_SPACES)
    pieces = []
    for character in text:
        if character in _KEPT:
            pieces.append(character if keep_lines else " ")
        elif unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            pieces.append(_visible(character))
        else:
            pieces.append(character)
    return "".join(pieces)


def xml_text(text: str) -> str:
    """Untrusted text in one line that XML can hold; it still has to be escaped."""
    return _NOT_XML.sub("\ufffd", visible(text, keep_lines=False))


def shorten(text: str, most: int) -> str:
    """The start of a text, with a note of how much is left out."""
    return text if len(text) <= most else f"{text[:most]}… ({number(len(text) - most)} more characters)"


def is_storable(text: str) -> bool:
    """Whether a text can be written as UTF-8: it has no half of a character, as names of files may."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_text(content: bytes) -> bool:
    """Whether a file's content is UTF-8 text."""
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def visible_line(text: object, most: int = MOST_OF_A_LINE) -> str:
    """A text that can neither control a terminal nor forge another line.

    Args:
        most: maximum number of characters shown.
    """
    return visible(shorten(str(text), most).replace("\r", "\n").replace("\n", " "), keep_lines=False)


def numbered_lines(text: str) -> list[str]:
    """The lines of a text as compilers and `grep -n` count them: only a line feed ends a line."""
    return text.removesuffix("\n").split("\n") if text else []
