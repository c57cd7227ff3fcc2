import sys

from . import stops

if sys.version_info >= (3, 12):
    from .feed12 import messages
else:
    from .feed import messages


def current(code):
    late = {}
    for line, stop, minutes in messages():
        if stop == code and minutes > late.get(line, 0):
            late[line] = minutes
    if late:
        late["note"] = f"delays at {stops.name(code)}"
    return late
