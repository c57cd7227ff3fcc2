"""Cases as a table: JSONL or CSV in the task's folder, or at a URL with a checksum.

The samples of a run depend on its cases, so a list at a URL is fetched when the task is read, before any rule runs.
Its checksum is mandatory: a list is fetched only once, and a list that has changed is refused.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ai_dev_tools.benchmark._util.files import write_atomically
from ai_dev_tools.benchmark._util.json_values import JsonObject, JsonValue
from ai_dev_tools.benchmark.config.parsing import PLACE, StrictModel
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.records import paths

MAX_LIST_BYTES = 64 * 2**20
MAX_CELL_CHARS = 8 * 2**20
FETCH_TIMEOUT_S = 30.0
IMPLICIT = ("cases.jsonl", "cases.csv")
"""Lists that do not need to be named in task.yaml."""

_TEXTS = ("id", "cluster", "size", "source", "established", "notes")
"""Fields that are always text, even if a cell looks like a number."""

Row = tuple[str, JsonObject]
"""Where a case is written (file and line), and its fields."""


class CaseList(StrictModel):
    """Where more cases of a task are listed."""

    path: str | None = Field(None, min_length=1, pattern=PLACE)
    url: str | None = Field(None, pattern=r"^https?://")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    format: Literal["jsonl", "csv"] | None = None

    @model_validator(mode="after")
    def _can_be_found(self) -> CaseList:
        if (self.path is None) == (self.url is None):
            raise ValueError("give exactly one of 'path' and 'url'")
        if self.url and not self.sha256:
            raise ValueError("'sha256' is missing: the content of a URL can change")
        if self.kind not in ("jsonl", "csv"):
            raise ValueError("'format' is missing: jsonl or csv")
        return self

    @property
    def kind(self) -> str:
        """`jsonl` or `csv`: as stated, otherwise from the file's extension."""
        return self.format or (self.path or self.url or "").rpartition(".")[2].lower()


def list_files(folder: Path, declared: CaseList | None, where: str) -> list[tuple[Path, str]]:
    """The lists of a task as (file, format); fetches a declared list if necessary.

    Args:
        folder: the task's folder.
        where: its task.yaml, for messages.

    Raises:
        ConfigurationError: a list is missing, leads out of the folder, cannot be fetched, or is not the pinned one.
    """
    found = [(folder / name, name.rpartition(".")[2]) for name in IMPLICIT if (folder / name).is_file()]
    if declared is not None:
        path = _local(folder, declared, where) if declared.path else _fetched(declared, where)
        if path not in [known for known, _ in found]:
            found.append((path, declared.kind))
    return found


def _local(folder: Path, declared: CaseList, where: str) -> Path:
    path = folder / str(declared.path)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(f"{where}: 'cases_from.path' {declared.path} leads out of the task's folder")
    if not path.is_file():
        raise ConfigurationError(f"{where}: 'cases_from.path' {path} does not exist")
    if declared.sha256 and (found := hashlib.sha256(path.read_bytes()).hexdigest()) != declared.sha256:
        raise ConfigurationError(f"{where}: 'cases_from.sha256' is {declared.sha256}, but {path} has {found}")
    return path


def _fetched(declared: CaseList, where: str) -> Path:
    path = Path(paths.CASE_LIST.format(sha256=declared.sha256, format=declared.kind))
    if not path.is_file():
        content = _download(str(declared.url), where)
        if (found := hashlib.sha256(content).hexdigest()) != declared.sha256:
            raise ConfigurationError(
                f"{where}: 'cases_from.sha256' is {declared.sha256}, but {declared.url} has {found}",
                remedy="Check what changed there, then pin the new checksum",
            )
        write_atomically(path, content)
    return path


def _download(url: str, where: str) -> bytes:
    import requests  # takes 50 ms

    content = bytearray()
    try:
        with requests.get(url, stream=True, timeout=FETCH_TIMEOUT_S) as response:
            response.raise_for_status()
            for chunk in response.iter_content(2**16):
                content += chunk
                if len(content) > MAX_LIST_BYTES:
                    raise ConfigurationError(f"{where}: 'cases_from.url' {url} is larger than {MAX_LIST_BYTES} bytes")
    except requests.RequestException as error:
        reason = f"HTTP {error.response.status_code}" if error.response is not None else type(error).__name__
        raise ConfigurationError(
            f"{where}: 'cases_from.url' {url} cannot be read ({reason})",
            remedy="Check the network, leave the task out with tasks=…, or download the list and give its 'path'",
        ) from None
    return bytes(content)


def listed_cases(path: Path, kind: str, answer_fields: Mapping[str, JsonValue]) -> Iterator[Row]:
    """The cases in a list; their content is not checked here.

    Args:
        kind: `jsonl` or `csv`.
        answer_fields: JSON schema of each field of the answer; says which columns of truth are text.

    Raises:
        ConfigurationError: the file is not of its format.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} is not readable as UTF-8 text ({error})", remedy="Save it as UTF-8; in Excel: CSV UTF-8"
        ) from None
    return _from_jsonl(path, text) if kind == "jsonl" else _from_csv(path, text, answer_fields)


def _from_jsonl(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{path} line {number}"
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{where} is not JSON: {error}") from None
        if not isinstance(fields, dict):
            raise ConfigurationError(f"{where}: expected an object with the fields of a case")
        yield where, fields


def _from_csv(path: Path, text: str, answer_fields: Mapping[str, JsonValue]) -> Iterator[Row]:
    csv.field_size_limit(MAX_CELL_CHARS)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=_delimiter(text))
    header: list[str] = []
    try:
        for cells in reader:
            where, used = f"{path} line {reader.line_num}", _without_empty_end(cells)
            if not used or (not header and used[0].startswith("sep=")):
                continue
            if not header:
                header = _header(used, where)
            elif len(used) > len(header) or len(cells) < len(header):
                raise ConfigurationError(f"{where}: found {len(cells)} cells, but the header has {len(header)}")
            else:
                cells = cells[: len(header)]
                yield where, _fields(dict(zip(header, cells, strict=True)), answer_fields, where)
    except csv.Error as error:
        raise ConfigurationError(f"{path} line {reader.line_num} is not CSV: {error}") from None


def _delimiter(text: str) -> str:
    """Comma, semicolon or tab: whichever gives the header a column `id`. Spreadsheets choose it by locale."""
    first = next((line for line in text.splitlines() if line.strip(' ",;\t') and not line.startswith("sep=")), "")

    def names_id(delimiter: str) -> bool:
        return "id" in [cell.strip(' "') for cell in first.split(delimiter)]

    return next((delimiter for delimiter in ",;\t" if names_id(delimiter)), ",")


def _without_empty_end(cells: list[str]) -> list[str]:
    """A row without the empty cells that spreadsheets add at its end."""
    return cells[: max((place for place, cell in enumerate(cells, start=1) if cell.strip()), default=0)]


def _header(cells: Iterable[str], where: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    whole = {name for name in header if "." not in name}
    for name in header:
        if header.count(name) > 1:
            raise ConfigurationError(f"{where}: column '{name}' occurs twice")
        if "." in name and name.partition(".")[0] in whole:
            raise ConfigurationError(f"{where}: columns '{name.partition('.')[0]}' and '{name}' exclude each other")
    return header


def _fields(row: Mapping[str, str], answer_fields: Mapping[str, JsonValue], where: str) -> JsonObject:
    """Cells by column as the nested fields of a case; an empty cell is an absent field."""
    fields: JsonObject = {}
    nested: dict[str, JsonObject] = {}
    for column, cell in row.items():
        head, dot, rest = column.partition(".")
        if not cell.strip():
            continue
        if not dot:
            fields[head] = cell if head in _TEXTS else _cell(cell)
        elif head == "truth":
            nested.setdefault(head, {})[rest] = _truth(cell, answer_fields.get(rest), f"{where}: '{column}'")
        else:
            nested.setdefault(head, {})[rest] = _cell(cell)
    fields |= nested
    if isinstance(fields.get("files"), str):
        fields["files"] = [fields["files"]]
    return fields


def _cell(cell: str) -> JsonValue:
    """A JSON list, object, true or false as such; anything else is text."""
    if cell.strip()[0] in "[{" or cell.strip() in ("true", "false"):
        try:
            value: JsonValue = json.loads(cell)
            return value
        except (ValueError, RecursionError):
            return cell
    return cell


def _truth(cell: str, schema: object, where: str) -> JsonValue:
    """An expected value: text where the answer's schema says so, JSON otherwise."""
    if isinstance(schema, dict) and (schema.get("type") == "string" or ("enum" in schema and "type" not in schema)):
        return cell
    try:
        value: JsonValue = json.loads(cell.lower() if cell in ("TRUE", "FALSE") else cell)  # as spreadsheets write them
        return value
    except (ValueError, RecursionError):
        raise ConfigurationError(f'{where} is {cell[:60]!r}: write it as JSON, for example ["a", "b"] or 3') from None
