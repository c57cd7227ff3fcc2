import abc

from ..bus import Bus


class Device(abc.ABC):
    def __init__(self, bus: Bus, name: str):
        self.bus = bus
        self.name = name
        self.online = False

    @abc.abstractmethod
    async def poll(self):
        """Ask the hardware for its state and publish what changed."""

    async def report(self, what, value):
        topic = f"{self.name}/{what}"
        if self.bus.last.get(topic) != value:
            await self.bus.publish(topic, value)
