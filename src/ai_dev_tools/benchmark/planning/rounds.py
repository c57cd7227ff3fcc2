"""Rounds: how a block asks to be run once more, because samples failed in a way that may pass."""

from __future__ import annotations

from pathlib import Path

from ai_dev_tools.benchmark.records import paths


def round_file(profile: str, model: str, task: str) -> Path:
    """Where a block notes how often it wants to run again."""
    return Path(paths.BLOCK.format(profile=profile, model=model, task=task)).with_suffix(".round")


def read_round(profile: str, model: str, task: str) -> int:
    """How often a block has asked to be run again.

    It is among the block's parameters: when a finished block raises it, Snakemake runs the block once more next time.
    """
    try:
        return int(round_file(profile, model, task).read_text())
    except (OSError, ValueError):
        return 0
