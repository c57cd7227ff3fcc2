"""`python -m ai_dev_tools.benchmark.archive verify|unpack|compare|import …`"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ai_dev_tools.benchmark.errors import BenchmarkError


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when all is well, 1 when an archive is not valid or something cannot be done."""
    parser = argparse.ArgumentParser(prog="ai_dev_tools.benchmark.archive", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("verify", help="check archives: one line each")
    check.add_argument("files", nargs="+", type=Path)
    check.add_argument("--recompute", action="store_true", help="also derive all tables again, byte by byte")
    check.add_argument("--all", action="store_true", help="list every finding, not just the first")
    out = commands.add_parser("unpack", help="check an archive and unpack it")
    out.add_argument("file", type=Path)
    out.add_argument("folder", type=Path)
    pool = commands.add_parser("import", help="put archives from one or several machines together")
    pool.add_argument("files", nargs="+", type=Path)
    pool.add_argument("--output", type=Path, required=True, help="folder of the comparison")
    pool.add_argument("--separate", action="store_true", help="groups of their own for what cannot be pooled")
    compared = commands.add_parser("compare", help="say whether a repetition came to the same verdicts")
    compared.add_argument("before", type=Path, help="archive, or folder that holds tables/")
    compared.add_argument("after", type=Path)
    given = parser.parse_args(arguments)
    try:
        return _run(given)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(given: argparse.Namespace) -> int:
    from ai_dev_tools.benchmark.archive import import_archives, unpack, verify

    if given.command == "unpack":
        print(f"{given.folder}: {unpack(given.file, given.folder).line}")
        return 0
    if given.command == "compare":
        from ai_dev_tools.benchmark.archive.repetition import compare_runs

        repetition = compare_runs(given.before, given.after)
        print("\n".join(repetition.lines))
        return 0 if repetition.holds else 1
    if given.command == "import":
        for line in import_archives(given.files, given.output, separate=given.separate).lines:
            print(line)
        return 0
    results = [verify(file, recompute=given.recompute) for file in given.files]
    for result in results:
        print(f"{result.path}: {result.line}")
        if given.all:
            for finding in result.findings[1:]:
                print(f"  {finding}")
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
