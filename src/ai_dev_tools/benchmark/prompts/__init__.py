"""Every prompt of a task, one row per (case, approach): `results/prompts/{task}.jsonl`.

A row holds everything that a block job needs to ask and score, so that the job reads nothing else. `rendering` makes the rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records.episode import EpisodeSpec
from ai_dev_tools.benchmark.records.sample import SampleError


class Prompt(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One case in one arm. If the arm's context could not be made, `prompt` is None and `error` says why.

    Attributes:
        episode: for an agent arm, how it continues after `prompt`, which is then the first message.
    """

    task: str
    case: str
    cluster: str
    size: str
    approach: str
    prompt: str | None
    prompt_sha256: str
    error: SampleError | None = None
    tool_s: float = 0.0
    tool_other_cpu_s: float | None = None
    answer_schema: dict[str, Any]
    scoring: list[dict[str, Any]]
    truth: dict[str, Any] | None
    stratum: str
    timeout_s: float | None = None
    episode: EpisodeSpec | None = None


SKIPPED = "corpus"
"""Error class of a case whose corpus cannot be fetched: it is left out of the run, and listed."""

_decoder = msgspec.json.Decoder(Prompt)


def read_prompts(path: Path) -> dict[tuple[str, str], Prompt]:
    """Prompts by (case, approach).

    Raises:
        ConfigurationError: the file is damaged.
    """
    try:
        rows = [_decoder.decode(line) for line in path.read_bytes().splitlines()]
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error})", remedy="Delete it; it is made again") from None
    return {(row.case, row.approach): row for row in rows}


def write_prompts(path: Path, rows: Iterable[Prompt]) -> None:
    """Write prompts as JSON lines, atomically."""
    write_atomically(path, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
