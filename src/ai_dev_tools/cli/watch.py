"""The command `watch`: the progress of a run, from its sample files."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ai_dev_tools.cli import console
from ai_dev_tools.cli.command_request import CommandRequest, open_request
from ai_dev_tools.cli.options import ConfigFiles, Endpoint, Profile, Root, Settings


def watch(
    context: typer.Context,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between updates")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print the state once and exit")] = False,
    profile: Profile = None,
    endpoint: Endpoint = None,
    config: Settings = None,
    configfile: ConfigFiles = None,
    root: Root = None,
) -> None:
    """Watch a running (or finished) run from its sample files; Ctrl-C leaves the run alone."""
    from ai_dev_tools.benchmark.workflow.live_view import watch as watch_run  # takes 0.1 s

    experiment, place = open_request(CommandRequest.of(context))
    folder = place / "results" / experiment.run
    if not folder.exists():
        console.stop(f"profile '{folder.name}' has no run yet: ai-dev-bench run --profile {experiment.config.profile}")
    try:
        watch_run(folder, interval, once or not sys.stdout.isatty())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
