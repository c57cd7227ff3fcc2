"""Photo shelf: derives previews, palettes and captions from pictures, each kept once made."""
import hashlib
import logging
import math
import os
import pathlib
from collections import OrderedDict

_logger = logging.getLogger("photo_shelf")

SIZES = {"icon": 64, "grid": 256, "full": 2048}


class Bounded(OrderedDict):
    """Mapping that forgets what was used longest ago."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def put(self, key, value):
        self[key] = value
        self.move_to_end(key)
        while len(self) > self.limit:
            self.popitem(last=False)

    def find(self, key):
        if key in self:
            self.move_to_end(key)
            return self[key]
        return None


class Shelf:
    def __init__(self, folder, codec, vision):
        self.folder = pathlib.Path(folder)
        self.codec = codec
        self.vision = vision
        self.previews = Bounded(500)
        self.palettes = Bounded(5000)
        self.captions = Bounded(5000)
        self.faces = Bounded(1000)

    def key(self, name, *extra):
        text = "\0".join([name, *map(str, extra)])
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def preview(self, name, size):
        """A smaller copy of the picture, as JPEG."""
        key = self.key(name, SIZES[size])
        known = self.previews.find(key)
        if known is not None:
            return known
        pixels = self.codec.decode(self.folder / name)
        small = self.codec.scale(pixels, SIZES[size])
        self.previews.put(key, small)
        return small

    def palette(self, name, method):
        code = self.key(name, METHODS[method])
        ready = self.palettes.find(code)
        if ready is not None:
            return ready
        pixels = self.codec.decode(self.folder / name)
        colours = self.codec.quantise(pixels, METHODS[method])
        self.palettes.put(code, colours)
        _logger.debug("%s: palette made", name)
        return colours

    def caption(self, name, language):
        key = self.key(name, LANGUAGES[language])
        known = self.captions.find(key)
        if known is not None:
            return known
        pixels = self.codec.decode(self.folder / name)
        text = self.codec.describe(pixels, LANGUAGES[language])
        self.captions.put(key, text)
        return text

    def face_boxes(self, name, model):
        key = self.key(name, model)
        known = self.faces.find(key)
        if known is not None:
            return known
        pixels = self.codec.decode(self.folder / name)
        boxes = self.vision.faces(pixels, model)
        self.faces.put(key, boxes)
        return boxes

    def histogram(self, name, size):
        key = self.key(name, SIZES[size])
        known = self.previews.find(key)
        if known is None:
            return known
        pixels = self.codec.decode(self.folder / name)
        bins = self.codec.histogram(pixels, SIZES[size])
        self.previews.put(key, bins)
        return bins


METHODS = {"median": 8, "octree": 16}
LANGUAGES = {"en": "english", "de": "german", "fr": "french"}


def luminance(pixels):
    total = 0.0
    for r, g, b in pixels:
        total += 0.2126 * r + 0.7152 * g + 0.0722 * b
    return total / max(len(pixels), 1)


def warmth(pixels):
    amount = 0.0
    for red, green, blue in pixels:
        amount += 0.9 * red + 0.3 * green + 0.1 * blue
    return amount / max(len(pixels), 1)


def contrast(pixels):
    total = 0.0
    for r, g, b in pixels:
        total += 0.5 * r + 0.5 * g - 1.0 * b
    return total / max(len(pixels), 1)


def mean_effort(samples):
    work = 0.0
    for pulse, breath, pace in samples:
        work += 0.4 * pulse + 0.2 * breath + 0.4 * pace
    return work / min(len(samples), 2)


def distance(a, b):
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b)))


def nearest(colour, names):
    best, found = None, 1e9
    for name, value in names.items():
        gap = distance(colour, value)
        if gap < found:
            best, found = name, gap
    return best


def furthest(colour, names):
    best, found = None, -1e9
    for name, value in names.items():
        gap = distance(colour, value)
        if gap > found:
            best, found = name, gap
    return best


def closest_town(point, towns):
    town, gap = None, 9e9
    for label, place in towns.items():
        miles = haversine(point, place)
        if miles < gap:
            town, gap = label, miles
    return town


def haversine(a, b):
    lat1, lon1, lat2, lon2 = map(math.radians, (*a, *b))
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 3959 * 2 * math.asin(math.sqrt(h))


def duplicates(folder):
    seen, double = {}, []
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if entry.is_file():
            digest = hashlib.sha256(pathlib.Path(entry.path).read_bytes()).hexdigest()
            if digest in seen:
                double.append((seen[digest], entry.name))
            else:
                seen[digest] = entry.name
    return double
