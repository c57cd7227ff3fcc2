"""A member that was changed on purpose is found by what it says, even if every checksum was made anew."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_dev_tools.benchmark.archive import verify
from ai_dev_tools.benchmark.archive.container import ArchiveLimits
from support.archived import BLOCK, PROFILE, PROMPTS, forge


def _once(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return change


def _tampered_csv(content: bytes) -> bytes:
    lines = content.split(b"\n")
    lines[3] = lines[3].replace(b",completed,", b",timeout,")
    return b"\n".join(lines)


def _better_report(content: bytes) -> bytes:
    report = json.loads(content)
    report["comparison_metrics"]["token_reduction_percent"] = 99.0
    return json.dumps(report).encode()


def _saves(content: bytes) -> bytes:
    report = json.loads(content)
    for verdict in report["verdicts"]:
        verdict["word"] = "saves"
    return json.dumps(report).encode()


FORGERIES: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "an answer": (BLOCK, _once(b'"answer":{"colour":"green"}', b'"answer":{"colour":"red"}'), "scores"),
    "a score": (BLOCK, _once(b'"score":0.0', b'"score":1.0'), "scores"),
    "token counts": (BLOCK, _once(b'"output_tokens":10', b'"output_tokens":11'), "does not say what the sample"),
    "a request option": (BLOCK, _once(b'"num_ctx":8192', b'"num_ctx":4096'), "other settings"),
    "the seed sent": (BLOCK, _once(b'"options":{"temperature":0.0', b'"options":{"temperature":0.5'), "settings"),
    "the plan named": (BLOCK, _once(b'"plan":"', b'"plan":"f'), "the ledger does not have"),
    "a sample left out": (BLOCK, lambda c: c.split(b"\n", 1)[1], "does not say what the sample"),
    "a sample twice": (BLOCK, lambda c: c + c.split(b"\n", 1)[0] + b"\n", "twice"),
    "an unknown field": (BLOCK, _once(b'{"profile"', b'{"mood":1,"profile"'), "is not a sample"),
    "a huge number": (BLOCK, _once(b'"order":0', b'"order":' + b"9" * 5000), "is not a sample"),
    "deep nesting": (BLOCK, _once(b'"answer":{', b'"answer":' + b"[" * 9999 + b"{"), "is not a sample"),
    "a prompt": (PROMPTS, lambda c: c.replace(b"Which", b"What ", 1), "is not the one of its sha256"),
    "the truth": (PROMPTS, lambda c: c.replace(b'"truth":{"colour":"red"}', b'"truth":{"colour":"green"}'), "scores"),
    "the plan": (f"results/{PROFILE}/plans.jsonl", lambda c: c.replace(b'"alpha": 0.05', b'"alpha": 0.5'), "after it was declared"),
    "a table row": ("recorded/tables/samples.csv", _tampered_csv, "does not say what the sample says"),
    "the Parquet table": ("recorded/tables/samples.parquet", lambda c: c[:-40] + c[-39:], "samples.parquet"),
    "a figure in the report": ("recorded/report/report.json", _better_report, "comparison metrics"),
    "a verdict": ("recorded/report/report.json", _saves, "verdicts"),
    "YAML aliases": ("config/config.yaml", lambda c: c + b"x: &a [1]\ny: [*a, *a]\n", "aliases"),
    "an unknown setting": ("config/config.yaml", lambda c: c + b"colour: red\n", "is not a config"),
    "the plan of all": ("manifest.json", lambda c: re.sub(rb'"plan":"\w+"', b'"plan":"0"', c), "the ledger does not have"),
    "the summary": ("run.json", lambda c: c.replace(b'"samples": 21', b'"samples": 22', 1), "run.json"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGERIES)
def test_a_change_is_found_even_if_all_checksums_were_redone(what: str, archive: Path, tmp_path: Path) -> None:
    member, change, line = FORGERIES[what]
    result = verify(forge(archive, tmp_path / "forged.zip", {member: change}))
    assert any(line in str(finding) for finding in result.findings), result.findings or "went unnoticed"


OF_THE_RUN = ("about.json", "plans.jsonl", "identity/fake-1b/colours.json")
JSON_MEMBERS = (
    *("manifest.json", "run.json", "ro-crate-metadata.json", "recorded/report/report.json", PROMPTS, BLOCK),
    *(f"results/{PROFILE}/{name}" for name in OF_THE_RUN),
)
EVIL = {
    "a huge integer": b"9" * 5000,
    "an infinite number": b"1e999",
    "deep nesting": b"[" * 200_000,
    "no number": b"NaN",
}


@pytest.mark.parametrize("member", JSON_MEMBERS)
@pytest.mark.parametrize("evil", EVIL)
def test_no_number_or_nesting_in_any_json_makes_verify_crash(
    member: str, evil: str, archive: Path, tmp_path: Path
) -> None:
    forged = forge(archive, tmp_path / "f.zip", {member: _once(b"{", b'{"benchmark_info":' + EVIL[evil] + b",")})
    result = verify(forged, recompute=True)
    assert not result.ok or member == "ro-crate-metadata.json", "what nobody computes with may say anything"
    assert "\n" not in result.line


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("recorded/report/report.json", b"[" + b"[]," * (11 << 20) + b"[]]"),
        (f"results/{PROFILE}/about.json", b'{"a": "' + b"x" * (33 << 20) + b'"}'),
        ("config/config.yaml", b"- a\n" * (1 << 19)),
        ("manifest.json", b'{"files": {' + b" " * (33 << 20) + b"}}"),
    ],
)
def test_a_document_that_would_fill_the_memory_is_refused_unread(
    member: str, content: bytes, archive: Path, tmp_path: Path
) -> None:
    forged = forge(archive, tmp_path / "f.zip", {member: lambda _: content})
    assert re.search(r"larger than \d+ bytes", verify(forged).line)


def test_a_parquet_table_that_would_fill_the_memory_is_refused_unread(archive: Path, tmp_path: Path) -> None:
    large = io.BytesIO()
    pq.write_table(pa.table({"profile": ["x" * (2 << 20)]}), large, compression="zstd", use_dictionary=False)
    forged = forge(archive, tmp_path / "f.zip", {"recorded/tables/samples.parquet": lambda _: large.getvalue()})
    assert (
        "samples.parquet: it would unpack to more than" in verify(forged, limits=ArchiveLimits(document=1 << 20)).line
    )


@pytest.mark.parametrize("column", ["sample", "order", "score"])
def test_a_parquet_table_with_cells_of_another_kind_does_not_make_verify_crash(
    column: str, archive: Path, tmp_path: Path
) -> None:

    def lists(content: bytes) -> bytes:
        table = pd.read_parquet(io.BytesIO(content))
        table[column] = [[1.0]] * len(table)
        changed = io.BytesIO()
        table.to_parquet(changed)
        return changed.getvalue()

    forged = forge(archive, tmp_path / "f.zip", {"recorded/tables/samples.parquet": lists})
    assert "samples.parquet: is not a table" in verify(forged).line
