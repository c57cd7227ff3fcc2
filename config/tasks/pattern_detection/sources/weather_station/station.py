"""Decoding of the serial frames that the rooftop weather station sends once a minute."""
from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

log = logging.getLogger(__name__)

FRAME_FIELDS = ("ts", "wind", "rain", "press", "sky")


class FrameError(ValueError):
    pass


@dataclass
class Reading:
    taken_at: datetime
    quantity: str
    value: float


def split_frame(line: str) -> dict[str, str]:
    parts = line.strip().split(";")
    if len(parts) != len(FRAME_FIELDS):
        raise FrameError(f"expected {len(FRAME_FIELDS)} fields, got {len(parts)}")
    return dict(zip(FRAME_FIELDS, parts))


def wind_speed(frame: dict[str, str], when: datetime) -> Reading:
    raw = frame.get("wind", "")
    if not raw:
        raise FrameError("no wind field")
    value = float(raw) * 0.514444
    if value < 0 or value > 75:
        raise FrameError(f"wind speed {value} out of range")
    return Reading(when, "wind", value)


def rain_rate(frame: dict[str, str], when: datetime) -> Reading:
    text = frame.get("rain", "")
    if not text:
        raise FrameError("no rain field")
    mm = float(text) * 0.2794
    log.debug("gauge said %s", text)
    if mm < 0 or mm > 400:
        raise FrameError(f"rain {mm} mm/h is not plausible")
    return Reading(when, "rain", mm)


def pressure(frame: dict[str, str], when: datetime) -> Reading:
    field = frame.get("press", "")
    if not field:
        raise FrameError("no barometer in frame")
    hpa = float(field) * 0.1
    if hpa < 870 or hpa > 1085:
        raise FrameError(f"barometer shows {hpa}")
    return Reading(when, "pressure", hpa)


def sky_brightness(frame: dict[str, str], when: datetime) -> Reading:
    raw = frame.get("sky", "")
    if not raw:
        return Reading(when, "sky", 0.0)
    value = float(raw) * 0.25
    if value < 0 or value > 130_000:
        raise FrameError(f"sky brightness {value} out of range")
    return Reading(when, "sky", value)


def gust(readings: list[Reading]) -> float:
    values = [r.value for r in readings if r.quantity == "wind"]
    return max(values, default=0.0)


def lull(readings: list[Reading]) -> float:
    values = [r.value for r in readings if r.quantity == "wind"]
    return min(values, default=0.0)


def hours_of_rain(readings: list[Reading]) -> float:
    total = 0.0
    for reading in readings:
        if reading.quantity == "rain" and reading.value > 0.1:
            total += 1
    return total / 60


def hours_of_sun(readings: list[Reading]) -> float:
    minutes = 0
    for item in readings:
        if item.quantity == "sky" and item.value > 60_000:
            minutes += 1
    return minutes / 60
