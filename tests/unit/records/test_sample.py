"""Sample files: what is written is read, and what is not a sample is noticed."""

from __future__ import annotations

import json
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
