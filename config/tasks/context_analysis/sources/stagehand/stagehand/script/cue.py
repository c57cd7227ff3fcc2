from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import CueError

if TYPE_CHECKING:
    from ..desk import Desk


@dataclass
class Cue:
    number: float
    label: str
    light: dict = field(default_factory=dict)
    sound: list[str] = field(default_factory=list)
    seconds: float = 3.0
    curve: str = "smooth"
    follow: float | None = None

    def __post_init__(self):
        if self.seconds < 0:
            raise CueError(self.number, "negative time")

    def run(self, desk: Desk) -> None:
        desk.fade(self.light, self.seconds, self.curve)
        for path in self.sound:
            desk.play(path)
