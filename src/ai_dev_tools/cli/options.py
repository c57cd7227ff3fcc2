"""Options that commands share: each is declared once, and a command names those that it takes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ai_dev_tools.cli.console import stop
from ai_dev_tools.cli.running import Wish

Root = Annotated[Path | None, typer.Option("--root", help="The workflow's folder [default: found upwards from here]")]
AsJson = Annotated[bool, typer.Option("--json", help="Data for programs on standard output")]
Names = list[str] | None


def whole_number(text: str) -> int:
    """A number of samples; `010` is refused, because some read it as 8."""
    if not re.fullmatch(r"-?(0|[1-9]\d*)", text):
        raise typer.BadParameter(f"'{text}' is no whole number in plain decimal digits")
    return int(text)


SETTINGS: dict[str, Any] = {
    "profile": Annotated[
        str | None, typer.Option("--profile", "-p", help="embedded, light, medium, heavy, or your own")
    ],
    "tasks": Annotated[Names, typer.Option("--tasks", "-t", metavar="NAME ...", help="Task ids [default: all]")],
    "samples": Annotated[
        int | None,
        typer.Option(
            "--samples", "-s", metavar="N", parser=whole_number, help="Samples per approach [default: the profile's]"
        ),
    ],
    "approaches": Annotated[Names, typer.Option("--approaches", metavar="NAME ...", help="Arms, or all")],
    "models": Annotated[
        Names, typer.Option("--models", metavar="NAME ...", help="Model tags or instance names of the profile")
    ],
    "tools": Annotated[
        Names, typer.Option("--tools", metavar="NAME ...", help="Tools to judge, each in an arm of its own")
    ],
    "endpoint": Annotated[
        str | None,
        typer.Option("--endpoint", help="embedded, auto, external, process, container, replay, or a URL"),
    ],
    "output_format": Annotated[
        str | None, typer.Option("--output-format", "-f", help="What is printed: json, markdown, csv, console")
    ],
}
"""Options that are settings of config.yaml by the same name."""
PLACE: dict[str, Any] = {
    "config": Annotated[Names, typer.Option(metavar="KEY=VALUE ...", help="Any setting of config/config.yaml")],
    "configfile": Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Settings to lay over config/config.yaml")
    ],
    "cores": Annotated[str | None, typer.Option(help="Cores for Snakemake [default: all]")],
    "root": Root,
}
"""Options of every command that opens the workflow; `cores` only where something is run."""
LISTS = ("--tasks", "--approaches", "--models", "--profiles", "--tools", "--runs", "--config", "--metric")
"""Options that take several values: `--tasks a b`, `--tasks a,b` and `--tasks a --tasks b` mean the same."""

Command = Callable[..., None]


def takes(*settings: str, runs: bool = True) -> Callable[[Command], Command]:
    """Give a command these shared options; it gets them together, as its argument `wish`.

    Args:
        settings: names in `SETTINGS`.
        runs: whether the command runs Snakemake, and so takes `--cores`.
    """
    place = [name for name in PLACE if runs or name != "cores"]
    shared = {name: SETTINGS[name] for name in settings} | {name: PLACE[name] for name in place}

    def decorate(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(command).parameters.items()
            if name != "wish"
        ]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
            for name, option in shared.items()
        ]

        def call(ctx: typer.Context, **given: Any) -> None:
            values = {name: given.pop(name) for name in shared}
            command(wish=_wish((ctx.obj or {}).get("flags", ()), values), **given)

        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        arguments = [parameter for parameter in own if parameter.name != "as_json"]
        last = [parameter for parameter in own if parameter.name == "as_json"]
        call.__signature__ = inspect.Signature([context, *arguments, *added, *last])  # type: ignore[attr-defined]
        call.__annotations__ = {}
        call.__name__, call.__doc__ = command.__name__, command.__doc__
        return call

    return decorate


def _wish(flags: Sequence[str], values: dict[str, Any]) -> Wish:
    for name, value in values.items():
        if name in SETTINGS and isinstance(value, list) and value and not names(value):
            stop(f"--{name.replace('_', '-')} names nothing: give a name or more, or leave it out")
    cores = values.get("cores")
    if cores is not None and cores != "all" and not re.fullmatch(r"[1-9]\d*", cores):
        stop(f"--cores {cores}: expected a number of cores, or all")
    config = {
        name: names(value) if isinstance(value, list) else value for name, value in values.items() if name in SETTINGS
    }
    return Wish(values["root"], config, values["config"] or (), values["configfile"] or (), cores, tuple(flags))


def names(values: Sequence[str] | None) -> list[str] | None:
    """`["a,b", "c"]` as `["a", "b", "c"]`; None where nothing was given."""
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
