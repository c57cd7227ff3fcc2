"""Rounds: how a block asks to be run once more, because samples failed in a way that may pass."""

from __future__ import annotations

from pathlib import Path

from ai_dev_tools.benchmark.records import paths


def read_round(profile: str, model: str, task: str) -> int:
    """How often a block has asked to be run again.

    It is among the block's parameters: when a finished block raises it, Snakemake runs the block once more next time.
    """
    try:
        block = Path(paths.BLOCK.format(profile=profile, model=model, task=task))
        return int(paths.round_file(block).read_text())
    except (OSError, ValueError):
        return 0
