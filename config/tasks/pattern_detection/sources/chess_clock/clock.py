"""Time controls and move bookkeeping for a chess server. Nothing in here talks to the network."""

from dataclasses import dataclass, field
from enum import Enum


class Side(Enum):
    WHITE = "w"
    BLACK = "b"


@dataclass
class Control:
    base: float
    increment: float = 0.0
    delay: float = 0.0


@dataclass
class Clock:
    control: Control
    left: dict = field(default_factory=dict)
    running: Side | None = None
    started: float = 0.0
    moves: int = 0

    def begin(self, now):
        self.left = {side: self.control.base for side in Side}
        self.running = Side.WHITE
        self.started = now

    def press_fischer(self, now):
        spent = now - self.started
        rest = self.left[self.running] - spent
        if rest <= 0:
            self.left[self.running] = 0.0
            return False
        self.left[self.running] = rest + self.control.increment
        self.switch(now)
        return True

    def press_bronstein(self, now):
        spent = now - self.started
        rest = self.left[self.running] - spent
        if rest <= 0:
            self.left[self.running] = 0.0
            return False
        self.left[self.running] = rest + min(spent, self.control.increment)
        self.switch(now)
        return True

    def press_simple_delay(self, now):
        spent = max(0.0, now - self.started - self.control.delay)
        rest = self.left[self.running] - spent
        if rest <= 0:
            self.left[self.running] = 0.0
            return False
        self.left[self.running] = rest
        self.switch(now)
        return True

    def switch(self, now):
        self.running = Side.BLACK if self.running is Side.WHITE else Side.WHITE
        self.started = now
        self.moves += 1

    def pause(self, now):
        if self.running is None:
            return
        self.left[self.running] -= now - self.started
        self.running = None

    def resume(self, side, now):
        if self.running is not None:
            return
        self.running = side
        self.started = now


def parse_control(text):
    base, _, extra = text.partition("+")
    if extra.startswith("d"):
        return Control(float(base) * 60, delay=float(extra[1:]))
    return Control(float(base) * 60, float(extra or 0))


def format_control(control):
    text = f"{control.base / 60:g}"
    if control.delay:
        return f"{text}+d{control.delay:g}"
    return f"{text}+{control.increment:g}"


def format_left(seconds):
    if seconds < 20:
        return f"{seconds:.1f}"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def speed(control):
    expected = control.base + 40 * control.increment
    if expected < 180:
        return "bullet"
    if expected < 480:
        return "blitz"
    return "rapid" if expected < 1500 else "classical"


def fair_start(control, lag):
    expected = control.base + 40 * control.delay
    if expected < lag:
        return "refuse"
    return "warn" if expected < 10 * lag else "accept"
