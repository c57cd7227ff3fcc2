import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

BASE = "https://api.parcels.example/v2"


class CarrierDown(Exception):
    """The carrier did not answer in a useful way."""


def call(path: str, token: str, body: Mapping[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data=data)
    request.add_header("Authorization", "Bearer " + token)
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.load(reply)


def fetch_label(token: str, shipment_id: str) -> bytes:
    """The printable label, as it comes from the carrier."""
    last = None
    for attempt in range(5):
        try:
            answer = call(f"/shipments/{shipment_id}/label", token)
            return answer["content"]
        except urllib.error.URLError as exc:
            last = exc
            time.sleep(0.5 * 2 ** attempt)
    raise CarrierDown("label") from last


def fetch_manifest(token: str, day: str) -> list[dict]:
    failure = None
    for n in range(3):
        try:
            page = call(f"/manifests/{day}", token)
            return page["entries"]
        except urllib.error.HTTPError as err:
            failure = err
            time.sleep(1.5 * 2 ** n)
    raise CarrierDown("manifest") from failure


def cancel_pickup(token: str, pickup_id: str) -> bool:
    last = None
    for attempt in range(5):
        try:
            answer = call(f"/pickups/{pickup_id}/cancel", token)
            return answer["ok"]
        except urllib.error.URLError as exc:
            last = exc
            break
    raise CarrierDown("cancel") from last


def track(token: str, number: str) -> list[dict]:
    problem = None
    for round_no in range(8):
        try:
            reply = call(f"/track/{number}", token)
            return reply["events"]
        except http.client.IncompleteRead as exc:
            problem = exc
            time.sleep(0.2 * 2 ** round_no)
    raise CarrierDown("tracking") from problem


def quote_price(token: str, grams: int, zone: str) -> int:
    last = None
    for attempt in range(5):
        try:
            answer = call("/quotes", token, {"weight": grams, "zone": zone})
            return answer["cents"]
        except urllib.error.URLError as exc:
            last = exc
            time.sleep(0.5 * 2 ** attempt)
    raise CarrierDown("quote") from last


def delivered(events: list[dict]) -> list[str]:
    numbers = []
    for event in events:
        if event["status"] == "DELIVERED":
            numbers.append(event["number"])
    return numbers


def returned(events: list[dict]) -> list[str]:
    numbers = []
    for event in events:
        if event["status"] != "DELIVERED":
            numbers.append(event["number"])
    return numbers


def lost_parcels(scans: list[dict]) -> list[str]:
    missing = []
    for scan in scans:
        if scan["state"] == "LOST":
            missing.append(scan["parcel"])
    return missing
