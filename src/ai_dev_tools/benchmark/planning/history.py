"""Earlier measurements in this folder: the samples of all its runs, read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from ai_dev_tools.benchmark.analysis.flatten import sample_row, table_of
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.estimate import UNTIMED, measured_blocks, seconds_per_request
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.sample import read_block


@dataclass(frozen=True)
class History:
    """The samples of every run in a folder.

    Attributes:
        samples: of all runs but replays.
        own: those of the run that is planned.
        damaged: block files of other runs that cannot be read; estimates do without them.
        seconds: mean time of a request by model, of the same files but damaged ones.
    """

    samples: pd.DataFrame
    own: pd.DataFrame
    damaged: Sequence[Path] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def timed(self) -> pd.DataFrame:
        """The samples whose durations say something of this machine."""
        return self.samples[~self.samples["endpoint_kind"].isin(UNTIMED)]

    def notes(self) -> Iterator[str]:
        """What a reader of the estimates should know."""
        yield from (f"{path} cannot be read, and the estimates do without it" for path in self.damaged)


def read_history(root: Path, profile: str) -> History:
    """The samples of every run below a working folder.

    Raises:
        ConfigurationError: a block file of the profile itself is damaged.
    """
    own_folder, own, others = root / paths.RUN.format(profile=profile), list[Row](), list[Row]()
    blocks = measured_blocks(root / "results")
    damaged = []
    for path in blocks:
        mine = path.is_relative_to(own_folder)
        try:
            (own if mine else others).extend(map(sample_row, read_block(path)))
        except (ConfigurationError, OSError, RecursionError):
            if mine:
                raise
            damaged.append(path)
    seconds = seconds_per_request(path for path in blocks if path not in damaged)
    return History(table_of([*own, *others]), table_of(own), damaged, seconds)
