"""Excerpts: the part of one large file that a case shows, cut by top-level names or by lines."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ai_dev_tools.benchmark._util.text import numbered_lines, plural
from ai_dev_tools.benchmark.errors import ConfigurationError


class Excerpt(BaseModel):
    """What a case shows of `file`: named top-level statements, or lines `start_line`..`end_line`.

    Attributes:
        file: path of the file below the case's source folder.
        symbols: names of top-level functions, classes or assigned variables (Python files only).
        start_line, end_line: 1-based, both inclusive.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    symbols: tuple[str, ...] = ()
    start_line: int | None = Field(default=None, ge=1)
    end_line: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _is_either_symbols_or_lines(self) -> Self:
        by_lines = self.start_line is not None and self.end_line is not None
        half_given = (self.start_line is None) != (self.end_line is None)
        if half_given or by_lines == bool(self.symbols):
            raise ValueError("give either `symbols`, or both `start_line` and `end_line`")
        if self.start_line is not None and self.end_line is not None and self.end_line < self.start_line:
            raise ValueError(f"end_line {self.end_line} is before start_line {self.start_line}")
        return self

    def cut(self, text: str) -> str:
        """Return the excerpt of `text` (the whole file), ending in a newline.

        Statements keep the file's order.

        Raises:
            ConfigurationError: a symbol or line that the file does not have, or a file that is not Python.
        """
        lines = numbered_lines(text)
        if self.start_line is not None and self.end_line is not None:
            if self.end_line > len(lines):
                raise ConfigurationError(
                    f"{self.file}: the excerpt ends at line {self.end_line}, but the file has {plural(len(lines), 'line')}"
                )
            return "\n".join(lines[self.start_line - 1 : self.end_line]) + "\n"
        return "\n\n\n".join(self._statements(text, lines)) + "\n"

    def _statements(self, text: str, lines: list[str]) -> Iterator[str]:
        try:
            tree = _parse(text)
        except SyntaxError as error:
            raise ConfigurationError(
                f"{self.file}: cannot cut symbols from a file that is not Python ({error.msg}); use lines"
            ) from None
        found = [(names, node) for node in tree.body if (names := _bound_names(node) & set(self.symbols))]
        missing = set(self.symbols).difference(*(names for names, _ in found))
        if missing:
            raise ConfigurationError(f"{self.file}: no top-level {', '.join(sorted(missing))} to cut out")
        for _, node in found:
            yield "\n".join(lines[_first_line(node) - 1 : node.end_lineno])


@functools.lru_cache(maxsize=2)
def _parse(text: str) -> ast.Module:
    """The syntax tree of one large file, which many cases in a row are cut from."""
    return ast.parse(text)


def _bound_names(node: ast.stmt) -> set[str]:
    """Names that a top-level statement binds by definition or assignment."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Assign():
            return {target.id for target in node.targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


def _first_line(node: ast.stmt) -> int:
    """Line of a statement's first decorator, or of the statement itself."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])
