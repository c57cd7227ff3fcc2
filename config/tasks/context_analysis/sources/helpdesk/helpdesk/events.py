from collections import defaultdict

from . import channels

_handlers = defaultdict(list)


def on(name):
    def register(function):
        _handlers[name].append(function)
        return function

    return register


def emit(name, ticket):
    for handler in _handlers[name]:
        handler(ticket)
    channels.broadcast(f"{name} #{ticket.number}")
