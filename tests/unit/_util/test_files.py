"""A write of a file happens wholly or not at all, and a reason that prevents it is one line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark.errors import ConfigurationError


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b" / "0.json", b"x")
    assert leftovers(tmp_path / "a" / "b") == ["0.json"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell of descriptors")
def test_the_disk_knows_the_content_before_the_name_and_then_the_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "0.json", []

    def note(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, path.exists()))

    monkeypatch.setattr(os, "fsync", note)
    write_atomically(path, b"x")
    assert synced == [(f".0.json.{os.getpid()}.tmp", False), (tmp_path.name, True)]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "0.json"
    path.write_bytes(b"old")

    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(ConfigurationError) as caught:
        write_atomically(path, b"new")
    assert str(path) in str(caught.value)
    assert "Free disk space" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == ["0.json"]


def test_parts_that_cannot_be_made_keep_the_old_file_and_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "block.jsonl"
    path.write_bytes(b"old")

    def parts() -> Iterator[bytes]:
        yield b"new"
        raise ConfigurationError("a sample was removed")

    with pytest.raises(ConfigurationError, match="a sample was removed"):
        write_atomically(path, parts())
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == ["block.jsonl"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark._util.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), b"x" * 5000)
except ConfigurationError as error:
    print(error)
"""


def test_a_disk_without_room_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "0.json"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write {path}: ")
    assert done.stderr == ""
    assert leftovers(tmp_path) == []


def test_a_read_only_file_system_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("ai_dev_tools.benchmark._util.files.open", refuse, raising=False)
    with pytest.raises(ConfigurationError, match=r"Read-only file system.*make the results folder writable"):
        write_atomically(tmp_path / "0.json", b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ConfigurationError, match="make the results folder writable"):
            write_atomically(tmp_path / "sub" / "0.json", b"x")
    finally:
        tmp_path.chmod(0o700)


def test_a_file_where_a_folder_should_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot write .*Not a directory|cannot write .*File exists"):
        write_atomically(tmp_path / "results" / "light" / "0.json", b"x")


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """A writer that is killed over and over leaves one of its two whole contents behind."""
    path = tmp_path / "0.json"
    code = (
        "import sys; from pathlib import Path; from ai_dev_tools.benchmark._util.files import write_atomically\n"
        "while True:\n    [write_atomically(Path(sys.argv[1]), c * 200_000) for c in (b'a', b'b')]"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, path])
    try:
        while not path.exists():
            assert writer.poll() is None
        for _ in range(60):
            data = path.read_bytes()
            assert len(data) == 200_000
            assert len(set(data)) == 1
    finally:
        writer.kill()
        writer.wait()
    assert len(set(path.read_bytes())) == 1
