import asyncio
import struct

from . import crc


class Line:
    """A serial line with Modbus RTU devices; one request at a time."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.lock = asyncio.Lock()

    async def request(self, unit, function, payload, size):
        frame = struct.pack("!BB", unit, function) + payload
        frame += struct.pack("<H", crc.modbus(frame))
        async with self.lock:
            self.writer.write(frame)
            try:
                reply = await asyncio.wait_for(self.reader.readexactly(size), 0.5)
            except (asyncio.TimeoutError, asyncio.IncompleteReadError):
                return None
        good = struct.pack("<H", crc.modbus(reply[:-2])) == reply[-2:]
        return reply[2:-2] if good and reply[0] == unit and reply[1] == function else None

    async def read_coil(self, unit, coil):
        data = await self.request(unit, 1, struct.pack("!HH", coil, 1), 6)
        return None if data is None else bool(data[1] & 1)

    async def write_coil(self, unit, coil, on):
        return await self.request(unit, 5, struct.pack("!HH", coil, 0xFF00 if on else 0), 8)
