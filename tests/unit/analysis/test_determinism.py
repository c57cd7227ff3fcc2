"""The same samples give the same bytes: whatever the order of files, the hash seed, the threads and the cores."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ai_dev_tools.benchmark.records.paths import TABLE_FILES
from ai_dev_tools.benchmark.records.sample import Sample
from support.report_runs import make_run

PROGRAM = """
import json, os, sys
from pathlib import Path
given = json.loads(sys.argv[1])
if given["cores"]:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given["cores"]])
from ai_dev_tools.benchmark.analysis.tables import write_tables
write_tables(
    [Path(p) for p in given["blocks"]], [Path(p) for p in given["prompts"]], Path(given["plans"]),
    {name: Path(p) for name, p in given["outputs"].items()}, "baseline", {},
)
"""
CONDITIONS = {
    "files in reverse, another hash seed, two threads": {
        "reverse": True, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2",
    },
    "one core": {"cores": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which most things happen that samples can do: some fail, some are cut off, repeats differ."""

    def vary(sample: Sample) -> Sample | None:
        if sample.sample == 5 and sample.approach == "no_context":
            return None
        if sample.sample == 3 and sample.model.endswith("3b"):
            sample.done_reason = "length"
        return sample

    folder = tmp_path_factory.mktemp("run")
    make_run(folder, models=("llama3.2:1b", "llama3.2:3b"), change=vary)
    return folder


def tables(run: Path, to: Path, condition: dict[str, object]) -> dict[str, bytes]:
    """All tables, made by another process under a condition."""
    blocks, prompts = (sorted(map(str, (run / name).rglob("*.jsonl"))) for name in ("blocks", "prompts"))
    reverse = bool(condition.get("reverse"))
    given = {
        "blocks": blocks[::-1] if reverse else blocks,
        "prompts": prompts[::-1] if reverse else prompts,
        "plans": str(run / "plans.jsonl"),
        "outputs": {name: str(to / Path(file).name) for name, file in TABLE_FILES.items()},
        "cores": condition.get("cores", 0),
    }
    settings = {key: str(value) for key, value in condition.items() if key.isupper()}
    environment = os.environ | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | settings
    subprocess.run([sys.executable, "-c", PROGRAM, json.dumps(given)], env=environment, check=True, timeout=300)
    return {path.name: path.read_bytes() for path in sorted(to.iterdir())}


@pytest.fixture(scope="module")
def plain(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return tables(run, tmp_path_factory.mktemp("plain"), {})


@pytest.mark.parametrize("condition", CONDITIONS)
def test_tables_are_the_same_bytes_under(condition: str, run: Path, plain: dict[str, bytes], tmp_path: Path) -> None:
    again = tables(run, tmp_path, CONDITIONS[condition])
    assert again.keys() == plain.keys() == {Path(file).name for file in TABLE_FILES.values()}
    assert [name for name in plain if again[name] != plain[name]] == []
    assert all(len(plain[name]) > 50 for name in ("verdicts.csv", "comparisons.csv", "metrics.csv", "samples.parquet"))


def test_the_verdicts_as_json_say_what_the_table_says(plain: dict[str, bytes]) -> None:
    rows = json.loads(plain["verdicts.json"])
    table = pd.read_csv(io.BytesIO(plain["verdicts.csv"]), keep_default_na=False, na_values=[""])
    assert [row["sentence"] for row in rows] == table["sentence"].to_list()
    assert list(rows[0]) == list(table.columns)
    assert [row["ratio"] for row in rows] == pytest.approx(table["ratio"].to_list(), rel=1e-15)
    assert rows[0]["mde_d_z"] is not None
    assert rows[0]["brevity_p"] is None, "what is absent is null"
