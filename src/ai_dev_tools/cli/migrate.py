"""The command `migrate`: settings of the previous system, converted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ai_dev_tools.cli import console
from ai_dev_tools.cli.command_request import CommandRequest
from ai_dev_tools.cli.options import AsJson, Root


def migrate(
    source: Annotated[Path, typer.Argument(help="pyproject.toml with [tool.ai-dev-tools.benchmark]")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write [default: config/migrated.yaml]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Convert the previous system's settings; writes one file and changes no other."""
    from ai_dev_tools.benchmark.legacy.migrate import migrate_file  # takes 0.1 s

    folder = CommandRequest(root).find_root()
    target = output or folder / "config" / "migrated.yaml"
    migration = migrate_file(source, folder)
    if target.exists() and not force:
        console.stop(f"{target} already exists: name another with --output, or replace it with --force")
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
