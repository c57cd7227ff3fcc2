from ..curves import blend
from .rig import Rig


class Fade:
    def __init__(self, rig: Rig, targets, seconds, curve="linear"):
        self.rig = rig
        self.seconds = seconds
        self.curve = curve
        self.steps = []
        for selector, values in targets.items():
            for fixture in rig.find(selector):
                for attribute, value in values.items():
                    self.steps.append((fixture, attribute, fixture.values[attribute], value))

    def at(self, elapsed):
        share = elapsed / self.seconds if self.seconds else 1.0
        for fixture, attribute, start, end in self.steps:
            fixture.values[attribute] = blend(start, end, share, self.curve)
        return share >= 1.0
