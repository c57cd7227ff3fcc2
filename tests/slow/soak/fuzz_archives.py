"""Mutations of a real archive: every one is refused, or unpacks to the same bytes with `unzip`, Python's zipfile and `bsdtar`.

    python tests/slow/soak/fuzz_archives.py --seconds 3600

A mutation is sealed again, as a forger would, so that the seal is never the reason to refuse. Where `unzip` or `bsdtar` are not
installed, the others are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ai_dev_tools.benchmark.archive import ArchiveError
from ai_dev_tools.benchmark.archive.container import COMMENT_BYTES, TAG, open_archive

Mutation = Callable[[bytearray, random.Random], None]
HEADERS = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07")
SIZES = {b"PK\x03\x04": 30, b"PK\x01\x02": 46, b"PK\x05\x06": 22, b"PK\x06\x06": 56, b"PK\x06\x07": 20}
TELLING = (0, 1, 2, 7, 8, 0x14, 0x7F, 0x80, 0xFE, 0xFF, 0x2F, 0x5C, 0x2E)
EXTRAS = (0x0001, 0x7075, 0x5455, 0x7875, 0x000A, 0x9901, 0x6375, 0xCAFE)


@dataclass
class Outcome:
    """What a fuzz run came to."""

    tried: int = 0
    accepted: int = 0
    wrong: list[str] = field(default_factory=list)
    by_mutation: Counter[str] = field(default_factory=Counter)


def _places(data: bytes, marks: tuple[bytes, ...] = HEADERS) -> list[tuple[int, bytes]]:
    found = []
    for mark in marks:
        place = data.find(mark)
        while place >= 0:
            found.append((place, mark))
            place = data.find(mark, place + 1)
    return sorted(found)


def flip(data: bytearray, rng: random.Random) -> None:
    """Some bits, anywhere."""
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def header(data: bytearray, rng: random.Random) -> None:
    """A byte of one header, or of the name behind it."""
    place, mark = rng.choice(_places(data))
    at = place + rng.randrange(4, SIZES[mark] + 12)
    if at < len(data):
        data[at] = rng.choice([*TELLING, rng.randrange(256)])


def both_headers(data: bytearray, rng: random.Random) -> None:
    """The same field of a member's two headers."""
    locals_ = _places(data, HEADERS[:1])
    centrals = _places(data, HEADERS[1:2])
    number = rng.randrange(min(len(locals_), len(centrals)))
    offset = rng.randrange(0, 26)
    value = rng.choice([*TELLING, rng.randrange(256)])
    data[locals_[number][0] + 4 + offset] = value
    data[centrals[number][0] + 6 + offset] = value


def cut(data: bytearray, rng: random.Random) -> None:
    """The end, the start, or a piece is missing."""
    start = rng.randrange(len(data))
    end = rng.choice([len(data), start + rng.randint(1, 64), start + rng.randrange(1, 5000)])
    if rng.random() < 0.2:
        start, end = 0, rng.randint(1, 100)
    del data[start:end]


def insert(data: bytearray, rng: random.Random) -> None:
    """Bytes in between, often at the border of two records."""
    place = rng.choice([rng.randrange(len(data)), *(where for where, _ in rng.sample(_places(data), 3))])
    data[place:place] = rng.choice([rng.randbytes(rng.randint(1, 60)), bytes(rng.randint(1, 60)), *HEADERS])


def splice(data: bytearray, rng: random.Random) -> None:
    """A piece of the archive once more, in another place: members twice, headers over data."""
    places = [place for place, _ in _places(data)]
    start = rng.choice(places)
    end = min(len(data), next((p for p in places if p > start), start + 100))
    piece, target = data[start:end], rng.choice([*places, len(data)])
    if rng.random() < 0.5:
        data[target:target] = piece
    else:
        data[target : target + len(piece)] = piece


def _end(data: bytearray) -> int:
    return data.rfind(b"PK\x05\x06")


def extra_field(data: bytearray, rng: random.Random) -> None:
    """An extra field in one header, with all lengths and offsets right."""
    kind = rng.choice(EXTRAS)
    content = rng.choice(
        [b"\1" + struct.pack("<L", rng.randrange(1 << 32)) + b"Snakefile", rng.randbytes(8), b"", bytes(24)]
    )
    extra = struct.pack("<2H", kind, len(content)) + content
    end = _end(data)
    start = struct.unpack_from("<L", data, end + 16)[0]
    centrals = [place for place, _ in _places(data, HEADERS[1:2]) if place >= start]
    if rng.random() < 0.5:
        place = rng.choice(centrals)
        name, length = struct.unpack_from("<2H", data, place + 28)
        struct.pack_into("<H", data, place + 30, length + len(extra))
        data[place + 46 + name : place + 46 + name] = extra
        struct.pack_into("<L", data, end + len(extra) + 12, end - start + len(extra))
        return
    place = rng.choice(centrals)
    offset = struct.unpack_from("<L", data, place + 42)[0]
    name, length = struct.unpack_from("<2H", data, offset + 26)
    struct.pack_into("<H", data, offset + 28, length + len(extra))
    at = offset + 30 + name
    for other in centrals:
        where = struct.unpack_from("<L", data, other + 42)[0]
        if where > offset:
            struct.pack_into("<L", data, other + 42, where + len(extra))
    struct.pack_into("<L", data, end + 16, start + len(extra))
    data[at:at] = extra


def drop_or_repeat(data: bytearray, rng: random.Random) -> None:
    """A record of the directory left out or twice, with the counts right."""
    end = _end(data)
    start = struct.unpack_from("<L", data, end + 16)[0]
    centrals = [place for place, _ in _places(data, HEADERS[1:2]) if place >= start]
    number = rng.randrange(len(centrals))
    after = centrals[number + 1] if number + 1 < len(centrals) else end
    record = data[centrals[number] : after]
    change = rng.choice([-1, 1])
    if change < 0:
        del data[centrals[number] : after]
    else:
        data[after:after] = record
    end += change * len(record)
    count = len(centrals) + change
    struct.pack_into("<2HL", data, end + 8, count, count, end - start)


def prefix(data: bytearray, rng: random.Random) -> None:
    """Bytes in front, with offsets right or not."""
    size = rng.randint(1, 40)
    end = _end(data)
    start = struct.unpack_from("<L", data, end + 16)[0]
    if rng.random() < 0.5:
        for place, _ in _places(data, HEADERS[1:2]):
            if place >= start:
                struct.pack_into("<L", data, place + 42, struct.unpack_from("<L", data, place + 42)[0] + size)
        struct.pack_into("<L", data, end + 16, start + size)
    data[0:0] = rng.randbytes(size)


MUTATIONS: dict[str, Mutation] = {
    "flip": flip,
    "header": header,
    "both headers": both_headers,
    "cut": cut,
    "insert": insert,
    "splice": splice,
    "extra field": extra_field,
    "record": drop_or_repeat,
    "prefix": prefix,
}


def sealed(data: bytes) -> bytes:
    """A file with the seal that its bytes call for."""
    return data + TAG + hashlib.sha256(data).hexdigest().encode()


def own(path: Path) -> dict[str, str] | None:
    """Checksum of every member as this project reads it; None where it refuses the archive."""
    try:
        with open_archive(path) as archive:
            return {name: archive.digest(name).sha256 for name in archive.members}
    except ArchiveError:
        return None


def python(path: Path, _: Path) -> dict[str, str]:
    """The same by Python's zipfile."""
    with zipfile.ZipFile(path) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def program(*command: str) -> Callable[[Path, Path], dict[str, str]]:
    """The same by a program that unpacks into a folder."""

    def unpack(path: Path, folder: Path) -> dict[str, str]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        words = [word.format(file=path, folder=folder) for word in command]
        done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=120)
        found = [file for file in folder.rglob("*") if not file.is_dir() or file.is_symlink()]
        names = {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in found}
        return names if done.returncode == 0 else names | {"exit code": str(done.returncode)}

    return unpack


READERS = {
    "unzip": program("unzip", "-qq", "-o", "{file}", "-d", "{folder}"),
    "bsdtar": program("bsdtar", "-x", "-f", "{file}", "-C", "{folder}"),
    "Python": python,
}


def installed() -> dict[str, Callable[[Path, Path], dict[str, str]]]:
    """The programs that are there."""
    return {name: read for name, read in READERS.items() if name == "Python" or shutil.which(name)}


def disagreement(path: Path, folder: Path) -> str | None:
    """What a program makes of an accepted archive that this project does not; None where all agree, or it is refused."""
    wanted = own(path)
    if wanted is None:
        return None
    for name, read in installed().items():
        try:
            found = read(path, folder)
        except Exception as error:  # whatever the program stumbles over: it did not unpack what was accepted
            return f"{name} fails: {error}"
        if found != wanted:
            return f"{name} differs: {sorted(set(found.items()) ^ set(wanted.items()))[:3]}"
    return None


def fuzz(archive: Path, folder: Path, *, seconds: float, seed: int, tries: int | None = None) -> Outcome:
    """Mutate, until the time is over or so many mutations were tried.

    Args:
        folder: for mutations and what they unpack to; those that programs disagree about stay there as `wrong-*.zip`.
    """
    rng, outcome, until = random.Random(seed), Outcome(), time.monotonic() + seconds
    whole = archive.read_bytes()[:-COMMENT_BYTES]
    if problem := disagreement(archive, folder / "unpacked"):
        outcome.wrong.append(f"the archive itself: {problem}")
    while time.monotonic() < until and (tries is None or outcome.tried < tries):
        data = bytearray(whole)
        names = [rng.choice(list(MUTATIONS)) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        try:
            for name in names:
                MUTATIONS[name](data, rng)
        except (IndexError, ValueError, struct.error):  # an earlier mutation left nothing to mutate
            continue
        outcome.tried += 1
        outcome.by_mutation.update(names)
        mutated = folder / "mutated.zip"
        mutated.write_bytes(sealed(bytes(data)))
        if own(mutated) is None:
            continue
        outcome.accepted += 1
        if problem := disagreement(mutated, folder / "unpacked"):
            mutated.rename(folder / f"wrong-{len(outcome.wrong)}.zip")
            outcome.wrong.append(f"{' and '.join(names)}: {problem}")
    return outcome


def main() -> int:
    """Command line: fuzzes an archive that the tests make."""
    import pytest

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from support.archived import record_run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, pytest.MonkeyPatch.context() as patch:
        os.nice(10)
        archive = record_run(Path(name) / "project", patch, cases=2, samples=2).archive()
        outcome = fuzz(archive, Path(name), seconds=given.seconds, seed=given.seed)
        kept = [shutil.copy(file, tempfile.gettempdir()) for file in Path(name).glob("wrong-*.zip")]
    print(f"seed {given.seed}: {outcome.tried} mutations, {outcome.accepted} accepted, {len(outcome.wrong)} wrong")
    print(dict(outcome.by_mutation), *outcome.wrong, *kept, sep="\n")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
