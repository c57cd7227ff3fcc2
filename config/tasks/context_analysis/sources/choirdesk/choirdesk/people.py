from dataclasses import dataclass, field

VOICES = ("soprano", "alto", "tenor", "bass")


@dataclass
class Singer:
    name: str
    voice: str
    mail: str
    present: set = field(default_factory=set)
    paid: int = 0

    def __post_init__(self):
        if self.voice not in VOICES:
            raise ValueError(self.voice)

    def row(self, choir, width):
        from .seating import rows

        return next((n for n, names in enumerate(rows(choir, width)) if self.name in names), None)
