import re

from .agents import TEAM
from .tickets import Ticket

TOPICS = {
    "billing": re.compile(r"invoice|refund|charge", re.I),
    "login": re.compile(r"password|log ?in|2fa", re.I),
    "bug": re.compile(r"crash|error|traceback", re.I),
}


def topic(ticket):
    for name, pattern in TOPICS.items():
        if pattern.search(ticket.subject):
            return name
    return "other"


def route(ticket: Ticket, vip: frozenset = frozenset()):
    name = topic(ticket)
    best = None
    for agent in TEAM:
        if agent.away or (name != "other" and name not in agent.skills):
            continue
        if best is None or agent.load() < best.load():
            best = agent
    if best is None and TEAM:
        best = TEAM[0] if ticket.sender in vip else None
    if best:
        best.open.append(ticket)
        ticket.assign(best)
    return best
