#!/usr/bin/env python3
"""The simple script: `--profile medium --samples 5`, `--tasks a b`, `--list-tasks`, `--validate`; see `ai-dev-bench run`."""

import sys
from pathlib import Path

try:
    from ai_dev_tools.cli.benchmark_cli import main
except ImportError as error:
    sys.exit(f"error: the package is not installed ({error}): run `pip install .` in {Path(__file__).parents[1]}")

SHORTCUTS = {"--list-tasks": "list-tasks", "--validate": "validate"}

if __name__ == "__main__":
    words = sys.argv[1:]
    command = next((SHORTCUTS[word] for word in words if word in SHORTCUTS), "run")
    rest = [word for word in words if word not in SHORTCUTS]
    own = ["--root", str(Path(__file__).resolve().parents[1])] if "--help" not in rest and "-h" not in rest else []
    raise SystemExit(main([command, *own, *rest]))
