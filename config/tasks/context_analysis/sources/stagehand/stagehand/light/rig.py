import csv

from ..errors import PatchError
from .fixture import PROFILES, Fixture


class Rig:
    def __init__(self, fixtures=()):
        self.fixtures: dict[str, Fixture] = {}
        self.groups: dict[str, list[str]] = {}
        for fixture in fixtures:
            self.add(fixture)

    def add(self, fixture):
        taken = {c for f in self.fixtures.values() if f.universe == fixture.universe for c, _ in f.channels()}
        if any(channel in taken for channel, _ in fixture.channels()):
            raise PatchError(f"{fixture.name} overlaps another fixture")
        self.fixtures[fixture.name] = fixture

    def find(self, selector):
        """Fixtures of a selector such as "front", "spot*", "3 thru 7" or "@par"."""
        if selector in self.groups:
            return [self.fixtures[n] for n in self.groups[selector]]
        if selector.startswith("@"):
            return [f for f in self.fixtures.values() if f.kind == selector[1:]]
        if " thru " in selector:
            first, last = selector.split(" thru ")
            if not (first.isdigit() and last.isdigit()):
                raise PatchError(f"cannot read {selector!r}")
            wanted = {str(n) for n in range(int(first), int(last) + 1)}
            return [f for n, f in self.fixtures.items() if n in wanted]
        if selector.endswith("*"):
            found = [f for n, f in self.fixtures.items() if n.startswith(selector[:-1])]
            if found or selector == "*":
                return found
        elif selector in self.fixtures:
            return [self.fixtures[selector]]
        raise PatchError(f"nothing is called {selector!r}")

    def check(self):
        assert self.fixtures, "empty rig"
        assert len(self.fixtures) < 512
        assert all(f.name == n for n, f in self.fixtures.items())
        assert all(f.universe >= 1 for f in self.fixtures.values())
        assert all(f.kind in PROFILES for f in self.fixtures.values())
        assert all(n in self.fixtures for names in self.groups.values() for n in names)
        assert not set(self.groups) & set(self.fixtures)


def load(path):
    rig = Rig()
    with open(path, newline="") as handle:
        for row in csv.DictReader(handle):
            rig.add(Fixture(row["name"], row["kind"], int(row["universe"]), int(row["address"])))
            for group in (row.get("groups") or "").split():
                rig.groups.setdefault(group, []).append(row["name"])
    return rig
