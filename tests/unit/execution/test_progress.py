"""What the progress line says of the whole run."""

from __future__ import annotations

import json
from pathlib import Path

from ai_dev_tools.benchmark.execution.progress import BlockProgress
from support.making import block


def test_samples_that_this_run_does_not_ask_for_do_not_count_as_done(tmp_path: Path) -> None:
    """A results folder also keeps other tasks, other arms and more samples than a smaller run asks for."""
    for folder in ("llama/first/baseline", "llama/second/baseline", "llama/second/tools", "other/first/baseline"):
        arm = tmp_path / "samples" / folder
        arm.mkdir(parents=True)
        for name in ("0.json", "1.json", "2.json", ".3.json.9.tmp"):
            (arm / name).touch()
    said: list[str] = []
    planned = {"models": ["llama"], "tasks": {"first": [], "second": [], "third": []}}
    lines = [
        json.dumps({"plan": plan, **of_it}) for plan, of_it in (("old", {"models": [], "tasks": {}}), ("mine", planned))
    ]
    (tmp_path / "plans.jsonl").write_text("\n".join(lines) + "\n")
    asked = block(results=str(tmp_path), samples=2, approaches=["baseline"], run_requests=8, plan="mine")
    progress = BlockProgress(asked, 2, said.append)
    progress.finished(None)
    progress.finished(None)
    assert "2/2 | run: 6/8" in said[-1], "two in each of the first two blocks were there"
