"""One block (or one sample of it) as a program.

Run it as `python -m ai_dev_tools.benchmark.execution.block_job`.

A separate program, not a Snakemake script: those import Snakemake first, which costs more than a block's own work.
"""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.execution import ask_block
from ai_dev_tools.benchmark.execution.block_work import retryable
from ai_dev_tools.benchmark.execution.job import Say, end_in_order, job
from ai_dev_tools.benchmark.prompts import read_prompts
from ai_dev_tools.benchmark.records.block import Block
from ai_dev_tools.benchmark.records.rounds import ask_for_round
from ai_dev_tools.benchmark.records.sample import write_block


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when done, 1 when the endpoint is unusable, 130 when stopped."""
    parser = argparse.ArgumentParser(prog="block_job", description=__doc__)
    parser.add_argument("--block", required=True, help="the block as JSON")
    parser.add_argument("--prompts", required=True, type=Path, help="prompts of the task")
    parser.add_argument("--output", type=Path, help="where the block's samples are collected")
    parser.add_argument("--log", type=Path, help="where the lines for people are kept as well")
    parser.add_argument("--only", nargs=2, metavar=("APPROACH", "SAMPLE"), help="ask this one sample alone")
    given = parser.parse_args(arguments)
    end_in_order()
    only = (given.only[0], int(given.only[1])) if given.only else None
    with job(given.log) as say:
        block = Block.from_json(given.block)
        work = ask_block(block, read_prompts(given.prompts), say, threading.Event(), only)
        if given.output:
            write_block(given.output, work.samples())
            _note_round(given.output, block, retryable(work.done.values(), block.retry), say)
    return 0


def _note_round(output: Path, block: Block, open_samples: int, say: Say) -> None:
    if open_samples and block.retry == "default":
        ask_for_round(output, block.round + 1)
        say(
            f"{block.task} on {block.model}: {plural(open_samples, 'sample')} failed for temporary reasons; the next run asks "
            "for them again"
        )


if __name__ == "__main__":
    raise SystemExit(main())
