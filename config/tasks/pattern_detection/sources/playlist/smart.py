"""Smart playlists for a small music player."""

import random
from collections import deque


class Track:
    __slots__ = ("path", "artist", "album", "year", "plays", "skips", "stars", "seconds")

    def __init__(self, **values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))


def first_unheard(library, artist):
    for track in library:
        if track.artist == artist and not track.plays:
            return track
    return None


def next_unrated(library, album):
    for song in library:
        if song.album == album and not song.stars:
            return song
    return None


def last_unheard(library, artist):
    for track in reversed(library):
        if track.artist == artist and not track.plays:
            return track
    return None


def free_slot(rota, day):
    for slot in rota:
        if slot.day == day and not slot.taken:
            return slot
    return None


def any_unheard(library, artist):
    for track in library:
        if track.artist == artist or not track.plays:
            return track
    return None


def favourites(library, least=4):
    picked = []
    for track in library:
        if track.stars is not None and track.stars >= least:
            picked.append(track.path)
    random.shuffle(picked)
    return picked


def oldies(library, before=1970):
    picked = []
    for track in library:
        if track.year is not None and track.year < before:
            picked.append(track.path)
    random.shuffle(picked)
    return picked


def long_players(collection, minutes=6):
    chosen = []
    for track in collection:
        if track.seconds is not None and track.seconds >= minutes:
            chosen.append(track.path)
    random.shuffle(chosen)
    return chosen


def annoying(library, least=3):
    picked = []
    for track in library:
        if track.skips is not None and track.skips >= least:
            picked.append(track.path)
    return picked


class Queue:
    def __init__(self, tracks=()):
        self.coming = deque(tracks)
        self.done = deque(maxlen=50)

    def skip(self):
        if not self.coming:
            return None
        track = self.coming.popleft()
        track.skips = (track.skips or 0) + 1
        self.done.append(track)
        return track

    def play(self):
        if not self.coming:
            return None
        track = self.coming.popleft()
        track.plays = (track.plays or 0) + 1
        self.done.append(track)
        return track

    def back(self):
        if not self.done:
            return None
        track = self.done.pop()
        self.coming.appendleft(track)
        return track

    def length(self):
        return sum(t.seconds or 0 for t in self.coming)
