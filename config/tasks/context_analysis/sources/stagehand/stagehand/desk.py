import time

from .errors import ShowError
from .light.fade import Fade
from .light.output import Output
from .light.rig import Rig
from .script.sheet import Sheet
from .sound.clip import Clip
from .sound.mixer import Mixer


class Desk:
    def __init__(self, rig: Rig, sheet: Sheet, player, clock=time.monotonic):
        self.rig, self.sheet, self.clock = rig, sheet, clock
        self.output = Output(rig)
        self.mixer = Mixer(player)
        self.running = []
        self.follow_at = None
        self.log = []

    def fade(self, targets, seconds, curve):
        self.running.append((self.clock(), Fade(self.rig, targets, seconds, curve)))

    def play(self, path):
        if self.mixer.play(Clip(path)) is None:
            self.log.append(f"no channel for {path}")

    def go(self):
        cue = self.sheet.go()
        if cue is None:
            return None
        try:
            cue.run(self)
        except ShowError as problem:
            self.log.append(str(problem))
        self.follow_at = None if cue.follow is None else self.clock() + cue.follow
        return cue.label

    def tick(self):
        now = self.clock()
        self.running = [(start, fade) for start, fade in self.running if not fade.at(now - start)]
        self.mixer.tick(now)
        if self.follow_at is not None and now >= self.follow_at:
            self.go()
        self.output.send()
