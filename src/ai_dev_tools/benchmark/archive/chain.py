"""Check every record of an archive against its schema and against what it was made from.

Prompts carry the sha256 of their text; samples name the prompt, settings and plan behind them; the samples table
has a row for every sample and nothing else; the report's numbers and verdicts are those of the tables. Each link is
computed again. An archive whose checksums were all redone after a change is therefore still detected, unless
everything that follows from the change was redone as well.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec
import pyarrow as pa

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.analysis.flatten import ADDED, COLUMNS, sample_row
from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.analysis.samples_table import NUMBERS
from ai_dev_tools.benchmark.archive.container import Archive, ArchiveError
from ai_dev_tools.benchmark.archive.layout import (
    BLOCK_NAME,
    CONFIG,
    CONTEXTS_NAME,
    PROMPTS_NAME,
    RECORDED,
    Manifest,
)
from ai_dev_tools.benchmark.archive.streams import Hashed
from ai_dev_tools.benchmark.archive.untrusted_yaml import yaml_data
from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.prompts import Prompt
from ai_dev_tools.benchmark.prompts.episodes import workspace_digest
from ai_dev_tools.benchmark.prompts.tool_results import ToolResult
from ai_dev_tools.benchmark.records import table_files as tablefiles
from ai_dev_tools.benchmark.records.block import OLLAMA, Think
from ai_dev_tools.benchmark.records.episode import EpisodeLimits
from ai_dev_tools.benchmark.records.paths import CORPORA_FOLDER, safe_model
from ai_dev_tools.benchmark.records.plan import check_ledger
from ai_dev_tools.benchmark.records.sample import RENAMED, Sample, decode
from ai_dev_tools.benchmark.records.table_files import unguarded
from ai_dev_tools.benchmark.tasks.scoring import custom_scorers, score_answer

if TYPE_CHECKING:
    import pyarrow.parquet as pq

T = TypeVar("T")
Cell: TypeAlias = str | float | None
Key = tuple[str, str, str, int]
"""Model tag, task, approach and index of a sample."""
SAMPLES_CSV = f"{RECORDED}/tables/samples.csv"
SAMPLES_PARQUET = f"{RECORDED}/tables/samples.parquet"
REPORT_JSON = f"{RECORDED}/report/report.json"
_RECEIPT = re.compile(rf"{CORPORA_FOLDER}/[^/]+\.json")
"""Other JSON below the folder of corpora is of the packages, and may say anything."""
MOST_SAMPLES = 5_000_000
_NUMBERS = frozenset(NUMBERS)
_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class _Prompt:
    sha256: str
    schema: str
    scoring: list[JsonFields]
    truth: JsonFields | None
    stratum: str
    episode: str | None = None
    """Digest of what an episode may do after the prompt."""
    limits: EpisodeLimits | None = None
    """What the episode may use at most."""


class Records:
    """Reads members in order and remembers what later ones are checked against.

    Args:
        add: called with each finding: where, and what.
    """

    def __init__(self, archive: Archive, manifest: Manifest, add: Callable[[str, str], None]) -> None:
        self._archive, self._manifest, self._add = archive, manifest, add
        self._prompts: dict[tuple[str, str, str], _Prompt] = {}
        self._kept_bytes = 0
        self._words: dict[str, str] = {}
        self._plans: set[str] = set()
        self._think: Think = False
        self._rows: dict[Key, bytes] = {}
        self._counted = 0
        self.own_scorers: set[str] = set()
        self.report: JsonFields = {}
        self.settings: JsonFields = {}
        self._prompt_decoder = msgspec.json.Decoder(Prompt)
        self._context_decoder = msgspec.json.Decoder(ToolResult)

    @property
    def samples(self) -> int:
        """Samples read so far."""
        return self._counted or len(self._rows)

    def release(self) -> None:
        """Forget what later records were checked against, to free the memory for the next step."""
        self._counted = self.samples
        self._rows.clear()
        self._prompts.clear()
        self._words.clear()

    @property
    def plans(self) -> set[str]:
        """Hashes of the plans in the ledger."""
        return self._plans

    def reading_order(self, names: Iterable[str]) -> list[str]:
        """Members sorted so that each comes after those it is checked against."""

        def stage(name: str) -> int:
            if name == CONFIG or name.endswith("/plans.jsonl") or PROMPTS_NAME.fullmatch(name):
                return 0
            return 1 if BLOCK_NAME.fullmatch(name) else 2

        return sorted(names, key=lambda name: (stage(name), name))

    def read(self, name: str, stream: Hashed) -> None:
        """Check a member's records; for members without records, the checksum is enough.

        Raises:
            ArchiveError: a record is wrong; says which.
        """
        if found := BLOCK_NAME.fullmatch(name):
            self._block(stream, found["model"], found["task"])
        elif found := PROMPTS_NAME.fullmatch(name):
            self._prompt_rows(stream, found["task"])
        elif CONTEXTS_NAME.fullmatch(name):
            for number, line in _numbered(stream):
                _decoded(self._context_decoder.decode, line, number, "what a tool said")
        elif name == f"results/{self._manifest.profile}/plans.jsonl":
            self._plan_rows(stream)
        elif name == CONFIG:
            self._settings(stream)
        elif name == SAMPLES_CSV:
            self._table(stream)
        elif name == REPORT_JSON:
            self.report = _object(stream)
        elif name.endswith(".json") and (name.startswith("results/") or _RECEIPT.fullmatch(name)):
            _object(stream)

    def finish(self) -> None:
        """Check what needs more than one member.

        The other form of the samples table, and how many samples are reported.
        """
        try:
            self._parquet()
        except ArchiveError as error:
            self._add(SAMPLES_PARQUET, str(error))
        said = self.report.get("benchmark_info")
        total = said.get("total_samples") if isinstance(said, dict) else None
        if total != self.samples:
            self._add(REPORT_JSON, f"reports {total} samples, but the archive holds {self.samples}")

    # what is read first

    def _settings(self, stream: Hashed) -> None:
        text = stream.read()
        settings = yaml_data(text, CONFIG, self._archive.limits)
        self.settings = settings if isinstance(settings, dict) else {}
        if self.settings.get("source") != "samples":
            raise ArchiveError("asks models again: an archive's settings say `source: samples`")
        try:
            self._think = load_config(self.settings).think
        except (ConfigurationError, *_UNREADABLE) as error:
            raise ArchiveError(f"is not a config ({str(error).splitlines()[0][:200]})") from None

    def _plan_rows(self, stream: Hashed) -> None:
        try:
            self._plans = {plan.plan for plan in check_ledger(stream.read())}
        except ConfigurationError as error:
            raise ArchiveError(str(error)) from None

    def _prompt_rows(self, stream: Hashed, task: str) -> None:
        for number, line in _numbered(stream):
            row: Prompt = _decoded(self._prompt_decoder.decode, line, number, "a prompt")
            if row.task != task:
                raise ArchiveError(f"line {number} belongs to task {row.task}")
            if hashlib.sha256((row.prompt or "").encode()).hexdigest() != row.prompt_sha256:
                raise ArchiveError(
                    f"line {number}: the prompt of {row.case}, {row.approach} is not the one of its sha256"
                )
            if problem := _wrong_workspace(row):
                raise ArchiveError(f"line {number}: {problem}")
            schema = json.dumps(row.answer_schema, sort_keys=True, separators=(",", ":"))
            workspace = row.episode.workspace if row.episode else None
            files = sum(map(len, workspace.texts.values())) if workspace else 0
            self._keep(max(0, len(line) - len(row.prompt or "") - files))
            self._prompts[row.task, row.case, row.approach] = _Prompt(
                row.prompt_sha256,
                self._words.setdefault(schema, schema),
                row.scoring,
                row.truth,
                row.stratum,
                row.episode.digest if row.episode else None,
                row.episode.limits if row.episode else None,
            )

    def _keep(self, size: int) -> None:
        self._kept_bytes += size
        if self._kept_bytes > self._archive.limits.document:
            raise ArchiveError("holds more truth and schemas than any run of this project")

    # samples

    def _block(self, stream: Hashed, model: str, task: str) -> None:
        for number, line in _numbered(stream):
            sample: Sample = _decoded(decode, line, number, "a sample")
            if (safe_model(sample.model), sample.task) != (model, task) or sample.profile != self._manifest.profile:
                raise ArchiveError(f"line {number} belongs to {sample.profile}/{sample.model}/{sample.task}")
            key = (sample.model, sample.task, sample.approach, sample.sample)
            if key in self._rows:
                raise ArchiveError(f"line {number}: {_named(key)} occurs twice")
            if len(self._rows) >= MOST_SAMPLES:
                raise ArchiveError(f"holds more than {MOST_SAMPLES} samples")
            prompt = self._prompts.get((sample.task, sample.case, sample.approach))
            if problem := self._problem(sample, prompt):
                raise ArchiveError(f"line {number}: {_named(key)} {problem}")
            self._rows[key] = _digest(sample_row(sample, prompt.stratum if prompt else ""))

    def _problem(self, sample: Sample, prompt: _Prompt | None) -> str | None:
        request = sample.request
        if prompt is None or request.prompt_sha256 != prompt.sha256:
            return f"was not asked with the recorded prompt of {sample.case}, {sample.approach}"
        parts = json.dumps(
            [request.protocol, sample.model, request.options, self._think, request.prompt_sha256, sample.approach],
            sort_keys=True,
            separators=(",", ":"),
        )
        api = "" if request.api == OLLAMA else f",{json.dumps(request.api)}"
        episode = "" if prompt.episode is None else f",{json.dumps({'episode': prompt.episode}, separators=(',', ':'))}"
        if hashlib.sha256(f"{parts[:-1]},{prompt.schema}{api}{episode}]".encode()).hexdigest() != request.digest:
            return "was asked with other settings than it says"
        if sample.limits != prompt.limits:
            return "names other limits than its episode had"
        if not _adds_up(sample):
            return "has other tokens than its turns together"
        if sample.plan is not None and sample.plan not in self._plans:
            return f"names plan {sample.plan}, which the ledger does not have"
        if sample.status == "completed" and sample.score is not None:
            if own := custom_scorers(prompt.scoring):
                self.own_scorers.update(own)  # the sender's code, which is not run here
                return None
            score = score_answer(sample.answer, prompt.truth, prompt.scoring)
            if score is None or abs(score - sample.score) > 1e-6:
                return f"has score {sample.score}, but its answer scores {score}"
        return None

    # tables

    def _table(self, stream: Hashed) -> None:
        lines = (line.decode("utf-8") + "\n" for line in stream.lines())
        try:
            rows = csv.reader(lines)
            header = next(rows, [])
            self._match((dict(zip(header, row, strict=True)) for row in rows), header, text=True)
        except (csv.Error, *_UNREADABLE) as error:
            raise ArchiveError(f"is not a table ({str(error)[:120]})") from None

    def _parquet(self) -> None:
        try:
            file = open_parquet_member(self._archive, SAMPLES_PARQUET)
            if file.metadata.num_rows != self.samples:
                raise ArchiveError(f"has {file.metadata.num_rows} rows, but there are {self.samples} samples")
            names = [name for name in file.schema_arrow.names if RENAMED.get(name, name) in COLUMNS]
            rows = (row for batch in file.iter_batches(batch_size=2000, columns=names) for row in batch.to_pylist())
            self._match(rows, names, text=False)
        except (pa.ArrowException, OSError, MemoryError, *_UNREADABLE) as error:
            raise ArchiveError(f"is not a table ({str(error)[:120]})") from None

    def _match(self, rows: Iterable[Row], header: list[str], text: bool) -> None:
        """Every row is a sample, and every sample has its row."""
        header = [RENAMED.get(name, name) for name in header]
        if missing := [name for name in COLUMNS if name not in header and name not in ADDED]:
            raise ArchiveError(f"has no column {missing[0]}")
        seen: set[Key] = set()
        for row in rows:
            key = (row["model"], row["task"], row["approach"], int(row["sample"]))
            row = {RENAMED.get(name, name): value for name, value in row.items()}
            values = {name: _read_cell(name, row.get(name, "")) if text else row.get(name) for name in COLUMNS}
            if key in seen or self._rows.get(key) != _digest(values):
                raise ArchiveError(f"the row of {_named(key)} does not say what the sample says")
            seen.add(key)
        if len(seen) != self.samples:
            missing_key = next(key for key in self._rows if key not in seen)
            raise ArchiveError(f"has no row for {_named(missing_key)}")


def _adds_up(sample: Sample) -> bool:
    """Whether an episode's tokens are the sums of its turns, where both are known."""
    counted = [turn for turn in sample.turns if turn.error is None or turn.input_tokens is not None]
    for name in ("input_tokens", "output_tokens"):
        values = [getattr(turn, name) for turn in counted]
        whole = getattr(sample, name)
        if values and whole is not None and None not in values and sum(values) != whole:
            return False
    return True


def _wrong_workspace(row: Prompt) -> str | None:
    """Why the files that an agent was given do not match their digest.

    None if they match, or are not there.
    """
    workspace = row.episode.workspace if row.episode else None
    if workspace is None or workspace.root is not None or workspace_digest(workspace.texts) == workspace.digest:
        return None
    return f"the files of {row.case}, {row.approach} are not those of their digest"


def open_parquet_member(archive: Archive, name: str) -> pq.ParquetFile:
    """A Parquet member, ready to be read.

    Raises:
        ArchiveError: it would unpack to more than any table of this project.
        pyarrow.ArrowException, OSError: it is not a Parquet file.
    """
    try:
        return tablefiles.open_parquet(archive.read(name), archive.limits.document)
    except ValueError as error:
        raise ArchiveError(f"{name}: {error}") from None


def _named(key: Key) -> str:
    return "sample " + "/".join(map(str, key))


def _digest(row: Row) -> bytes:
    """16 bytes that identify a row in any format: numbers by value, missing values as nothing."""
    text = "\x1f".join(_canonical(name, row[name]) for name in COLUMNS)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _canonical(name: str, value: Cell) -> str:
    if value is None or value != value:
        return ""
    if name in _NUMBERS:
        return repr(float(value))
    return str(value)


def _read_cell(name: str, cell: str) -> Cell:
    if name in _NUMBERS:
        return float(cell) if cell else None
    return unguarded(cell)


def _numbered(stream: Hashed) -> Iterator[tuple[int, bytes]]:
    return enumerate(stream.lines(), start=1)


def _decoded(decode: Callable[[bytes], T], line: bytes, number: int, what: str) -> T:
    try:
        return decode(line)
    except _UNREADABLE as error:
        raise ArchiveError(f"line {number} is not {what} ({str(error)[:200]})") from None


def _object(stream: Hashed) -> JsonFields:
    """A JSON document; numbers too large for any record of this project are refused, not computed with."""
    try:
        content = msgspec.json.decode(stream.read())
    except _UNREADABLE as error:
        raise ArchiveError(f"is not JSON ({str(error)[:120]})") from None
    if not isinstance(content, dict):
        raise ArchiveError("is not a JSON object")
    return content
