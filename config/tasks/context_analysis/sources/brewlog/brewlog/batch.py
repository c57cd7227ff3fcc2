import datetime as dt

from . import gravity
from .recipe import Recipe


class Batch:
    def __init__(self, recipe: Recipe, started: dt.date):
        self.recipe = recipe
        self.started = started
        self.readings = []

    def read(self, day, sg, celsius=20.0):
        self.readings.append((day, gravity.correct(sg, celsius)))

    def stage(self, today):
        if not self.readings:
            return "lag" if (today - self.started).days < 3 else "stuck"
        first, last = self.readings[0], self.readings[-1]
        if len(self.readings) > 2 and abs(self.readings[-3][1] - last[1]) < 0.001:
            return "done"
        if last[1] > first[1] or (today - last[0]).days > 10:
            return "suspect"
        if last[1] < 1.02 and (today - self.started).days > 7:
            return "late"
        return "active"
