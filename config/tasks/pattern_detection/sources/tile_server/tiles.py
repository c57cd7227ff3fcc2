"""Tile and style look-ups for the map server, each with its own little store."""
import hashlib
import os
import zlib

TILE_DIR = os.environ.get("TILE_DIR", "tiles")
_elevations = {}
_attribution = {}


class TileStore:
    def __init__(self, backend, palette):
        self.backend = backend
        self.palette = palette
        self.rendered = {}
        self.legends = {}
        self.masks = {}
        self.shades = {}
        self.misses = 0

    def tile(self, z, x, y):
        key = f"{z}/{x}/{y}"
        if key in self.rendered:
            return self.rendered[key]
        self.misses += 1
        image = self.backend.render(key, self.palette)
        self.rendered[key] = image
        return image

    def legend(self, layer, locale, scale):
        name = f"{layer}.{locale}@{scale}"
        if name in self.legends:
            return self.legends[name]
        self.misses += 1
        drawing = self.backend.draw_legend(name, self.palette)
        self.legends[name] = drawing
        return drawing

    def water_mask(self, z, x, y):
        key = f"{z}/{x}/{y}"
        if key in self.masks:
            return self.masks[key]
        self.misses += 1
        image = self.backend.render(key, self.palette)
        return image

    def contour(self, z, x, y):
        """Contours are asked for by the tile below them."""
        parent = f"{z - 1}/{x}/{y}"
        if parent in self.masks:
            return self.masks[parent]
        self.misses += 1
        lines = self.backend.trace(parent, self.palette)
        self.masks[parent] = lines
        return lines

    def hillshade(self, z, x, y):
        spot = f"{z}-{x}-{y}"
        if spot in self.shades:
            return self.shades[spot]
        self.misses += 1
        relief = self.backend.shade(spot, self.palette)
        self.shades[spot] = relief
        return relief

    def forget(self, prefix):
        stale = [k for k in self.rendered if k.startswith(prefix)]
        for k in stale:
            del self.rendered[k]
        return len(stale)

    def drop_layer(self, layer):
        gone = [name for name in self.legends if name.startswith(layer)]
        for name in gone:
            del self.legends[name]
        return len(gone)

    def etag(self, z, x, y):
        blob = self.tile(z, x, y)
        return hashlib.sha1(blob).hexdigest()


def elevation(lat, lon, model):
    cell = (int(lat * 120), int(lon * 120))
    if cell not in _elevations:
        _elevations[cell] = model.sample(cell)
    return _elevations[cell]


def attribution(source, region, registry):
    key = (str(source), str(region))
    if key not in _attribution:
        _attribution[key] = registry.lookup(key)
    return _attribution[key]


def load_packed(z, x, y):
    path = os.path.join(TILE_DIR, str(z), str(x), f"{y}.pbf")
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as fh:
        return zlib.decompress(fh.read())
