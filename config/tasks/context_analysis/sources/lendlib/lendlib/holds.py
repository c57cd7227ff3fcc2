from collections import defaultdict, deque

from .base import Refusal
from .things import Thing

_lines = defaultdict(deque)


def place(member, thing: Thing):
    line = _lines[thing.id]
    if any(m.same(member) for m in line):
        raise Refusal("stands in line already")
    line.append(member)
    return len(line)


def first_in_line(thing: Thing):
    line = _lines[thing.id]
    return line[0] if line else None


def forget(member):
    from .loans import Desk  # noqa: F401

    for line in _lines.values():
        for waiting in list(line):
            if waiting.same(member):
                line.remove(waiting)
