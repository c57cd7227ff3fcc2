"""Placeholders (names in braces) in a tool's command, and their values for one case."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ai_dev_tools.benchmark._util.text import nearest
from ai_dev_tools.benchmark.errors import ToolError

_NAME = r"[^\W\d][\w.!:\[\]-]*"
_BRACED = re.compile(rf"\{{(?P<literal>\{{+{_NAME}\}}+)\}}|\{{(?P<name>{_NAME})\}}")
"""A name in braces; a second pair of braces makes it text. Other braces (`{}`, `*.{py,pyi}`, `{id: x}`) are text."""
_SPACED = re.compile(r"\{\s*([\w.]+)\s*\}")
_IN_TEMPLATE = re.compile(r"(?<!\{)\{(question|vars\.[^\W\d][\w-]*)\}(?!\})")
PLACES = ("python", "tool_dir")
"""Names that mean the same for every case."""
FILES = "files"
VARS = "vars."
VALID = (*PLACES, FILES, "question", "output_file", "vars.NAME")
READ_SPECIALLY = ("-", "@", "+")
"""Characters at the start of a word that make programs read it as an option or a list of arguments."""


@dataclass(frozen=True)
class ToolInput:
    """What a case adds to the command and template of a tool, other than the texts of its files."""

    case: str = ""
    question: str | None = None
    vars: Mapping[str, object] = field(default_factory=dict)


def check_words(words: Sequence[str], valid: Iterable[str]) -> None:
    """Raise ValueError for a word of a command with an unknown name in braces."""
    valid = tuple(valid)
    for word in words:
        for name in names_in(word):
            known = name in valid or (name.startswith(VARS) and name != VARS and "vars.NAME" in valid)
            if not known:
                raise ValueError(
                    f"{{{name}}} is not a placeholder, {nearest(name, valid, '{{{}}}')} "
                    f"(if the tool itself should get these braces, double them: {{{{{name}}}}})"
                )
            if name == FILES and word != "{files}":
                raise ValueError(
                    'write "{files}" as a separate word, since it may be several paths; '
                    """in a shell: [sh, -c, 'cat "$@"', sh, "{files}"]"""
                )
        for spaced in _SPACED.finditer(word):
            if spaced[1] in valid and spaced[0] != f"{{{spaced[1]}}}":
                raise ValueError(f"write {{{spaced[1]}}} instead of {spaced[0]}, without spaces")


def names_in(word: str) -> list[str]:
    """Names in braces within a word of a command."""
    return [found["name"] for found in _BRACED.finditer(word) if found["name"]]


def filled(word: str, values: Mapping[str, str]) -> str:
    """A word with its placeholders replaced, in one pass: inserted text is not searched again."""
    return _BRACED.sub(lambda found: found["literal"] or values.get(found["name"], found[0]), word)


def command_line(words: Iterable[str], places: Mapping[str, str], files: Iterable[str], given: ToolInput) -> list[str]:
    """A command's words for one case.

    Args:
        places: values of the placeholders that do not depend on the case.

    Raises:
        ToolError: the case lacks what a placeholder names, or the tool would read its value as an option.
    """
    argv: list[str] = []
    ends_options = False
    for word in words:
        if word == "{files}":
            argv += [file_argument(path) for path in files]
            continue
        values = dict(places) | {name: _of_case(name, given) for name in names_in(word) if name not in places}
        text = filled(word, values)
        begins_with_case = word.startswith(("{question}", f"{{{VARS}"))
        if begins_with_case and text.startswith("-") and not ends_options and not _is_number(text):
            raise ToolError(
                f"case '{given.case}': {word} is '{text[:40]}', which the tool would read as an option",
                remedy=f'Write "--" before it in the command, or join it to an option: --option={word}',
            )
        ends_options = ends_options or word == "--"
        argv.append(text)
    return argv


def file_argument(path: str) -> str:
    """A case's file as a word of a command.

    `-rf.py` must not be an option, nor `@list` a list of arguments.
    """
    return f"./{path}" if path.startswith(READ_SPECIALLY) else path


def as_named(text: str, files: Iterable[str]) -> str:
    """Findings with the file names that every other arm shows, not those that the tool was given."""
    for path in files:
        if file_argument(path) != path:
            text = text.replace(file_argument(path), path)
    return text


def vars_in_template(source: str) -> list[str]:
    """Variables that a template names as a command does, `{vars.NAME}`."""
    return [found[1].removeprefix(VARS) for found in _IN_TEMPLATE.finditer(source) if found[1].startswith(VARS)]


def in_template(source: str) -> str:
    """A template in which `{question}` and `{vars.NAME}` mean what they mean in a command."""
    return _IN_TEMPLATE.sub(lambda found: "{{ " + _expression(found[1]) + " }}", source)


def _expression(name: str) -> str:
    return name if name == "question" else f"vars[{json.dumps(name.removeprefix(VARS))}]"


def _of_case(name: str, given: ToolInput) -> str:
    if name == "question":
        if given.question is None:
            raise ToolError(f"case '{given.case}' has no question, which {{question}} in the command needs")
        return given.question
    key = name.removeprefix(VARS)
    value = given.vars.get(key)
    if value is None:
        raise ToolError(
            f"case '{given.case}' has no var '{key}', which {{{name}}} in the command needs",
            remedy=f"Add it to the case's 'vars', {nearest(key, given.vars)}",
        )
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-\d+(\.\d+)?", text) is not None
