"""Tables as files: one schema for all columns, one writer of CSV, one reader of CSV and Parquet.

What a column holds depends on its name alone, never on what its cells look like: a task called `007`, `NA` or `true`
stays that text for every reader and in every file format. A text that a spreadsheet would take for a formula is
written behind an apostrophe, which the reader takes away again.

Light imports: what reads a table imports pandas when it does so.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ai_dev_tools.benchmark._util.json_values import JsonValue

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.parquet as pq

Kind = Literal["text", "number", "flag"]

_NUMBERS = """
    sample repeat seed order score attempts in_flight protocol num_ctx num_predict start alpha cases censored
    clusters clusters_could_decide d_z decode_tokens_per_second difference dropped flagged high look low mde
    mde_d_z n p p_adjusted p_costs p_saves p_signed_rank pairs planned power present quality quality_bound
    claim_quality_bound fell_back high_uncapped low_uncapped place quality_alpha rules
    quality_margin ratio samples samples_could_decide success_rate tasks threshold throughput tokens_per_point
    tokens_per_second unpaired uses value
    turns tool_calls tool_used tool_used_rate limit_rate limit_seconds
    money price_input price_cached_input price_output price_per_hour tool_money saving_money uses_money
"""
NUMBERS = frozenset(_NUMBERS.split())
"""Columns of numbers in any table, in addition to those whose name ends in a unit."""
UNITS = (
    "_s",
    "_bytes",
    "_tokens",
    "_percent",
    "_ratio",
    "_mean",
    "_low",
    "_high",
    "_difference",
    "_bound",
    "_margin",
    "_alpha",
    "_power",
    "_score",
    "_p",
)
FLAGS = frozenset(("parsed", "implausible", "comparable", "overall", "quality_passed"))
"""Columns of true and false. All other columns are text."""

MISSING = ["", "NA", "N/A", "#N/A", "NaN", "nan", "<NA>", "None", "NULL", "null"]
"""What means "no number", here and in tables of other programs; a text is missing only if its cell is empty."""
MAX_HEADER_BYTES = 64 * 1024
MAX_COLUMNS = 1000
MAX_ROWS = 5_000_000
MAX_TABLE_BYTES = 1 << 30
"""What a Parquet table may unpack to."""
MAX_FOOTER_BYTES = 8 << 20
"""What a Parquet table may say of itself."""
_FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]")
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
RENAMED = {"endpoint": "outcome"}
"""Columns of computed tables that had another name in earlier versions; `sample.RENAMED` has those of samples."""
_DIRECTIONS = {"dearer": "more_expensive"}
EARLIER_TEXTS: tuple[tuple[str, str], ...] = (
    ("; dearer on ", ", but more expensive on "),
    ("case is dearer but", "case is more expensive but"),
    (r"\(without: dearer,", "(without: more expensive,"),
    (r"with: dearer\)", "with: more expensive)"),
    ("under this plan \\(retry=all\\)", "under this plan (retry=plan)"),
    ("kind=ratio; endpoint=", "kind=ratio; outcome="),
    ("kind=difference; endpoint=", "kind=difference; outcome="),
    ("the scores hang on", "the scores rest on"),
    ("the time holds failed tries and pauses", "the time includes failed ones and pauses"),
    (r"(?<=\d)% of pairs (?=were lost|are flagged|have an answer)", " % of pairs "),
    (r"(?<=flagged shares differ by )(\d+)%", r"\1 %"),
    (r"(?<=\(limit )(\d+)%(?=\))", r"\1 %"),
    (r"\b1 task\(s\) with (one cluster only|a single cluster) are ", r"1 task with \1 is "),
    (r"(?<=\d) task\(s\) with (?=one cluster only|a single cluster)", " tasks with "),
    (r"\bonly 1 clusters(?=:| \()", "only 1 cluster"),
    ("to get a word, undo that", "to get a verdict, undo that"),
    ("so an earlier word may have been another", "so an earlier verdict may have been another"),
    ("no word of its own: the verdict", "no verdict of its own: the verdict"),
    (r"\b1 answers without a score", "1 answer without a score"),
    (r"\bin none of its 1 episodes did the agent use the tool", "in its only episode the agent did not use the tool"),
)
"""Patterns of what cells of earlier versions say, and how it is said now."""


def kind_of(column: str) -> Kind:
    """What the cells of a column are."""
    return "number" if column in NUMBERS or column.endswith(UNITS) else "flag" if column in FLAGS else "text"


def guarded(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """The text behind a cell: what `guarded` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table; the same table gives the same bytes."""
    texts = [name for name in table.columns if kind_of(str(name)) == "text"]
    cells = table.assign(**{name: _each(table[name], guarded) for name in texts})
    with open(path, "w", encoding="utf-8", newline="") as file:
        if any(table[name].astype("string").str.contains("\r", regex=False).any() for name in texts):
            # csv quotes the characters of its own line end only, and readers would take a lone CR for one
            lines = _ShortLineEnds(newline="")
            cells.to_csv(lines, index=False, lineterminator="\r\n")
            file.write(lines.getvalue())
        else:
            cells.to_csv(file, index=False, lineterminator="\n")


def read_table(source: Path | bytes, name: str | None = None) -> pd.DataFrame:
    """A table from CSV or Parquet, its columns as their names say; empty if the file is.

    Args:
        name: of the file, where `source` is its content.

    Raises:
        OSError, ValueError: it cannot be read, is not a table, or a number in it is none.
    """
    import pandas as pd  # takes 0.3 s

    data = source if isinstance(source, bytes) else source.read_bytes()
    if (name or str(source)).endswith(".parquet"):
        return typed(_current(_parquet(data)))
    return typed(_current(_csv(data))) if data.strip() else pd.DataFrame()


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its columns as their names say: text (missing: NaN), numbers, and true or false.

    Raises:
        ValueError: a cell does not have the type of its column.
    """
    return table.assign(**{str(name): _column(table[name], kind_of(str(name))) for name in table.columns})


def with_current_names(row: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A row of a computed table in JSON, with both today's names and those of an earlier version."""
    named = {new: row[old] for old, new in RENAMED.items() if old in row and new not in row}
    if (said := row.get("direction")) in _DIRECTIONS:
        named["direction"] = _DIRECTIONS[str(said)]
    return {**row, **named}


def in_current_format(content: bytes) -> bytes:
    """A file of an earlier version, CSV or JSON, as this one would write it."""
    words = [(f'"{old}":', f'"{new}":') for old, new in RENAMED.items()]
    words += [(f'"direction": "{old}"', f'"direction": "{new}"') for old, new in _DIRECTIONS.items()]
    words += [(f",{old},", f",{new},") for old, new in (*RENAMED.items(), *_DIRECTIONS.items())]
    for old, new in words:
        content = content.replace(old.encode(), new.encode())
    for pattern, new in EARLIER_TEXTS:
        content = re.sub(pattern.encode(), new.encode(), content)
    return content


def _current(table: pd.DataFrame) -> pd.DataFrame:
    """A table of an earlier version with today's names."""
    table = table.rename(columns={old: new for old, new in RENAMED.items() if new not in table.columns})
    if list(table.columns).count("direction") != 1:
        return table
    return table.assign(direction=_each(table["direction"], lambda text: _DIRECTIONS.get(text, text)))


class _ShortLineEnds(io.StringIO):
    """Gets lines that end in CR LF, and keeps them ending in LF."""

    def write(self, line: str) -> int:
        return super().write(line.removesuffix("\r\n") + "\n")


def _each(column: pd.Series, change: Callable[[str], str]) -> pd.Series:
    """A column with its texts changed; most have few different ones, and few of these change."""
    changed = {text: new for text in column.unique() if isinstance(text, str) and (new := change(text)) != text}
    return column.astype("object").map(lambda text: changed.get(text, text)) if changed else column


def _csv(data: bytes) -> pd.DataFrame:
    import pandas as pd  # takes 0.3 s

    # lines before it that pandas skips, and line ends within quotes, do not hide a header that never ends
    header = data.lstrip(b"\xef\xbb\xbf \t\r\n")[: MAX_HEADER_BYTES + 1].split(b"\n", 1)[0]
    if len(header) > MAX_HEADER_BYTES or header.count(b",") >= MAX_COLUMNS:
        raise ValueError(f"its header is longer than {MAX_HEADER_BYTES} bytes or has more than {MAX_COLUMNS} columns")
    if header.count(b'"') % 2:
        raise ValueError("its header has a line break")
    if data.count(b"\n") + data.count(b"\r") > 2 * MAX_ROWS:
        raise ValueError(f"it has more than {MAX_ROWS} rows")
    names = list(pd.read_csv(io.BytesIO(data), nrows=0, encoding="utf-8-sig").columns)
    # flags are read as text first: which words mean true is decided for CSV and Parquet alike
    numbers = {name for name in names if kind_of(name) == "number"}
    table = pd.read_csv(
        io.BytesIO(data),
        dtype={name: "float64" if name in numbers else str for name in names},
        keep_default_na=False,
        na_values={name: MISSING if name in numbers else [""] for name in names},
        index_col=False,
        low_memory=False,
        encoding="utf-8-sig",
    )
    return table.assign(**{name: _each(table[name], unguarded) for name in names if name not in numbers})


def _parquet(data: bytes) -> pd.DataFrame:
    import pyarrow as pa  # takes 0.1 s

    try:
        # what pandas noted about itself in the file, such as which column is an index, is not believed
        table: pd.DataFrame = open_parquet(data).read().to_pandas(ignore_metadata=True)
        return table
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error)) from None


def open_parquet(data: bytes, most: int = MAX_TABLE_BYTES) -> pq.ParquetFile:
    """A Parquet table, ready to be read.

    Args:
        most: bytes that it may say that it unpacks to.

    Raises:
        ValueError: it claims to be larger than any table of this project.
        pyarrow.ArrowException, OSError: it is not a Parquet file.
    """
    import pyarrow.parquet as pq  # takes 0.1 s

    if int.from_bytes(data[-8:-4], "little") > MAX_FOOTER_BYTES:
        raise ValueError("its metadata is larger than that of any table of this project")
    file = pq.ParquetFile(io.BytesIO(data))
    about = file.metadata
    if sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups)) > most:
        raise ValueError(f"it would unpack to more than {most} bytes")
    if about.num_rows > MAX_ROWS or about.num_columns > MAX_COLUMNS:
        raise ValueError(f"it has more than {MAX_ROWS} rows or {MAX_COLUMNS} columns")
    return file


def _column(column: pd.Series, kind: Kind) -> pd.Series:
    import pandas as pd  # takes 0.3 s

    if isinstance(column, pd.DataFrame):
        raise ValueError(f"it has two columns {column.columns[0]}")
    match kind:
        case "text":
            return _text(column)
        case "number":
            return _number(column)
        case "flag":
            if column.dtype == bool:
                return column
            words = column.astype("string").str.lower()
            return words.map(_TRUTH, na_action="ignore").astype("object").where(words.notna(), None)


def _text(column: pd.Series) -> pd.Series:
    import pandas as pd  # takes 0.3 s

    if isinstance(column.dtype, pd.CategoricalDtype):
        categories = column.cat.categories
        return (
            column
            if pd.api.types.is_string_dtype(categories)
            else column.cat.rename_categories(list(map(str, categories)))
        )
    if isinstance(column.dtype, pd.StringDtype) and column.dtype.na_value is not pd.NA:
        return column
    return column.astype("string").astype("object").where(column.notna(), float("nan"))


def _number(column: pd.Series) -> pd.Series:
    """Whole numbers as integers if none is missing, as pandas does."""
    # these take 0.3 s
    import numpy as np
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        try:
            column = pd.to_numeric(column.astype("object").where(~column.isin(MISSING), None))
        except (ValueError, TypeError) as error:
            raise ValueError(f"column {column.name}: {error}") from None
    values = column.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    whole = bool(len(values)) and bool(np.isfinite(values).all()) and bool((values == np.trunc(values)).all())
    fits = whole and bool((np.abs(values) <= 2**53).all())
    return pd.Series(values.astype(np.int64) if fits else values, index=column.index, name=column.name)
