import math
import random

from .clock import Clock


class Weather:
    def __init__(self, clock: Clock, seed: int = 1):
        self.clock = clock
        self.rng = random.Random(seed)
        self.celsius = 8.0
        self.rain = 0.0
        self.frost_nights = 0

    def next_day(self):
        mean = 9.5 - 9.0 * math.cos(2 * math.pi * (self.clock.share_of_year - 0.04))
        self.celsius += 0.4 * (mean - self.celsius) + self.rng.gauss(0, 2.2)
        wet = self.rng.random() < 0.35
        self.rain = self.rng.expovariate(1 / 6) if wet else 0.0
        if self.celsius < 1.0 and not wet:
            self.frost_nights += 1

    def sunny(self):
        return self.rain == 0 and self.clock.season != "winter"
