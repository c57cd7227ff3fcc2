from .errors import VaultError
from .samples import Sample
from .species import lookup


class Freezer:
    def __init__(self, celsius, drawers=12, per_drawer=40):
        self.celsius = celsius
        self.drawers = [[] for _ in range(drawers)]
        self.per_drawer = per_drawer

    def store(self, sample: Sample) -> int:
        name, _, wanted = lookup(sample.genus)
        if self.celsius > wanted:
            raise VaultError(f"{name} needs {wanted} degrees")
        for number, drawer in enumerate(self.drawers):
            if len(drawer) < self.per_drawer:
                drawer.append(sample)
                return number
        raise VaultError("freezer is full")
