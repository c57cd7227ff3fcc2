"""Archives made to do harm are refused with one line, before anything is written and without filling the memory."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.archive import ArchiveError, unpack, verify
from ai_dev_tools.benchmark.archive.container import (
    COMMENT_BYTES,
    ArchiveLimits,
    Member,
    is_intact,
    new_archive,
    open_archive,
)
from ai_dev_tools.benchmark.archive.structure import ZipEntry, check_members
from support.zips import Part, seal, zip_bytes


def _named(*names: str) -> bytes:
    return zip_bytes([Part(name) for name in names])


def _of_kind(kind: int) -> bytes:
    return zip_bytes([Part("link", b"/etc/passwd", central={"attributes": (kind | 0o777) << 16})])


def _headers(**fields: int | bytes) -> bytes:
    return zip_bytes([Part("a", local=fields, central=fields)])


NAME = "absolute, too long, or holds characters"
OUTSIDE = "leads out of the folder"
TWO_WAYS = "read in two ways"
KIND = "is a link or something else"
METHOD = "encrypted or compressed in another way"
DISAGREE = "the two headers of member 'a' disagree"
EXTRA = "has an extra field"
NOTHING = "belong to nothing"
OTHER = "a comment, a date, a disk or a version"
COUNTS = "refused: it counts"
PLAIN_ZIP64 = struct.pack("<2H2Q", 1, 16, 1, 3)
UNICODE_PATH = struct.pack("<2HBL", 0x7075, 5 + len("Snakefile"), 1, 0) + b"Snakefile"
TWO = [Part("a"), Part("b")]

HARM: dict[str, tuple[bytes, str]] = {
    "leads out of the folder": (_named("../../evil"), OUTSIDE),
    "leads out in the middle": (_named("results/../../evil"), OUTSIDE),
    "is absolute": (_named("/etc/cron.d/evil"), NAME),
    "has a Windows drive": (_named("C:/evil"), NAME),
    "has backslashes": (_named("..\\evil"), NAME),
    "has an empty part": (_named("a//b"), OUTSIDE),
    "is a device": (_named("results/CON.txt"), OUTSIDE),
    "ends with a dot": (_named("results/a."), OUTSIDE),
    "has control characters": (_named("a\x1b[2Jb"), NAME),
    "has a NUL": (_named("a\0.txt"), NAME),
    "has control characters beyond ASCII": (_named("a\x9b2Jb"), TWO_WAYS),
    "turns the writing direction": (_named("a\u202egnp.exe"), TWO_WAYS),
    "has a name in two normal forms": (_named(unicodedata.normalize("NFD", "é")), TWO_WAYS),
    "has a UTF-8 name without saying so": (zip_bytes([Part("é", local={"flags": 0}, central={"flags": 0})]), TWO_WAYS),
    "says UTF-8 of a name in ASCII": (_headers(flags=0x800), TWO_WAYS),
    "has a name that is no UTF-8": (zip_bytes([Part(b"\xff")]), TWO_WAYS),
    "has no name": (_named(""), NAME),
    "occurs twice": (_named("a", "a"), "collides"),
    "differs in case only": (_named("Results/a", "results/A"), "collides"),
    "folds to another name": (_named("straße", "STRASSE"), "collides"),
    "is a file and a folder": (_named("a", "a/b"), "collides"),
    "is a folder and a file": (_named("a/b", "A"), "collides"),
    "is a folder": (_named("a/"), KIND),
    "is very long": (_named("a" * 300), NAME),
    "has a name of few long characters": (_named("語" * 100), NAME),
    "is a symbolic link": (_of_kind(stat.S_IFLNK), KIND),
    "is a device node": (_of_kind(stat.S_IFCHR), KIND),
    "is a folder to DOS": (zip_bytes([Part("a", central={"attributes": 0o100644 << 16 | 0x10})]), KIND),
    "may be run": (zip_bytes([Part("a", central={"attributes": 0o100755 << 16})]), KIND),
    "is stored": (_headers(method=0), METHOD),
    "is compressed by bzip2": (_headers(method=12), METHOD),
    "is compressed by LZMA": (_headers(method=14), METHOD),
    "is encrypted": (_headers(flags=1), METHOD),
    "is strongly encrypted": (_headers(flags=0x41), METHOD),
    "has its sizes behind it": (_headers(flags=8), METHOD),
    "is of another system": (zip_bytes([Part("a", central={"made": 20})]), OTHER),
    "needs another version": (_headers(needed=63), OTHER),
    "is on another disk": (zip_bytes([Part("a", central={"disk": 1})]), OTHER),
    "has a comment": (zip_bytes([Part("a", comment=b"hi")]), OTHER),
    "is from another day": (_headers(date=0x5A21), OTHER),
    "has another name for some programs": (zip_bytes([Part("a", extra=UNICODE_PATH)]), EXTRA),
    "has another name in its own header": (zip_bytes([Part("a", local_extra=UNICODE_PATH)]), EXTRA),
    "has an owner": (zip_bytes([Part("a", extra=struct.pack("<2H", 0x7875, 0))]), EXTRA),
    "has sizes that only some programs read": (zip_bytes([Part("a", extra=PLAIN_ZIP64)]), EXTRA),
    "has half of an extra field": (zip_bytes([Part("a", local_extra=b"\1\0\x10")]), EXTRA),
    "has two names": (zip_bytes([Part("a", local={"name": b"b"})]), DISAGREE),
    "has two sizes": (zip_bytes([Part("a", local={"unpacked": 2})]), DISAGREE),
    "has two packed sizes": (zip_bytes([Part("a", local={"packed": 0})]), DISAGREE),
    "has two checksums": (zip_bytes([Part("a", local={"crc": 0})]), DISAGREE),
    "has two methods": (zip_bytes([Part("a", local={"method": 0})]), DISAGREE),
    "is encrypted in its own header": (zip_bytes([Part("a", local={"flags": 1})]), DISAGREE),
    "has two times": (zip_bytes([Part("a", local={"time": 1})]), DISAGREE),
    "has two versions": (zip_bytes([Part("a", local={"needed": 45})]), DISAGREE),
    "has no header": (zip_bytes([Part("a", local={"mark": b"PK\0\0"})]), DISAGREE),
    "follows a gap": (zip_bytes([Part("a"), Part("b", gap=b"gap")]), NOTHING),
    "is followed by a hidden member": (zip_bytes([Part("a", behind=zip_bytes([Part("h")])[:34]), Part("b")]), NOTHING),
    "is in another order": (zip_bytes([Part("a"), Part("b", central={"offset": 0})]), NOTHING),
    "overlaps another one": (zip_bytes([Part("a", central={"packed": 99}, local={"packed": 99}), Part("b")]), NOTHING),
    "follows other data": (zip_bytes([Part("a")], prefix=b"#!/bin/sh\n"), NOTHING),
    "stands before other data": (zip_bytes([Part("a")], before_directory=b"more"), NOTHING),
    "is one of two that are counted": (zip_bytes(TWO, end={"here": 1, "members": 1}), COUNTS),
    "is one of three that are counted": (zip_bytes(TWO, end={"here": 3, "members": 3}), COUNTS),
    "is counted in two ways": (zip_bytes(TWO, end={"here": 1}), "one of several disks"),
    "is on one of several disks": (zip_bytes(TWO, end={"disk": 1}), "one of several disks"),
    "is a zip bomb": (zip_bytes([Part("a", bytes(300 << 20))]), "would unpack to"),
}


@pytest.mark.parametrize("what", HARM)
def test_a_member_that_could_do_harm_is_refused(what: str, tmp_path: Path) -> None:
    data, reason = HARM[what]
    path = seal(tmp_path / "evil.zip", data)
    assert is_intact(path)
    with pytest.raises(ArchiveError, match=r"refused") as refused:
        unpack(path, tmp_path / "out" / "deep")
    assert reason in str(refused.value)
    assert str(refused.value).isprintable()
    assert [file.name for file in tmp_path.iterdir()] == ["evil.zip"], "nothing is written"


DAMAGED = {
    "offsets that are shifted": zip_bytes([Part("a")], prefix=b"12", shift=-2),
    "bytes behind the directory": zip_bytes([Part("a")], behind_directory=b"more"),
    "a directory of another place": zip_bytes([Part("a")], end={"start": 0}),
    "a directory of another length": zip_bytes([Part("a")], end={"length": 1}),
    "no end": zip_bytes([Part("a")])[:-8],
    "nothing": b"",
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_file_with_bytes_that_no_program_can_place_is_refused(what: str, tmp_path: Path) -> None:
    result = verify(seal(tmp_path / "evil.zip", DAMAGED[what]))
    assert "NOT VALID" in result.line
    assert "refused" in result.line or "not an archive that can be read" in result.line


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Part("a", data=b"K\x04\0more"), "does not end where it says"),
        (Part("a", local={"crc": 1}, central={"crc": 1}), "Bad CRC-32"),
        (Part("a", local={"unpacked": 0}, central={"unpacked": 0}), "does not end where it says"),
        (Part("a", local={"unpacked": 2}, central={"unpacked": 2}), "does not end where it says"),
        (Part("a", data=b"K"), "cut short"),
    ],
)
def test_a_member_whose_content_is_not_what_its_header_says_is_damaged(part: Part, said: str, tmp_path: Path) -> None:
    path = seal(tmp_path / "a.zip", zip_bytes([part]))
    with open_archive(path) as archive, pytest.raises(ArchiveError, match="a is damaged") as damaged:
        archive.read("a")
    assert said in str(damaged.value)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a mistake"), KeyError("a")])
def test_what_the_reader_of_a_member_does_wrong_is_not_damage(error: Exception, tmp_path: Path) -> None:
    with new_archive(tmp_path / "a.zip") as writer:
        writer.add(Member("a", b"x"))
    with open_archive(tmp_path / "a.zip") as archive, pytest.raises(type(error)) as caught, archive.open("a"):
        raise error
    assert caught.value is error


def test_what_this_project_writes_is_what_it_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names beyond ASCII, empty members, members whose header has 64-bit sizes: all of them, byte for byte."""
    monkeypatch.setattr("ai_dev_tools.benchmark.archive.container.LARGE", 0)
    (tmp_path / "large").write_bytes(bytes(1000))
    with new_archive(tmp_path / "a.zip") as writer:
        for member in (Member("a", b""), Member("é/語.txt", b"x" * 99), Member("zeros", tmp_path / "large")):
            writer.add(member)
    with open_archive(tmp_path / "a.zip") as archive:
        assert {name: archive.digest(name) for name in archive.members} == writer.digests


def test_a_directory_of_millions_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = seal(tmp_path / "many.zip", _named(*(f"f{number}" for number in range(300))))
    with pytest.raises(ArchiveError, match="lists 300 members"), open_archive(path, ArchiveLimits(members=200)):
        pass


@pytest.mark.slow
def test_more_members_than_a_plain_directory_can_count(tmp_path: Path) -> None:
    """Python writes a second, larger end then; both say the same."""
    path = tmp_path / "many.zip"
    with new_archive(path) as writer:
        for number in range(66_000):
            writer.add(Member(f"f{number}", b""))
    with open_archive(path) as archive:
        assert len(archive.members) == 66_000
    data = bytearray(path.read_bytes()[:-COMMENT_BYTES])
    data[-14] ^= 1
    assert "refused" in verify(seal(path, bytes(data))).line


def test_a_manifest_that_lies_about_a_size_is_found(tmp_path: Path) -> None:
    with new_archive(tmp_path / "a.zip") as writer:
        writer.add(Member("manifest.json", b'{"format": 1e999, "files": {"x": {"bytes": 99999999999999999999999}}}'))
    assert "is not a manifest" in verify(tmp_path / "a.zip").line


@given(st.text(min_size=1, max_size=30))
def test_an_accepted_name_stays_inside_the_folder(name: str) -> None:
    try:
        check_members([ZipEntry(name, 1, 1, 0, 0)], 1000)
    except ArchiveError:
        return
    target = Path("/target") / name
    assert target.is_relative_to("/target")
    assert ".." not in target.parts
    assert str(target) == f"/target/{name}"


def test_checking_a_bomb_takes_little_memory(tmp_path: Path) -> None:
    """One member of 160 MB of zeros, within the allowed ratio by padding: hashed, never held."""
    with new_archive(tmp_path / "bomb.zip") as writer:
        writer.add(Member("padding", os.urandom(2 << 20)))
        with open(tmp_path / "zeros", "wb") as zeros:
            zeros.truncate(160 << 20)
        writer.add(Member("results/light/blocks/m/t.jsonl", tmp_path / "zeros"))
    path = tmp_path / "bomb.zip"
    code = (
        "import resource, sys; from pathlib import Path; from ai_dev_tools.benchmark.archive import verify;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; assert not verify(Path(sys.argv[1])).ok;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000, "kilobytes beyond the imports"
