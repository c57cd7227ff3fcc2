from dataclasses import dataclass, field

from ..errors import PatchError

PROFILES = {
    "dimmer": ("level",),
    "par": ("level", "red", "green", "blue"),
    "spot": ("level", "pan", "tilt", "iris"),
}


@dataclass
class Fixture:
    name: str
    kind: str
    universe: int
    address: int
    values: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        if self.kind not in PROFILES:
            raise PatchError(f"{self.name}: unknown kind {self.kind}")
        if not 1 <= self.address <= 513 - len(PROFILES[self.kind]):
            raise PatchError(f"{self.name}: address {self.address}")
        for attribute in PROFILES[self.kind]:
            self.values.setdefault(attribute, 0.0)

    def channels(self):
        for offset, attribute in enumerate(PROFILES[self.kind]):
            yield self.address + offset, round(self.values[attribute] * 255)
