import html

from . import style
from .geo.box import Box, around
from .geo.point import Point
from .geo.simplify import simplify
from .osm.model import Extract


class Canvas:
    def __init__(self, box: Box, width: int = 1200):
        self.west, self.north = Point(box.north, box.west).mercator()
        east, south = Point(box.south, box.east).mercator()
        self.scale = width / (east - self.west)
        self.size = (width, round((self.north - south) * self.scale))
        self.parts: list[str] = []

    def xy(self, point: Point) -> str:
        x, y = point.mercator()
        return f"{(x - self.west) * self.scale:.1f},{(self.north - y) * self.scale:.1f}"

    def line(self, points, colour, width, dashes):
        path = " ".join(self.xy(p) for p in points)
        extra = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<polyline points="{path}" stroke="{colour}" stroke-width="{width}"{extra} fill="none"/>')

    def text(self, point, label):
        x, y = self.xy(point).split(",")
        self.parts.append(f'<text x="{x}" y="{y}">{html.escape(label)}</text>')

    def render(self):
        width, height = self.size
        return f'<svg width="{width}" height="{height}">' + "".join(self.parts) + "</svg>"


def draw(extract: Extract, detail: float = 5.0) -> str:
    box = around([p for way in extract.ways for p in way.line]).grow(0.02)
    canvas = Canvas(box)
    for way in extract.ways:
        look = style.stroke(way)
        if look:
            canvas.line(simplify(way.line, detail), *look)
    for point, name, metres in extract.summits:
        if name:
            canvas.text(point, f"{name} {metres}")
    return canvas.render()
