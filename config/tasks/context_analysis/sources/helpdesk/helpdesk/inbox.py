import email

from .routing import route
from .tickets import Ticket


def receive(raw):
    message = email.message_from_string(raw)
    part = message.get_payload()
    if message.is_multipart():
        part = part[0].get_payload()
    ticket = Ticket(message["From"], message["Subject"] or "(none)", part)
    route(ticket)
    return ticket.number
