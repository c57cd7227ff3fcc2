from ..bus import Bus
from ..drivers.modbus import Line
from .base import Device


class Relay(Device):
    def __init__(self, bus: Bus, name: str, line: Line, unit: int, coil: int):
        super().__init__(bus, name)
        self.line, self.unit, self.coil = line, unit, coil
        bus.listen(f"{name}/set", self.on_set)

    async def on_set(self, topic, value):
        await self.line.write_coil(self.unit, self.coil, bool(value))
        await self.poll()

    async def poll(self):
        state = await self.line.read_coil(self.unit, self.coil)
        self.online = state is not None
        await self.report("state", state)
