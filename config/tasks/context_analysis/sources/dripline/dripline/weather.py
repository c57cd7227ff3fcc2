import json
import urllib.request

from .units import clamp

URL = "https://meteo.example/point?lat={:.2f}&lon={:.2f}"


def forecast(lat, lon):
    with urllib.request.urlopen(URL.format(lat, lon), timeout=10) as reply:
        hours = json.load(reply)["hours"]
    return [(h["t"], h.get("rain", 0.0), h["temp"]) for h in hours]


def evaporation(hours):
    total = 0.0
    for _, rain, temp in hours:
        total += clamp((temp - 8) * 0.02, 0.0, 0.6) - rain
    return max(total, 0.0)
