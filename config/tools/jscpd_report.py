"""Runs jscpd on the current folder and prints its findings as JSON, with function names instead of line ranges.

jscpd reports where two stretches of code start and end. A reader who does not have the files needs the names of
the functions there, which the syntax tree gives. Nothing is added to or dropped from what jscpd found, but pairs
within one function and stretches outside of any function.

Prints {"functions": int, "pairs": [{"a", "b", "similarity", "kind", "lines"}]}; exit code 2 if jscpd fails.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

REPORT = "jscpd-report.json"
OPTIONS = ["--similarity=0.8", "--ignore-identifiers", "--ignore-literals", "--reporters", "json", "--workers", "1"]


def find_program() -> str:
    """The jscpd next to the running Python, else the one on the PATH."""
    program = shutil.which("jscpd", path=sysconfig.get_path("scripts")) or shutil.which("jscpd")
    if program is None:
        sys.exit("jscpd is not installed: pip install jscpd")
    return program


def scan(folder: Path) -> list[dict[str, Any]]:
    """The duplicates that jscpd finds below a folder, as its JSON report has them."""
    with tempfile.TemporaryDirectory() as out:
        command = [find_program(), *OPTIONS, "--output", out, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        report = Path(out, REPORT)
        if not report.is_file():
            sys.stderr.write(done.stderr or done.stdout)
            raise SystemExit(2)
        duplicates: list[dict[str, Any]] = json.loads(report.read_text())["duplicates"]
        return duplicates


def spans(path: Path) -> list[tuple[str, int, int]]:
    """(name, first line, last line) of every function of a file; none if it is not valid Python."""
    try:
        tree = ast.parse(path.read_text())
    except SyntaxError:
        return []
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [(n.name, n.lineno, n.end_lineno or n.lineno) for n in nodes]


def at(functions: list[tuple[str, int, int]], start: int, end: int) -> str | None:
    """The function that shares most lines with a stretch."""
    shared = [(min(end, last) - max(start, first) + 1, name) for name, first, last in functions]
    lines, name = max(shared, default=(0, ""), key=lambda item: item[0])
    return name if lines > 0 else None


def main() -> None:
    folder = Path.cwd()
    files = {str(p.relative_to(folder)): spans(p) for p in sorted(folder.rglob("*.py"))}
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    for found in scan(folder):
        places = []
        for side in (found["firstFile"], found["secondFile"]):
            path = Path(side["name"])
            name = str(path.relative_to(folder)) if path.is_absolute() else str(path)
            function = at(files.get(name, []), side["start"], side["end"])
            places.append(f"{name}:{function}" if function else "")
        if not all(places) or places[0] == places[1]:
            continue
        key = (min(places), max(places))
        pair = {
            "a": key[0],
            "b": key[1],
            "similarity": found.get("similarity", 1.0),
            "kind": found.get("method") or found.get("kind", "exact"),
            "lines": found["lines"],
        }
        if key not in pairs or pair["similarity"] > pairs[key]["similarity"]:
            pairs[key] = pair
    ordered = sorted(pairs.values(), key=lambda p: (-p["similarity"], p["a"], p["b"]))
    print(json.dumps({"functions": sum(map(len, files.values())), "pairs": ordered}))


if __name__ == "__main__":
    main()
