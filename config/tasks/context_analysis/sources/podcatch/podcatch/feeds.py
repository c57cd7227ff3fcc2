import email.utils
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime


@dataclass
class Episode:
    guid: str
    title: str
    url: str
    published: datetime | None
    megabytes: float = 0.0


def parse(text: str) -> list[Episode]:
    episodes = []
    for item in ET.fromstring(text).iter("item"):
        box = item.find("enclosure")
        if box is None or not box.get("url"):
            continue
        date = item.findtext("pubDate")
        episodes.append(
            Episode(
                guid=item.findtext("guid") or box.get("url"),
                title=(item.findtext("title") or "untitled").strip(),
                url=box.get("url"),
                published=email.utils.parsedate_to_datetime(date) if date else None,
                megabytes=int(box.get("length") or 0) / 1e6,
            )
        )
    return episodes
