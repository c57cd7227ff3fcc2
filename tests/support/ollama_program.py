"""An executable named `ollama` for tests that let the benchmark start one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

OLLAMA = """#!/bin/sh
# Stands in for Ollama's own program: same command, same variables, the real façade behind it.
test "$1" = serve || exit 64
echo "context $OLLAMA_CONTEXT_LENGTH parallel $OLLAMA_NUM_PARALLEL keep $OLLAMA_KEEP_ALIVE" >&2
exec {python} -m ai_dev_tools.benchmark.endpoints.embedded --host "${{OLLAMA_HOST%:*}}" --port "${{OLLAMA_HOST##*:}}" \\
    --num-ctx "$OLLAMA_CONTEXT_LENGTH" --model-file {weights}
"""


def put_ollama(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Make `ollama` in `folder` that is `script`, and the first of its name on PATH."""
    program = folder / "ollama"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
