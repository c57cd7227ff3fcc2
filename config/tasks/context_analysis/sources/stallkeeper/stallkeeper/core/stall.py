from dataclasses import dataclass, field


@dataclass
class Stall:
    number: int
    trader: str
    goods: frozenset[str]
    metres: float
    power: bool = False
    warnings: list[str] = field(default_factory=list)
