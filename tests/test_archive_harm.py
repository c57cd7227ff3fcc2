"""Archives made to do harm are refused with one line, before anything is written and without filling the memory."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark.archive import ArchiveError, unpack, verify
from ai_dev_tools.benchmark.archive.container import (
    COMMENT_BYTES,
    TAG,
    Limits,
    Member,
    check_members,
    is_intact,
    new_archive,
    open_archive,
)

Make = Callable[[zipfile.ZipFile], None]


def sealed(path: Path, make: Make) -> Path:
    """A zip with a correct seal, so that nothing but its members can be the reason to refuse it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        make(archive)
        archive.comment = TAG + b"0" * 64
    data = path.read_bytes()[:-COMMENT_BYTES]
    path.write_bytes(data + TAG + hashlib.sha256(data).hexdigest().encode())
    return path


def _named(*names: str) -> Make:
    def make(archive: zipfile.ZipFile) -> None:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"x")

    return make


def _of_kind(kind: int) -> Make:
    def make(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("link")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, b"/etc/passwd")

    return make


def _compressed(method: int) -> Make:
    return lambda archive: archive.writestr("a", b"x", compress_type=method)


def _bomb(archive: zipfile.ZipFile) -> None:
    with archive.open("manifest.json", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))


HARM: dict[str, Make] = {
    "leads out of the folder": _named("../../evil"),
    "leads out in the middle": _named("results/../../evil"),
    "is absolute": _named("/etc/cron.d/evil"),
    "has a Windows drive": _named("C:/evil"),
    "has backslashes": _named("..\\evil"),
    "has an empty part": _named("a//b"),
    "is a device": _named("results/CON.txt"),
    "ends with a dot": _named("results/a."),
    "has control characters": _named("a\x1b[2Jb"),
    "has a name in two normal forms": _named(unicodedata.normalize("NFD", "é")),
    "is there twice": _named("a", "a"),
    "differs in case only": _named("Results/a", "results/A"),
    "folds to another name": _named("straße", "STRASSE"),
    "is a file and a folder": _named("a", "a/b"),
    "is a folder and a file": _named("a/b", "A"),
    "is a folder": _named("a/"),
    "is very long": _named("a" * 300),
    "is a symbolic link": _of_kind(stat.S_IFLNK),
    "is a device node": _of_kind(stat.S_IFCHR),
    "is compressed by bzip2": _compressed(zipfile.ZIP_BZIP2),
    "is compressed by LZMA": _compressed(zipfile.ZIP_LZMA),
    "is a zip bomb": _bomb,
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", HARM)
def test_a_member_that_could_do_harm_is_refused(what: str, tmp_path: Path) -> None:
    path = sealed(tmp_path / "evil.zip", HARM[what])
    assert is_intact(path)
    with pytest.raises(ArchiveError, match=r"refused") as refused:
        unpack(path, tmp_path / "out" / "deep")
    assert "\n" not in str(refused.value)
    assert [file.name for file in tmp_path.iterdir()] == ["evil.zip"], "nothing is written"


def test_members_that_overlap_are_refused() -> None:
    infos = [zipfile.ZipInfo("a"), zipfile.ZipInfo("b")]
    for info in infos:
        info.compress_size, info.file_size, info.header_offset = 1000, 1000, 0
    with pytest.raises(ArchiveError, match="overlap"):
        check_members(infos, 5000)


def test_a_directory_of_millions_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = sealed(tmp_path / "many.zip", _named(*(f"f{number}" for number in range(300))))
    with pytest.raises(ArchiveError, match="lists 300 members"), open_archive(path, Limits(members=200)):
        pass


def test_data_before_the_zip_is_refused(tmp_path: Path) -> None:
    path = sealed(tmp_path / "a.zip", _named("a"))
    data = b"#!/bin/sh\n" + path.read_bytes()[:-COMMENT_BYTES]
    path.write_bytes(data + TAG + hashlib.sha256(data).hexdigest().encode())
    with pytest.raises(ArchiveError, match="not where it says"), open_archive(path):
        pass


def test_a_manifest_that_lies_about_a_size_is_found(tmp_path: Path) -> None:
    with new_archive(tmp_path / "a.zip") as writer:
        writer.add(Member("manifest.json", b'{"format": 1e999, "files": {"x": {"bytes": 99999999999999999999999}}}'))
    assert "is not a manifest" in verify(tmp_path / "a.zip").line


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_an_accepted_name_stays_inside_the_folder(name: str) -> None:
    info = zipfile.ZipInfo("a")
    info.filename = info.orig_filename = name
    info.header_offset = 0
    try:
        check_members([info], 1000)
    except ArchiveError:
        return
    target = Path("/target") / name
    assert target.is_relative_to("/target")
    assert ".." not in target.parts
    assert str(target) == f"/target/{name}"


def test_checking_a_bomb_takes_little_memory(tmp_path: Path) -> None:
    """One member of a gigabyte of zeros, within the allowed ratio by stored padding: hashed, never held."""

    def make(archive: zipfile.ZipFile) -> None:
        archive.writestr("padding", bytes(4 << 20), compress_type=zipfile.ZIP_STORED)
        with archive.open("results/light/blocks/m/t.jsonl", "w", force_zip64=True) as member:
            for _ in range(512):
                member.write(bytes(1 << 20))

    path = sealed(tmp_path / "bomb.zip", make)
    code = (
        "import resource, sys; from pathlib import Path; from ai_dev_tools.benchmark.archive import verify;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; assert not verify(Path(sys.argv[1])).ok;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300_000, "kilobytes beyond the imports"
