"""Archives of earlier versions, whose columns had other names, stay valid."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pandas as pd

from ai_dev_tools.benchmark.archive import verify
from support.archived import BLOCK, forge


def _earlier_block(content: bytes) -> bytes:
    rows = [json.loads(line) for line in content.splitlines()]
    for row in rows:
        row["queue_s"] = row.pop("rest_s")
        del row["total_s"], row["tool_other_cpu_s"]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _earlier_table(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["total_s", "tool_other_cpu_s"]).rename(columns={"rest_s": "queue_s"})


def _earlier_csv(content: bytes) -> bytes:
    return (
        _earlier_table(pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)).to_csv(index=False).encode()
    )


def _earlier_parquet(content: bytes) -> bytes:
    return _earlier_table(pd.read_parquet(io.BytesIO(content))).to_parquet(index=False)


def test_an_archive_of_a_version_that_named_columns_otherwise_stays_valid(archive: Path, tmp_path: Path) -> None:
    earlier = {
        BLOCK: _earlier_block,
        "recorded/tables/samples.csv": _earlier_csv,
        "recorded/tables/samples.parquet": _earlier_parquet,
    }
    result = verify(forge(archive, tmp_path / "earlier.crate.zip", earlier))
    assert result.findings == []


def _earlier_report(content: bytes) -> bytes:
    report = json.loads(content)
    for row in report["verdict_rows"]:
        del row["outcome"]
    return json.dumps(report).encode()


def _earlier_words(content: bytes) -> bytes:
    for now, earlier in (
        (b",outcome,", b",endpoint,"), (b"; outcome=", b"; endpoint="), (b'"outcome":', b'"endpoint":'),
        (b",more_expensive,", b",dearer,"),
    ):  # fmt: skip
        content = content.replace(now, earlier)
    return content


def test_an_archive_from_before_outcomes_had_their_name_stays_valid(archive: Path, tmp_path: Path) -> None:
    earlier = {
        **{f"recorded/tables/{name}": _earlier_words for name in ("verdicts.csv", "verdicts.json", "definitions.csv")},
        "recorded/report/report.json": _earlier_report,
    }
    forged = forge(archive, tmp_path / "earlier.crate.zip", earlier)
    assert b"endpoint" in zipfile.ZipFile(forged).read("recorded/tables/verdicts.csv")
    result = verify(forged, recompute=True, report=False)
    assert result.findings == []
