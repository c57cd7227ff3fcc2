"""How long archiving and checking a large run takes, and how much memory: 100,000 samples within 5 minutes and 1 GB
each.

    python benchmarks/archive.py [SAMPLES] [--keep FOLDER]

The run is made up (of the shape that the workflow leaves); archiving and checking are the real ones, each in a
process of its own, so that the peak memory is theirs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

LIMIT_S, LIMIT_MB = 300, 1000
CASES, ARMS = 200, 3

_STEP = """
import json, resource, sys, time
from pathlib import Path
from ai_dev_tools.benchmark.archive import Subject, build_archive, verify
step, root, archive, subject = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), json.loads(Path(sys.argv[4]).read_text())
started = time.perf_counter()
if step == "archive":
    build_archive(Subject.from_dict(subject), root, archive)
else:
    result = verify(archive, recompute=step == "recompute")
    assert result.ok, result.line
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps({"seconds": time.perf_counter() - started, "peak_mb": peak}))
"""


def main() -> int:
    """Exit code 1 when a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", nargs="?", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="make the run here, or use the one that is there")
    parser.add_argument("--recompute", action="store_true", help="also derive all tables again")
    parser.add_argument("--only-make", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="archive-") as scratch:
        folder = given.keep or Path(scratch)
        root, subject, archive = folder / "run", folder / "subject.json", folder / "run.crate.zip"
        if given.only_make:
            _make(root, subject, given.samples)
            return 0
        if not subject.exists():  # in a process of its own: a child's peak memory includes what its parent had
            command = [sys.executable, __file__, str(given.samples), "--keep", str(folder), "--only-make"]
            subprocess.run(command, check=True)
        ok = True
        for step in ("archive", "verify", *(["recompute"] if given.recompute else [])):
            done = subprocess.run([sys.executable, "-c", _STEP, step, str(root), str(archive), str(subject)],
                                  capture_output=True, text=True, check=False)  # fmt: skip
            if done.returncode:
                print(done.stderr[-3000:])
                return 1
            found = json.loads(done.stdout)
            print(f"{step:10} {found['seconds']:7.1f} s {found['peak_mb']:7.0f} MB")
            ok = ok and (step == "recompute" or (found["seconds"] <= LIMIT_S and found["peak_mb"] <= LIMIT_MB))
        print(f"{archive.stat().st_size / 1e6:.1f} MB for {given.samples} samples")
    return 0 if ok else 1


def _make(root: Path, subject: Path, samples: int) -> None:
    import dataclasses

    from support.archived import record_run

    started = time.perf_counter()
    recorded = record_run(root, cases=CASES, samples=samples // ARMS, stream=True)
    subject.write_text(json.dumps(dataclasses.asdict(recorded.subject)))
    print(f"made a run of {samples // ARMS * ARMS} samples in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    raise SystemExit(main())
