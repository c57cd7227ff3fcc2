import asyncio
import json

from .bus import Bus
from .devices.relay import Relay
from .devices.sensor import Sensor
from .drivers.modbus import Line
from .scenes import Scene


async def build(path, reader, writer):
    with open(path) as handle:
        config = json.load(handle)
    bus, line = Bus(), Line(reader, writer)
    devices = []
    for entry in config["devices"]:
        if entry["kind"] == "relay":
            devices.append(Relay(bus, entry["name"], line, entry["unit"], entry["coil"]))
        else:
            devices.append(Sensor(bus, entry["name"], entry["address"], entry["quantity"]))
    scenes = [Scene(bus, **scene) for scene in config.get("scenes", [])]
    return bus, devices, scenes


async def poll_for_ever(devices, seconds=5):
    while True:
        await asyncio.gather(*(device.poll() for device in devices), return_exceptions=True)
        await asyncio.sleep(seconds)
