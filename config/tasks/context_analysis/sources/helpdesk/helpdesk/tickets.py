import datetime
import itertools

from . import events

_numbers = itertools.count(1)


class Ticket:
    def __init__(self, sender, subject, body):
        self.number = next(_numbers)
        self.sender = sender
        self.subject = subject
        self.body = body
        self.state = "new"
        self.owner = None
        self.opened = datetime.datetime.now()

    def assign(self, agent):
        self.owner = agent
        self.state = "open"
        events.emit("assigned", self)

    def close(self, reason="solved"):
        if self.state == "closed":
            return
        self.state = "closed"
        events.emit(reason, self)
