import wave
from dataclasses import dataclass

from ..errors import ShowError


@dataclass
class Clip:
    path: str
    gain: float = 1.0
    loop: bool = False

    def seconds(self):
        try:
            with wave.open(self.path) as handle:
                return handle.getnframes() / handle.getframerate()
        except (OSError, wave.Error) as problem:
            raise ShowError(f"{self.path}: {problem}") from problem
