"""Archives of runs with agents: what an episode was asked with is checked like any request."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_dev_tools.benchmark.archive import render, verify
from support.archived import BLOCK, PROMPTS, forge, record_run


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("agents") / "root"
        return record_run(root, patch, cases=3, samples=3, approaches="agent,agent-none").archive()


def test_an_archive_of_episodes_is_valid_and_made_again_byte_by_byte(archive: Path) -> None:
    result = verify(archive, recompute=True)
    assert result.ok, result.findings


def test_its_report_is_made_again_with_every_turn(archive: Path, tmp_path: Path) -> None:
    render(archive, tmp_path / "out")
    (page,) = (tmp_path / "out").rglob("report.html")
    assert '"turns":[{' in page.read_text() and "Turns, tool calls and limits" in page.read_text()


@pytest.mark.parametrize(
    ("member", "before", "after", "found"),
    [
        (PROMPTS, b"COLOUR = 'red'", b"COLOUR = 'tan'", "are not those of their digest"),
        (PROMPTS, b'"name":"search"', b'"name":"seek"', "was asked with other settings"),
        (BLOCK, b'"turns":12', b'"turns":99', "names other limits"),
        (BLOCK, b'"output_tokens":5', b'"output_tokens":6', "than its turns together"),
    ],
)
def test_a_change_in_an_episode_is_found_though_all_checksums_were_redone(
    archive: Path, tmp_path: Path, member: str, before: bytes, after: bytes, found: str
) -> None:
    def change(data: bytes) -> bytes:
        assert before in data
        return data.replace(before, after)

    result = verify(forge(archive, tmp_path / "forged.zip", {member: change}))
    assert found in str(result.findings)
