import socket

from .alarms import grade
from .nmea import parse
from .registry import known
from .store import append


def serve(port: int, on_alarm) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", port))
    while True:
        text = sock.recv(2048).decode("ascii", "replace")
        levels = [parse(line) for line in text.splitlines()]
        good = [lv for lv in levels if lv and known(lv.gauge)]
        append(good)
        for level in good:
            if grade(level) != "none":
                on_alarm(level)
