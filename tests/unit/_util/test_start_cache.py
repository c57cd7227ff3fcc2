"""What a start of Snakemake remembers, so that the next one need not work it out again."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ai_dev_tools.benchmark._util import start_cache
from ai_dev_tools.benchmark.prompts import program_digest
from ai_dev_tools.benchmark.prompts.program_digest import content_hash
from ai_dev_tools.benchmark.tasks import templating
from ai_dev_tools.benchmark.tasks.templating import TemplateFailure, render_each, template_problem


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    start_cache.keep_in(tmp_path / "remembered.json")
    yield tmp_path / "remembered.json"
    start_cache.forget()


def next_start(memory: Path) -> None:
    start_cache.forget()
    start_cache.keep_in(memory)


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each process that is forked for a template."""
    forks: list[int] = []
    fork = templating.run_isolated
    monkeypatch.setattr(templating, "run_isolated", lambda work: (forks.append(1), fork(work))[1])
    return forks


def test_what_is_kept_is_known_at_the_next_start(memory: Path) -> None:
    key = start_cache.key_of("kind", "a", [1])
    assert start_cache.recall(key) is None
    start_cache.keep(key, ["x", "\udc80"])
    next_start(memory)
    assert start_cache.recall(key) == ["x", "\udc80"]


def test_a_file_that_is_named_twice_loses_nothing_wherever_the_process_is_at_its_end(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key = start_cache.key_of("kind", "twice")
    start_cache.keep(key, "x")
    start_cache.keep_in(Path(memory.name))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    next_start(memory)
    assert start_cache.recall(key) == "x"


def test_nothing_is_kept_where_no_file_was_named() -> None:
    key = start_cache.key_of("kind", "unnamed")
    start_cache.keep(key, "x")
    assert start_cache.recall(key) is None


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff"])
def test_a_damaged_file_is_no_memory_and_no_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "remembered.json").write_bytes(content)
    start_cache.keep_in(tmp_path / "remembered.json")
    try:
        assert start_cache.recall(start_cache.key_of("kind")) is None
    finally:
        start_cache.forget()


def test_the_entries_that_were_used_last_are_kept(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        start_cache.keep(str(number), str(number))
    next_start(memory)
    monkeypatch.setattr(start_cache, "MOST", 2)
    assert start_cache.recall("0") == "0"
    start_cache.keep("new", "new")
    next_start(memory)
    assert [start_cache.recall(key) for key in ("0", "1", "2", "new")] == ["0", None, None, "new"]


def test_a_template_is_rendered_once_and_again_when_it_or_its_variables_change(
    memory: Path, rendered: list[int]
) -> None:
    for _ in range(2):
        assert render_each("{{ x }}!", [{"x": 1}, {"x": "1"}]) == ["1!", "1!"]
        assert template_problem("{{ x }}!") is None
        next_start(memory)
    assert len(rendered) == 2
    assert render_each("{{ x }}?", [{"x": 1}]) == ["1?"]
    assert render_each("{{ x }}?", [{"x": 2}]) == ["2?"]
    assert len(rendered) == 4


def test_what_went_wrong_with_a_template_is_tried_again(memory: Path, rendered: list[int]) -> None:
    for _ in range(2):
        assert isinstance(render_each("{{ x }}", [{}])[0], TemplateFailure)
        assert template_problem("{% if %}")
    assert len(rendered) == 4


def test_a_file_is_read_again_only_when_it_was_touched(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute after each change; even a change that keeps size and time is seen."""
    minute_later = SimpleNamespace(time_ns=lambda: time.time_ns() + 60 * 10**9)
    monkeypatch.setattr(program_digest, "time", minute_later)
    read: list[object] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(program_digest.hashlib, "file_digest", lambda *given: (read.append(given), digest(*given))[1])
    program = tmp_path / "program"
    program.write_text("one")
    first, status = content_hash(program), program.stat()
    next_start(memory)
    assert content_hash(program) == first
    assert len(read) == 1
    program.write_text("two")
    os.utime(program, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert content_hash(program) not in ("", first)
    assert len(read) == 2


def test_a_file_that_was_touched_a_moment_ago_is_always_read(memory: Path, tmp_path: Path) -> None:
    """Within one tick of the clock a second change leaves the same times."""
    program = tmp_path / "program"
    program.write_text("one")
    content_hash(program)
    next_start(memory)
    assert not memory.exists()
