"""A run and its repetition: which requests came to something else, and whether the verdicts hold."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ai_dev_tools.benchmark.archive.container import open_archive
from ai_dev_tools.benchmark.archive.layout import RECORDED
from ai_dev_tools.benchmark.archive.verification import verify
from ai_dev_tools.benchmark.errors import ConfigurationError

KEY = ["model", "task", "case", "repeat", "approach"]
OUTCOME = ["status", "score", "input_tokens", "output_tokens", "done_reason"]
"""What a repetition with the same model, prompts and seeds should give again; times are compared by verdict only."""
CLAIM = ["claim", "models", "task"]
WORD = "verdict"


@dataclass(frozen=True)
class Repetition:
    """What comparing two runs came to.

    Attributes:
        shared: requests that both asked; only_before, only_after: those of one side alone.
        differing: shared requests whose outcome differs, by column of `OUTCOME`.
        changed: one line for each verdict that became another one, or that one side lacks.
        verdicts: how many verdicts both have.
    """

    shared: int
    only_before: int
    only_after: int
    differing: dict[str, int]
    verdicts: int
    changed: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.changed and self.verdicts > 0

    @property
    def lines(self) -> list[str]:
        """The result for people, the most important first."""
        word = (
            f"all {self.verdicts} verdicts hold"
            if self.holds
            else f"{len(self.changed)} verdicts changed or are missing"
        )
        differing = ", ".join(f"{column} in {count}" for column, count in self.differing.items() if count) or "nothing"
        alone = (
            f"; {self.only_before} requests only before, {self.only_after} only after"
            if self.only_before or self.only_after
            else ""
        )
        return [word, *self.changed, f"of {self.shared} requests that both asked, {differing} differs{alone}"]


def compare_runs(before: Path, after: Path) -> Repetition:
    """Compare a run with its repetition.

    Args:
        before, after: archives, or folders that hold `tables/`.

    Raises:
        ArchiveError: an archive is not valid.
        ConfigurationError: a folder holds no tables, or the runs share no request.
    """
    (old, old_verdicts), (new, new_verdicts) = _read(before), _read(after)
    both = old[KEY + OUTCOME].merge(new[KEY + OUTCOME], on=KEY, suffixes=(":before", ":after"))
    if both.empty:
        raise ConfigurationError(
            f"{before} and {after} share no request", remedy="Compare a run with a repetition of it"
        )
    differing = {column: _differences(both[f"{column}:before"], both[f"{column}:after"]) for column in OUTCOME}
    words_before, words_after = _words(old_verdicts), _words(new_verdicts)
    changed = [
        f"{' '.join(key)}: {words_before.get(key, 'no verdict')} before, {words_after.get(key, 'no verdict')} after"
        for key in sorted(words_before.keys() | words_after.keys())
        if words_before.get(key) != words_after.get(key)
    ]
    verdicts = len(words_before.keys() & words_after.keys())
    return Repetition(len(both), len(old) - len(both), len(new) - len(both), differing, verdicts, changed)


def _differences(one: pd.Series, other: pd.Series) -> int:
    equal = (one == other).fillna(False).astype(bool) | (one.isna() & other.isna())
    return int((~equal).sum())


def _words(verdicts: pd.DataFrame) -> dict[tuple[str, ...], str]:
    if verdicts.empty:
        return {}
    columns = [name for name in CLAIM if name in verdicts]
    spoken = verdicts[verdicts[WORD].notna()]  # exploratory rows carry no verdict word
    rows = spoken[[*columns, WORD]].astype(object).itertuples(index=False)
    return {tuple(map(str, row[:-1])): str(row[-1]) for row in rows}


def _read(where: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Samples and verdicts of an archive, or of a folder."""
    if where.is_file():
        verify(where).require()
        with open_archive(where) as archive:
            samples, verdicts = (archive.read(f"{RECORDED}/tables/{name}.csv") for name in ("samples", "verdicts"))
        return pd.read_csv(io.BytesIO(samples), low_memory=False), _table(verdicts)
    try:
        samples_file, verdicts_file = (where / "tables" / f"{name}.csv" for name in ("samples", "verdicts"))
        return pd.read_csv(samples_file, low_memory=False), _table(verdicts_file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{where} holds no tables of a run ({error})", remedy="Make them: snakemake tables"
        ) from None


def _table(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), low_memory=False) if content.strip() else pd.DataFrame()
