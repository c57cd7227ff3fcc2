import asyncio
import pathlib

from . import crc

ROOT = pathlib.Path("/sys/bus/w1/devices")


async def read(address):
    path = ROOT / address / "w1_slave"
    try:
        text = await asyncio.to_thread(path.read_text)
    except OSError:
        return None
    raw = bytes.fromhex(text.splitlines()[0].split(":")[0])
    if crc.dallas(raw[:8]) != raw[8]:
        return None
    return int.from_bytes(raw[:2], "little", signed=True) / 16
