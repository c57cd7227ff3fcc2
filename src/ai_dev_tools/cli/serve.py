"""The command `serve`: the embedded model alone, as Ollama would."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ai_dev_tools.cli import console


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one")] = 11434,
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    model: Annotated[str | None, typer.Option(help="Tag under which the model is served")] = None,
    model_file: Annotated[
        Path | None, typer.Option(help="GGUF file [default: the embedded model's, fetched if missing]")
    ] = None,
    num_ctx: Annotated[int | None, typer.Option(help="Context length if a request names none")] = None,
    parallel: Annotated[int | None, typer.Option(help="Requests computed at once")] = None,
    cache_prompt: Annotated[
        bool, typer.Option("--cache-prompt", help="Reuse prompt prefixes (distorts measurements)")
    ] = False,
) -> None:
    """Serve the embedded model alone, as Ollama would, until Ctrl-C."""
    given = {"model": model, "model-file": model_file, "num-ctx": num_ctx, "parallel": parallel}
    rest = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    command = ["-m", "ai_dev_tools.benchmark.endpoints.embedded", "--host", host, "--port", str(port), *rest]
    command += ["--cache-prompt"] if cache_prompt else []
    console.say(f"$ {shlex.join(['python', *command])}")
    os.execv(sys.executable, [sys.executable, *command])
