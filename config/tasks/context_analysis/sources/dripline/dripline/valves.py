import time

from . import daemon

PINS = {1: 17, 2: 27, 3: 22, 4: 23}


class Valves:
    """Relays on the GPIO header; `pins` is any object with set(pin, level)."""

    def __init__(self, pins):
        self.pins = pins
        self.open_since = {}

    def open(self, number):
        self.pins.set(PINS[number], 1)
        self.open_since[number] = time.monotonic()

    def close(self, number):
        self.pins.set(PINS[number], 0)
        return time.monotonic() - self.open_since.pop(number, time.monotonic())

    def close_all(self):
        for number in list(self.open_since):
            seconds = self.close(number)
            daemon.log.info("valve %d was open for %.0f s", number, seconds)
