import gzip
import xml.etree.ElementTree as ET

from ..geo.box import Box
from ..geo.point import Point
from .model import Extract, Way

WANTED = ("highway", "waterway", "natural", "building")


def tags_of(element):
    return {t.get("k"): t.get("v") for t in element.iter("tag")}


def height(text):
    digits = "".join(c for c in text or "" if c.isdigit())
    return int(digits) if digits else 0


def read(path, box: Box | None = None) -> Extract:
    opener = gzip.open if str(path).endswith(".gz") else open
    nodes, extract = {}, Extract()
    with opener(path, "rb") as handle:
        for _, element in ET.iterparse(handle):
            if element.tag == "node":
                point = Point(float(element.get("lat")), float(element.get("lon")))
                if box is None or box.holds(point):
                    nodes[element.get("id")] = point
                tags = tags_of(element)
                if tags.get("natural") == "peak" and element.get("id") in nodes:
                    extract.summits.append((point, tags.get("name", ""), height(tags.get("ele"))))
                element.clear()
            elif element.tag == "way":
                tags = tags_of(element)
                line = [nodes[r.get("ref")] for r in element.iter("nd") if r.get("ref") in nodes]
                if len(line) > 1 and any(k in tags for k in WANTED):
                    extract.ways.append(Way(int(element.get("id")), line, tags))
                element.clear()
    return extract
