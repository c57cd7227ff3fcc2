"""The digests that container images had when they were first used."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.endpoints.image_pins import note, require_pinned
from ai_dev_tools.benchmark.errors import ConfigurationError

ONE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "resources" / "images.json"


def test_the_first_use_is_noted_and_stays(file: Path) -> None:
    require_pinned(file, "ollama:1", [ONE], "small")
    note(file, "ollama:1", ONE)
    note(file, "ollama:1", OTHER)
    assert json.loads(file.read_text()) == {"ollama:1": ONE}
    require_pinned(file, "ollama:1", [OTHER, ONE], "small")
    require_pinned(file, "ollama:2", [OTHER], "small")


def test_another_digest_is_refused_in_one_line_that_names_both(file: Path) -> None:
    note(file, "ollama:1", ONE)
    with pytest.raises(ConfigurationError, match=f"{ONE[:19]}.*{OTHER[:19]}.*Delete its line") as caught:
        require_pinned(file, "ollama:1", [OTHER], "small")
    assert "\n" not in str(caught.value)


def test_instances_that_start_side_by_side_do_not_lose_each_others_notes(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: note(file, f"image:{number}", ONE), range(40)))
    assert len(json.loads(file.read_text())) == 40


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"ollama:1": 5}', "[" * 100_000, "\udcff"])
def test_a_damaged_file_is_one_line(file: Path, damaged: str) -> None:
    file.parent.mkdir()
    file.write_bytes(damaged.encode("utf-8", "surrogateescape"))
    for use in (lambda: require_pinned(file, "ollama:1", [ONE], "small"), lambda: note(file, "ollama:1", ONE)):
        with pytest.raises(ConfigurationError, match="is damaged"):
            use()
