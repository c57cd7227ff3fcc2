from .osm.model import Way

RULES = [
    ("highway", {"path", "footway"}, ("#a52a2a", 1.2, "4 2")),
    ("highway", {"track"}, ("#8b6914", 1.6, "8 3")),
    ("highway", None, ("#d0a060", 2.4, "")),
    ("waterway", None, ("#4f83cc", 1.4, "")),
    ("building", None, ("#888888", 0.8, "")),
]


def stroke(way: Way):
    for key, values, style in RULES:
        if key in way.tags and (values is None or way.tags[key] in values):
            return style
    return None


def grade(way: Way) -> str:
    scale = way.tags.get("sac_scale", "hiking")
    return {"hiking": "T1", "mountain_hiking": "T2", "demanding_mountain_hiking": "T3"}.get(scale, "T4")
