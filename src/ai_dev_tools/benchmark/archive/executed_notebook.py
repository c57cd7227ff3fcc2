"""Check that the executed notebook in an archive is this package's, with its outputs only."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize

from ai_dev_tools.benchmark._util.json_values import JsonFields
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.reporting.formats.structured import jsonable
from ai_dev_tools.benchmark.reporting.notebook import INJECTED

IMPOSSIBLE = (
    ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, SyntaxError, tokenize.TokenError,
)  # fmt: skip
"""What a notebook of any content makes the checks stumble over."""
_OF_CELLS = ("execution", "papermill", "tags")
_WHOLE = ("kernelspec", "language_info", "papermill")
_WORD = re.compile(r"[A-Za-z0-9 .,:;+_/@-]{0,200}")


def is_executed(recorded: bytes, expected: bytes, profile: str, about: object) -> bool:
    """Whether a notebook is the expected one, with its parameters and times.

    As papermill or `reporting.notebook` writes it.

    Args:
        expected: the same without a kernel, see `render_without_kernel`.
    """
    try:
        found, wanted = json.loads(recorded), json.loads(expected)
        cells = [cell for cell in found["cells"] if INJECTED not in cell["metadata"].get("tags", [])]
        injected = [cell for cell in found["cells"] if INJECTED in cell["metadata"].get("tags", [])]
        return (
            found.keys() == wanted.keys()
            and (found["nbformat"], found["nbformat_minor"]) == (wanted["nbformat"], wanted["nbformat_minor"])
            and [_plain(cell) for cell in cells] == [_plain(cell) for cell in wanted["cells"]]
            and all(_is_injected(cell, profile, about) for cell in injected)
            and len(injected) <= 1
            and _is_dull(found["metadata"], _WHOLE)
            and all(_is_dull(cell["metadata"], _OF_CELLS) for cell in found["cells"])
        )
    except IMPOSSIBLE:
        return False


def _plain(cell: JsonFields) -> JsonFields:
    """A cell without what differs between two executions."""
    kept = {key: value for key, value in cell.items() if key not in ("execution_count", "metadata", "outputs")}
    outputs = [
        {key: value for key, value in output.items() if key != "execution_count"} for output in cell.get("outputs", [])
    ]
    tags = list(cell["metadata"].get("tags", []))
    count = cell.get("execution_count")
    return kept | {"outputs": outputs, "tags": tags, "count": None if isinstance(count, int) else count}


def _is_injected(cell: JsonFields, profile: str, about: object) -> bool:
    """Whether a cell holds the parameters of this run and nothing else, however it is laid out."""
    values = {
        "tables": paths.TABLES.format(profile=profile),
        "plans": paths.PLANS.format(profile=profile),
        "figures": paths.FIGURES.format(profile=profile),
        "about": about,
    }
    source = "".join(cell["source"])
    given: dict[str, object] = {}
    for line in ast.parse(source).body:
        if not (isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name)):
            return False
        given[line.targets[0].id] = ast.literal_eval(line.value)
    same = json.dumps(given) == json.dumps(jsonable(values)) and _comments(source) == ["# Parameters"]
    return same and cell["cell_type"] == "code" and cell["outputs"] == []


def _comments(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def _is_dull(metadata: JsonFields, known: tuple[str, ...]) -> bool:
    """Whether metadata contains only times, versions and the names of settings."""
    return metadata.keys() <= set(known) and all(
        _is_word(value) for key, part in metadata.items() if key != "papermill" or isinstance(part, dict)
        for value in (part.values() if isinstance(part, dict) else [part])
        if key != "papermill" or not isinstance(value, dict)
    )  # fmt: skip


def _is_word(value: object) -> bool:
    if isinstance(value, list | dict):
        inner = value if isinstance(value, list) else value.values()
        return len(value) < 20 and all(map(_is_word, inner))
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and bool(_WORD.fullmatch(value)))
