"""Further commands: watch, serve, migrate. None runs Snakemake."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ai_dev_tools.cli import console
from ai_dev_tools.cli.options import AsJson, Root, takes
from ai_dev_tools.cli.running import Wish, open_wish


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(watch)
    app.command()(serve)
    app.command()(migrate)


@takes("profile", "endpoint", runs=False)
def watch(
    wish: Wish,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between looks")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="One look, then end")] = False,
) -> None:
    """Watch a running (or finished) run from its sample files; Ctrl-C leaves the run alone."""
    from ai_dev_tools.benchmark.workflow.live_view import watch as look

    experiment, _, place = open_wish(wish)
    folder = place / "results" / experiment.run
    if not folder.exists():
        console.stop(f"profile '{folder.name}' has no run yet: ai-dev-bench run --profile {experiment.config.profile}")
    try:
        look(folder, interval, once or not sys.stdout.isatty())
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one")] = 11434,
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    model: Annotated[str | None, typer.Option(help="Tag under which the model is served")] = None,
    model_file: Annotated[
        Path | None, typer.Option(help="GGUF file [default: the embedded model's, fetched when missing]")
    ] = None,
    num_ctx: Annotated[int | None, typer.Option(help="Context length when a request names none")] = None,
    parallel: Annotated[int | None, typer.Option(help="Requests computed at once")] = None,
    cache_prompt: Annotated[
        bool, typer.Option("--cache-prompt", help="Reuse prompt prefixes (falsifies measurements)")
    ] = False,
) -> None:
    """Serve the embedded model alone, as Ollama would, until Ctrl-C."""
    import os

    given = {"model": model, "model-file": model_file, "num-ctx": num_ctx, "parallel": parallel}
    rest = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    command = ["-m", "ai_dev_tools.benchmark.endpoints.embedded", "--host", host, "--port", str(port), *rest]
    command += ["--cache-prompt"] if cache_prompt else []
    console.say(f"$ {shlex.join(['python', *command])}")
    os.execv(sys.executable, [sys.executable, *command])


def migrate(
    source: Annotated[Path, typer.Argument(help="pyproject.toml with [tool.ai-dev-tools.benchmark]")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write [default: config/migrated.yaml]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Carry the replaced system's settings over; writes one file, changes no other."""
    from ai_dev_tools.benchmark.legacy.migrate import migrate_file

    place = Wish(root).place()
    target = output or place / "config" / "migrated.yaml"
    migration = migrate_file(source, place)
    if target.exists() and not force:
        console.stop(f"{target} exists already: name another with --output, or replace it with --force")
    try:
        target.write_text(migration.yaml(source.name), encoding="utf-8")
    except OSError as error:
        console.stop(f"cannot write {target}: {error.strerror}")
    if as_json:
        console.out_json({"file": str(target), "carried": migration.carried, "left": migration.left})
        return
    console.tell(f"Carried over: {', '.join(migration.carried) or 'nothing'}")
    for line in migration.left:
        console.tell(f"Not carried over: {line}")
    console.tell(f"Wrote {target}. Use it: ai-dev-bench run --configfile {target}")
