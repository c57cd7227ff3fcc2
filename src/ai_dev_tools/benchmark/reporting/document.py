"""What a page says, free of any format: sections of blocks.

Texts are plain; each format escapes them its own way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

import pandas as pd

from ai_dev_tools.benchmark._util import text
from ai_dev_tools.benchmark.analysis.rows import Row

RANK = "_rank"
"""Key of a row that says how much it tells; no column, so that no format prints it."""
DETAIL, QUIET = "detail", "quiet"


def ranked(row: Row, *, main: bool, quiet: bool = False) -> Row:
    """A row that says how much it tells."""
    return {**row, RANK: QUIET if quiet else "" if main else DETAIL}


@dataclass(frozen=True)
class Column:
    """A column of a table. `digits` are decimals; kind `percent` prints a share of 1 as a percentage.

    `link` names the key of a row that holds where its cell leads to, a part of the page (without #).
    """

    key: str
    label: str
    kind: Literal["text", "number", "percent"] = "text"
    digits: int = 0
    help: str = ""
    link: str = ""

    @property
    def numeric(self) -> bool:
        return self.kind in ("number", "percent")

    def show(self, row: Row) -> str:
        """The cell as every format prints it, before escaping."""
        value = row.get(self.key)
        if self.kind == "number":
            return text.number(value, self.digits)
        if self.kind == "percent":
            return text.percent(value, self.digits)
        return text.MISSING if text.is_missing(value) or value == "" else text.visible(str(value), keep_lines=False)

    def value(self, row: Row) -> object:
        """The cell for machines: a number, a text, or None."""
        value = row.get(self.key)
        if text.is_missing(value):
            return None
        item = getattr(value, "item", None)
        return item() if item else value


@dataclass(frozen=True)
class Table:
    """Rows to read, sort and filter.

    `caption` says what to conclude; `empty` is shown when there are no rows.

    A row may say by `RANK` how much it tells: `DETAIL` is left to the page and the CSV file, `QUIET` (nothing can be
    concluded from it) is folded away on the page too. Files for machines have every row.
    """

    id: str
    title: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    empty: str = "Nothing to show."

    @property
    def shown(self) -> Sequence[Column]:
        """The columns that people see: one without a single value tells them nothing."""
        return [column for column in self.columns if any(column.value(row) not in (None, "") for row in self.rows)]

    @property
    def nothing(self) -> str:
        """One line in place of rows that say nothing; "" where they say something."""
        if not self.rows:
            return self.empty
        numeric = [column for column in self.columns if column.numeric]
        blank = numeric and not any(column.numeric for column in self.shown)
        return f"Nothing is known of {text.plural(len(self.rows), 'row')}." if blank else ""

    @property
    def main(self) -> Sequence[Row]:
        """The rows that a short report has."""
        return [row for row in self.rows if row.get(RANK) not in (DETAIL, QUIET)]

    @property
    def quiet(self) -> int:
        """How many rows say nothing and are folded away on a page."""
        return sum(row.get(RANK) == QUIET for row in self.rows)


class PlotOptions(TypedDict, total=False):
    """How a figure is drawn.

    Attributes:
        margin: edge of the grey band around 1, a ratio below it.
        xlabel: what the horizontal axis shows.
        xlim: its ends.
    """

    margin: float
    xlabel: str
    xlim: tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """A picture of `data`, drawn by the plot named `plot`. `alt` says in words what a reader would see."""

    id: str
    title: str
    caption: str
    alt: str
    plot: str
    data: pd.DataFrame
    options: PlotOptions = field(default_factory=PlotOptions)


@dataclass(frozen=True)
class Notice:
    """Something that a reader must not miss."""

    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True)
class Prose:
    """Paragraphs."""

    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class InShort:
    """The whole run in one paragraph, and what to do next.

    Attributes:
        text: what was compared, on what, what holds and what does not.
        advice: what to do next, in words; `command` does it, where one command can.
    """

    text: str
    advice: str
    command: str = ""


@dataclass(frozen=True)
class Facts:
    """Terms and what is to be said of them."""

    items: tuple[tuple[str, str], ...]
    compact: bool = False


SIGNS = {"saves": "✔", "costs": "▲", "inconclusive": "◐", "invalid": "✖"}
"""A sign for each verdict word, so that no colour is needed to tell them apart."""


@dataclass(frozen=True)
class Verdict:
    """One claim and its verdict.

    Attributes:
        claim: its name in plans and tables, e.g. tokens:tools; `statement` says it in words.
        detail: what was compared, over which tasks.
        evidence: terms and what the word rests on, for people.
        reach: how far the word reaches where that is not beyond one repository.
    """

    claim: str
    word: str
    label: str
    model: str
    profile: str
    headline: str
    detail: str
    sentence: str
    reasons: str
    evidence: tuple[tuple[str, str], ...] = ()
    statement: str = ""
    reach: str = ""

    @property
    def id(self) -> str:
        return f"{self.claim}-{self.model}"


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of a run; `empty` says why there are none."""

    items: tuple[Verdict, ...]
    empty: str


@dataclass(frozen=True)
class Links:
    """Other files; `items` are (what it is, path from the page's folder)."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Browser:
    """Place of the sample browser; formats that cannot browse say where the samples are."""

    caption: str


Block = Table | Figure | Notice | Prose | InShort | Facts | Verdicts | Links | Browser


@dataclass(frozen=True)
class Section:
    """A titled part of the report. `folded` parts are closed at first on a screen."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    lead: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Page:
    """Sections under a title.

    Attributes:
        header: what is shown below the title, e.g. ("Profile", "LIGHT").
    """

    title: str
    header: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]

    @property
    def subject(self) -> str:
        """What the page is about, for the title of its window."""
        return self.header[0][1] if self.header else ""

    def section(self, name: str) -> Section:
        """The section with this id; raises LookupError."""
        found = {section.id: section for section in self.sections}
        if name not in found:
            raise LookupError(f"no section is called '{name}'; there are {', '.join(found)}")
        return found[name]

    def blocks(self) -> Iterator[tuple[Section, Block]]:
        """Every block with its section."""
        return ((section, block) for section in self.sections for block in section.blocks)

    @property
    def figures(self) -> list[Figure]:
        return [block for _, block in self.blocks() if isinstance(block, Figure)]

    @property
    def tables(self) -> list[Table]:
        return [block for _, block in self.blocks() if isinstance(block, Table)]

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for _, block in self.blocks() if isinstance(block, Verdicts) for verdict in block.items]


@dataclass(frozen=True)
class Report(Page):
    """The page of one run.

    Attributes:
        benchmark_info, comparison_metrics, overall_metrics: the blocks that existing users of report.json know.
        more: further machine-readable blocks of report.json.
    """

    benchmark_info: dict[str, object]
    comparison_metrics: dict[str, float | None]
    overall_metrics: dict[str, float | None]
    more: dict[str, object]
