"""Options that several commands take, each declared once.

A command lists those that it takes in its signature, and gets them together by `CommandRequest.of(context)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ai_dev_tools.benchmark.plugins import SHIPPED_ENDPOINT_KINDS

Names = list[str] | None


def whole_number(text: str) -> int:
    """A number of samples; `010` is refused, because some read it as 8."""
    if not re.fullmatch(r"-?(0|[1-9]\d*)", text):
        raise typer.BadParameter(f"'{text}' is not a whole number in plain decimal digits")
    return int(text)


# settings of config.yaml by the same name

Profile = Annotated[
    str | None, typer.Option("--profile", "-p", help="embedded, coder, light, medium, heavy, or your own")
]
Tasks = Annotated[Names, typer.Option("--tasks", "-t", metavar="NAME ...", help="Task ids [default: all]")]
Samples = Annotated[
    int | None,
    typer.Option(
        "--samples", "-s", metavar="N", parser=whole_number, help="Samples per approach [default: the profile's]"
    ),
]
Approaches = Annotated[Names, typer.Option("--approaches", metavar="NAME ...", help="Arms, or all")]
Models = Annotated[
    Names, typer.Option("--models", metavar="NAME ...", help="Model tags or instance names of the profile")
]
Tools = Annotated[Names, typer.Option("--tools", metavar="NAME ...", help="Tools to judge, each in a separate arm")]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint", help=f"{', '.join(SHIPPED_ENDPOINT_KINDS)}, a plugin's kind, or a URL")
]
Output = Annotated[
    str | None, typer.Option("--output-format", "-f", help="What is printed: json, markdown, csv, console")
]

# of every command that opens the workflow; `Cores` only where something is run

Settings = Annotated[Names, typer.Option(metavar="KEY=VALUE ...", help="Any setting of config/config.yaml")]
ConfigFiles = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="Settings that override config/config.yaml")
]
Cores = Annotated[str | None, typer.Option(help="Cores for Snakemake [default: all]")]
Root = Annotated[Path | None, typer.Option("--root", help="The workflow's folder [default: found upwards from here]")]
AsJson = Annotated[bool, typer.Option("--json", help="Data for programs on standard output")]

LISTS = ("--tasks", "--approaches", "--models", "--profiles", "--tools", "--runs", "--config", "--metric")
"""Options that take several values: `--tasks a b`, `--tasks a,b` and `--tasks a --tasks b` mean the same."""


def names(values: Sequence[str] | None) -> list[str] | None:
    """`["a,b", "c"]` as `["a", "b", "c"]`; None if nothing was given."""
    return [part for value in values or () for part in value.split(",") if part] or None


def join_lists(arguments: Sequence[str]) -> list[str]:
    """`--tasks a b` as `--tasks a --tasks b`, which is how the parser takes several values."""
    joined: list[str] = []
    current = ""
    for word in arguments:
        if word.startswith("-"):
            current = word if word in LISTS else ""
            first = True
            joined.append(word)
            continue
        if current and not first:
            joined.append(current)
        joined.append(word)
        first = False
    return joined
