"""What sessions recorded about servers and models."""

from __future__ import annotations

import json
from pathlib import Path

from ai_dev_tools.benchmark.records.paths import identity_file
from ai_dev_tools.benchmark.records.sessions import last_session


def test_the_last_session_is_found_while_results_of_another_profile_are_removed(tmp_path: Path) -> None:
    kept = identity_file(tmp_path / "kept", "fake:1b", "task")
    removed = identity_file(tmp_path / "removed", "fake:1b", "task")
    for file in (kept, removed):
        file.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"sessions": [{"session": "first"}, {"session": "last"}]}))
    removed.symlink_to(tmp_path / "gone")  # it is listed, and not there any more
    assert last_session(tmp_path / "kept", "fake:1b") == {"session": "last"}


def test_without_any_session_the_last_one_is_empty(tmp_path: Path) -> None:
    assert last_session(tmp_path / "results", "fake:1b") == {}
