from ..curves import blend
from .clip import Clip


class Mixer:
    def __init__(self, player, channels=8):
        self.player = player
        self.channels = [None] * channels
        self.fades = {}

    def play(self, clip: Clip):
        for number, current in enumerate(self.channels):
            if current is None:
                self.channels[number] = clip
                self.player.start(number, clip.path, clip.loop)
                self.player.volume(number, clip.gain)
                return number
        return None

    def fade_out(self, number, seconds, now):
        if self.channels[number] is not None:
            self.fades[number] = (now, seconds, self.channels[number].gain)

    def tick(self, now):
        for number, (start, seconds, gain) in list(self.fades.items()):
            share = (now - start) / seconds if seconds else 1.0
            self.player.volume(number, blend(gain, 0.0, share, "sine"))
            if share >= 1.0:
                self.player.stop(number)
                self.channels[number] = None
                del self.fades[number]
