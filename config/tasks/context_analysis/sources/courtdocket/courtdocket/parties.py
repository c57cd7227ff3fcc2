from dataclasses import dataclass, field


@dataclass(frozen=True)
class Party:
    name: str
    role: str
    counsel: str = ""
    address: tuple[str, ...] = field(default=())

    def salutation(self):
        return f"Dear {self.counsel or self.name},"
