import enum
import re
from typing import NamedTuple


class Kind(enum.Enum):
    NUMBER = "number"
    NAME = "name"
    OP = "op"
    END = "end"


class Token(NamedTuple):
    kind: Kind
    text: str
    at: int


PATTERN = re.compile(r"\s*(?:(?P<NUMBER>\d+(?:\.\d+)?)|(?P<NAME>[a-z_]\w*)|(?P<OP>[-+*/^(),=]))")


def scan(source: str) -> list[Token]:
    found, position = [], 0
    while position < len(source.rstrip()):
        match = PATTERN.match(source, position)
        if match is None:
            raise SyntaxError(f"unexpected {source[position]!r} at {position}")
        found.append(Token(Kind[match.lastgroup], match[match.lastgroup], match.start()))
        position = match.end()
    return [*found, Token(Kind.END, "", position)]
