"""Sample files: what is written is read, what is not a sample is noticed, and a write happens wholly or not at all."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.paths import safe_model, sample_file, superseded_file
from ai_dev_tools.benchmark.records.sample import (
    Attempt,
    Resources,
    Sample,
    SampleError,
    decode,
    encode,
    read_block,
    read_sample,
    write_atomically,
    write_block,
    write_sample,
)
from support.making import sample

FIELDS = [
    "profile",
    "instance",
    "model",
    "model_digest",
    "task",
    "case",
    "cluster",
    "approach",
    "sample",
    "repeat",
    "seed",
    "status",
    "error",
    "response",
    "answer",
    "score",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "duration_s",
    "time_to_first_token_s",
    "load_s",
    "prompt_eval_s",
    "eval_s",
    "rest_s",
    "tool_s",
    "prompt_cached_tokens",
    "resources",
    "plan",
    "done_reason",
    "attempts",
    "order",
    "in_flight",
    "started_at",
    "flags",
    "request",
    "endpoint",
]

words = st.text(max_size=8)
seconds = st.none() | st.floats(0, 1e6)
tokens = st.none() | st.integers(0, 2**40)
answers = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
samples = st.builds(
    lambda **changed: sample(**changed),
    case=words,
    sample=st.integers(0, 10**6),
    status=st.sampled_from(["completed", "failed", "timeout"]),
    error=st.none() | st.builds(SampleError, words, words),
    response=st.none() | words,
    answer=answers,
    score=st.none() | st.floats(0, 1),
    input_tokens=tokens,
    duration_s=seconds,
    rest_s=seconds,
    resources=st.builds(Resources, seconds, tokens, seconds),
    plan=st.none() | words,
    attempts=st.lists(
        st.builds(Attempt, words, st.floats(0, 100), st.none() | st.builds(SampleError, words, words)), max_size=3
    ),
    flags=st.lists(words, max_size=3),
)


# --- the record ---------------------------------------------------------------------------------------------------


@given(samples)
def test_a_sample_survives_writing_and_reading(record: Sample) -> None:
    assert decode(encode(record)) == record


@given(samples)
def test_the_indented_file_is_the_same_record(record: Sample) -> None:
    assert decode(msgspec.json.format(encode(record), indent=1)) == record


def test_a_sample_file_holds_every_promised_field(tmp_path: Path) -> None:
    write_sample(tmp_path / "0.json", sample(error=SampleError("timeout", "slow"), status="timeout"))
    data = json.loads((tmp_path / "0.json").read_text())
    assert set(FIELDS) <= set(data)
    assert set(data["error"]) == {"class", "message"}
    assert set(data["resources"]) == {"server_cpu_s", "server_peak_rss_bytes", "other_cpu_s", "measured_s"}
    assert set(data["request"]) == {"api", "digest", "prompt_sha256", "options", "protocol"}
    assert set(data["endpoint"]) == {"kind", "version"}


def test_every_field_is_documented(tmp_path: Path) -> None:
    from ai_dev_tools.cli.reference import sample_reference

    page = sample_reference()
    assert all(f"| `{field}` |" in page for field in FIELDS)
    assert "| `duration_s` | float or None | s |" in page
    assert "| `class` | str |" in page


def _as_earlier(record: Sample) -> bytes:
    """The record as versions before wrote it: `rest_s` was called `queue_s`, and two fields were missing."""
    data = json.loads(encode(record))
    del data["total_s"], data["tool_other_cpu_s"]
    return json.dumps({"queue_s" if name == "rest_s" else name: value for name, value in data.items()}).encode()


@given(samples)
def test_a_sample_of_an_earlier_version_is_read_with_its_old_names(record: Sample) -> None:
    assert decode(_as_earlier(record)) == record


def test_the_old_name_of_a_field_means_nothing_in_an_answer_or_next_to_the_new_one() -> None:
    record = sample(answer={"queue_s": 1, "rest_s": 2}, rest_s=0.5)
    assert decode(_as_earlier(record)) == record
    with pytest.raises(msgspec.ValidationError):
        decode(json.dumps(json.loads(encode(record)) | {"queue_s": 0.1}).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"sample": "0"},
        {"sample": 0.5},
        {"status": "done"},
        {"input_tokens": "100"},
        {"seed": None},
        {"attempts": 1},
        {"error": {"class": "x", "message": "y", "more": 1}},
        {"request": {}},
        {"flags": "output_capped"},
    ],
    ids=str,
)
def test_a_record_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    data = json.dumps(json.loads(encode(sample())) | change)
    with pytest.raises(msgspec.ValidationError):
        decode(data.encode())


@pytest.mark.parametrize("field", FIELDS)
def test_a_record_without_a_field_is_refused(field: str) -> None:
    data = json.loads(encode(sample()))
    del data[field]
    with pytest.raises(msgspec.ValidationError, match=field):
        decode(json.dumps(data).encode())


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, encode(sample())[:-5], encode(sample()) * 2, b"\0" * 512],
    ids=lambda content: repr(content[:12]),
)
def test_a_file_that_is_no_sample_is_one_line_that_names_it(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "0.json"
    path.write_bytes(content)
    found = read_sample(path)
    assert isinstance(found, str)
    assert str(path) in found
    assert "\n" not in found


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.json"
    path.write_bytes(content)
    assert isinstance(read_sample(path), str)


def test_no_file_is_no_sample_and_a_folder_is_a_foreign_one(tmp_path: Path) -> None:
    assert read_sample(tmp_path / "0.json") is None
    (tmp_path / "1.json").mkdir()
    assert "cannot be read" in str(read_sample(tmp_path / "1.json"))


@settings(max_examples=20)
@given(st.lists(samples, max_size=4))
def test_a_block_file_keeps_samples_and_order(tmp_path_factory: pytest.TempPathFactory, records: list[Sample]) -> None:
    path = tmp_path_factory.getbasetemp() / "block.jsonl"
    write_block(path, records)
    assert read_block(path) == records


def test_a_damaged_block_file_is_one_line_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "block.jsonl"
    path.write_bytes(encode(sample()) + b"\nnonsense\n")
    with pytest.raises(ConfigurationError, match=r"block.jsonl line 2 is not a sample.*Delete the file"):
        read_block(path)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"answer":' + b"[" * 100_000])
def test_a_block_file_that_is_nested_too_deeply_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "block.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"block.jsonl line 1 is not a sample"):
        read_block(path)


def test_a_block_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*gone.jsonl: No such file"):
        read_block(tmp_path / "gone.jsonl")


# --- writing ------------------------------------------------------------------------------------------------------


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
from ai_dev_tools.benchmark.records.sample import write_atomically
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

    monkeypatch.setattr("ai_dev_tools.benchmark.records.sample.open", refuse, raising=False)
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
        "import sys; from pathlib import Path; from ai_dev_tools.benchmark.records.sample import write_atomically\n"
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


# --- paths --------------------------------------------------------------------------------------------------------


@given(st.text(min_size=1))
def test_a_model_tag_is_one_path_segment(tag: str) -> None:
    assert "/" not in safe_model(tag)
    assert "\0" not in safe_model(tag)
    assert len(Path("x", safe_model(tag)).parts) == 2 or safe_model(tag) in (".", "")


def test_where_samples_lie(tmp_path: Path) -> None:
    path = sample_file(tmp_path, "hf.co/org/llama3.2:1b", "safety", "tools", 7)
    assert path == tmp_path / "samples" / "hf.co-org-llama3.2-1b" / "safety" / "tools" / "7.json"
    assert superseded_file(tmp_path, path, "now") == (
        tmp_path / "superseded" / "hf.co-org-llama3.2-1b" / "safety" / "tools" / "7.now.json"
    )
    assert not any(tmp_path.iterdir())
