from . import writer
from .cue import Cue


class Sheet:
    def __init__(self, cues: list[Cue]):
        self.cues = sorted(cues, key=lambda c: c.number)
        self.place = -1

    def go(self) -> Cue | None:
        if self.place + 1 >= len(self.cues):
            return None
        self.place += 1
        return self.cues[self.place]

    def back(self) -> Cue | None:
        if self.place <= 0:
            return None
        self.place -= 1
        return self.cues[self.place]

    def insert(self, cue: Cue) -> None:
        self.cues.append(cue)
        self.cues.sort(key=lambda c: c.number)

    def text(self) -> str:
        return writer.write(self)
