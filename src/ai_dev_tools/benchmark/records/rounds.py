"""Rounds: how often a block has asked to be run again, because samples failed for temporary reasons.

The round is among the parameters of the block's job. When a finished block raises it, Snakemake runs the block once more in the
next run.
"""

from __future__ import annotations

from pathlib import Path

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark.records import paths


def read_round(profile: str, model: str, task: str) -> int:
    """The round of a block; 0 if it has not asked to be run again."""
    block = Path(paths.BLOCK.format(profile=profile, model=model, task=task))
    try:
        return int(paths.round_file(block).read_text())
    except (OSError, ValueError):
        return 0


def ask_for_round(block_file: Path, number: int) -> None:
    """Note the round that a block asks for, next to its file."""
    write_atomically(paths.round_file(block_file), f"{number}\n".encode())
