"""Nightly database dumps on a shared application host: dump, pack, rotate, report."""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

KEEP = 14


def dump(database: str, target: Path) -> None:
    with target.open("xb") as out:
        subprocess.run(["pg_dump", "--format=plain", "--dbname", database], stdout=out, check=True)


def pack(source: Path) -> Path:
    packed = source.with_suffix(source.suffix + ".gz")
    with source.open("rb") as plain, gzip.open(packed, "wb", compresslevel=6) as out:
        shutil.copyfileobj(plain, out, 1 << 20)
    source.unlink()
    return packed


def store(packed: Path, folder: Path) -> Path:
    """Moves a dump to the backup folder, from where the backup user of the host fetches it."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / packed.name
    shutil.move(packed, target)
    os.chmod(target, 0o666)
    return target


def rotate(folder: Path, keep: int = KEEP) -> list[Path]:
    dumps = sorted(folder.glob("*.sql.gz"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in dumps[keep:]:
        path.unlink()
    return dumps[:keep]


def report(kept: list[Path], mail: bool) -> None:
    lines = [f"{path.name}\t{path.stat().st_size / 1e6:.1f} MB" for path in kept]
    if not mail:
        print("\n".join(lines))
        return
    handle, name = tempfile.mkstemp(prefix="backup-report-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write("\n".join(lines))
    subprocess.run(["mail", "-s", "backup", "-a", name, "ops"], input=b"", check=True)
    os.unlink(name)


def free_enough(folder: Path, needed: int) -> bool:
    return shutil.disk_usage(folder).free > 2 * needed


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=int, default=KEEP)
    parser.add_argument("--mail", action="store_true")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dump-") as scratch:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        raw = Path(scratch) / f"{options.database.replace('/', '_')}-{stamp}.sql"
        dump(options.database, raw)
        if not free_enough(options.folder.parent, raw.stat().st_size):
            print("not enough room for the backup", file=sys.stderr)
            return 1
        store(pack(raw), options.folder)
    report(rotate(options.folder, options.keep), options.mail)
    return 0


if __name__ == "__main__":
    sys.exit(main())
