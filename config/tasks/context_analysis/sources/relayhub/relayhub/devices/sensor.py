from ..bus import Bus
from ..drivers import onewire
from .base import Device

LIMITS = {"temperature": (-40.0, 85.0), "humidity": (0.0, 100.0), "light": (0.0, 120_000.0)}


class Sensor(Device):
    def __init__(self, bus: Bus, name: str, address: str, quantity: str, smooth: float = 0.3):
        super().__init__(bus, name)
        self.address, self.quantity, self.smooth = address, quantity, smooth
        self.value = None
        self.rejected = 0

    def accept(self, raw):
        low, high = LIMITS[self.quantity]
        if raw is None or raw != raw:
            return False
        if not low <= raw <= high or (self.quantity == "temperature" and raw == 85.0):
            self.rejected += 1
            return False
        if self.value is not None and abs(raw - self.value) > (high - low) / 4:
            self.rejected += 1
            return self.rejected % 5 == 0
        return True

    async def poll(self):
        raw = await onewire.read(self.address)
        self.online = raw is not None
        if self.accept(raw):
            self.value = raw if self.value is None else self.value + self.smooth * (raw - self.value)
            await self.report(self.quantity, round(self.value, 1))
