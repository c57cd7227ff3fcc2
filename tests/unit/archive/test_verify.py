"""Nothing in an archive can be changed, by accident or on purpose, unnoticed."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ai_dev_tools.benchmark.archive import ArchiveError, build_archive, unpack, verify
from ai_dev_tools.benchmark.archive.container import Limits
from ai_dev_tools.benchmark.comparison.run import open_run
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.cli.benchmark_cli import main
from support.archived import BLOCK, PROFILE, PROMPTS, Recorded, forge, record_run


def test_one_line_says_that_the_report_belongs_to_the_data(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(archive)]) == 0
    line, *details = capsys.readouterr().out.splitlines()
    assert f"{archive}: VALID: the report belongs to the data: 21 samples of profile light, plan " in line
    assert len(line) - len(str(archive)) < 120, "what was checked stands below it"
    assert [detail.split()[0] for detail in details] == ["measured", "every", "every"]
    assert all(detail.startswith("  ") for detail in details)


def test_tables_can_be_derived_again_byte_by_byte(archive: Path) -> None:
    result = verify(archive, recompute=True)
    assert result.findings == []
    assert "all tables were derived again, byte by byte" in result.details


@pytest.mark.parametrize("think", [None, "low", True])
def test_what_was_said_of_thinking_is_part_of_what_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, think: object
) -> None:
    archive = record_run(tmp_path / "project", monkeypatch, think=think).archive()
    assert verify(archive).findings == []


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


def test_no_flipped_byte_and_no_truncation_goes_unnoticed(archive: Path, tmp_path: Path) -> None:
    """200 flips and 50 truncations at random (many more: tests/slow/soak); each is found without a crash, and named."""
    whole, rng, broken = archive.read_bytes(), random.Random(8), tmp_path / "broken.crate.zip"
    places = rng.sample(range(len(whole)), 200)
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1 << rng.randrange(8)
        broken.write_bytes(data)
        _is_found(broken, f"flip at {place}")
    for size in rng.sample(range(len(whole)), 50):
        broken.write_bytes(whole[:size])
        _is_found(broken, f"cut to {size}")


def test_a_flip_in_a_header_is_found_and_a_flip_in_content_names_the_member(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        info = opened.getinfo(BLOCK)
        start = info.header_offset + 30 + len(BLOCK)
    for place, where in ((info.header_offset + 10, "headers"), (start + info.compress_size // 2, BLOCK)):
        data = bytearray(archive.read_bytes())
        data[place] ^= 0x10
        (tmp_path / "a.zip").write_bytes(data)
        assert where in verify(tmp_path / "a.zip").line


def _is_found(path: Path, what: str) -> None:
    result = verify(path)
    assert not result.ok, what
    assert result.line.startswith("NOT VALID: "), what
    assert "\n" not in result.line, what


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
    import pyarrow as pa
    import pyarrow.parquet as pq

    large = io.BytesIO()
    pq.write_table(pa.table({"profile": ["x" * (2 << 20)]}), large, compression="zstd", use_dictionary=False)
    forged = forge(archive, tmp_path / "f.zip", {"recorded/tables/samples.parquet": lambda _: large.getvalue()})
    assert "samples.parquet: it would unpack to more than" in verify(forged, limits=Limits(document=1 << 20)).line


@pytest.mark.parametrize("column", ["sample", "order", "score"])
def test_a_parquet_table_with_cells_of_another_kind_does_not_make_verify_crash(
    column: str, archive: Path, tmp_path: Path
) -> None:
    import pandas as pd

    def lists(content: bytes) -> bytes:
        table = pd.read_parquet(io.BytesIO(content))
        table[column] = [[1.0]] * len(table)
        changed = io.BytesIO()
        table.to_parquet(changed)
        return changed.getvalue()

    forged = forge(archive, tmp_path / "f.zip", {"recorded/tables/samples.parquet": lists})
    assert "samples.parquet: is not a table" in verify(forged).line


def test_a_run_is_judged_by_its_own_plan_although_a_later_one_was_declared(recorded: Recorded, tmp_path: Path) -> None:
    from ai_dev_tools.benchmark.records.plan import declare_plan

    shutil.copytree(recorded.root, tmp_path / "p")
    later = recorded.experiment.plan(PROFILE).model_copy(update={"samples": 99})
    declare_plan(tmp_path / "p" / "results" / PROFILE / "plans.jsonl", later)
    build_archive(recorded.subject, tmp_path / "p", tmp_path / "a.crate.zip")
    assert verify(tmp_path / "a.crate.zip", recompute=True).findings == []


def test_tables_that_do_not_follow_from_the_samples_are_found_by_deriving_them(archive: Path, tmp_path: Path) -> None:
    forged = forge(archive, tmp_path / "f.zip", {"recorded/tables/costs.csv": lambda content: content + b"\n"})
    assert verify(forged).ok, "costs are behind no figure that is read off the tables"
    assert "recorded/tables/costs.csv: does not follow" in verify(forged, recompute=True).line


def test_a_table_that_another_program_made_otherwise_is_not_checked_and_said_to_be_so(
    archive: Path, tmp_path: Path
) -> None:
    another = {name: (lambda content: content + b"\n") for name in ("Snakefile", "recorded/tables/costs.csv")}
    result = verify(forge(archive, tmp_path / "f.zip", another), recompute=True, report=False)
    assert result.line.startswith("VALID: the data belong together")
    assert "all other tables were derived again, byte by byte" in result.details
    assert "NOT CHECKED: recorded/tables/costs.csv (made by a program that is not the installed one)" in result.details


def test_a_member_that_nobody_listed_is_named(archive: Path, tmp_path: Path) -> None:
    from ai_dev_tools.benchmark.archive.container import Member, new_archive, open_archive

    with open_archive(archive) as source, new_archive(tmp_path / "more.zip") as writer:
        for name in source.members:
            writer.add(Member(name, source.read(name)))
        writer.add(Member("results/extra.json", b"{}"))
    assert verify(tmp_path / "more.zip").line.startswith("NOT VALID: results/extra.json: is not listed")


def test_unpacking_writes_nothing_of_an_archive_that_is_not_valid(archive: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    broken.write_bytes(data)
    with pytest.raises(BenchmarkError, match="NOT VALID"):
        unpack(broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unpacking_needs_a_folder_of_its_own(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["unpack", str(archive), str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / BLOCK).exists()
    assert main(["unpack", str(archive), str(tmp_path / "out")]) == 2
    assert "is not empty. Name a new folder" in capsys.readouterr().err


def test_other_files_get_one_line(tmp_path: Path) -> None:
    for name, content in {"text.zip": b"hello", "empty.zip": b"", "absent.zip": None}.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        _is_found(tmp_path / name, name)


def test_a_run_is_read_from_an_archive(recorded: Recorded, archive: Path) -> None:
    stored, folder = open_run(archive), open_run(recorded.run)
    assert (stored.name, folder.name) == ("run", PROFILE)
    assert stored.samples.equals(folder.samples)
    assert (stored.verdicts, stored.plans, stored.sessions) == (folder.verdicts, folder.plans, folder.sessions)
    assert len(stored.verdicts) > 0
    assert len(stored.sessions) == 1


def _flipped(data: bytes) -> bytes:
    return data[:-200] + bytes([data[-200] ^ 4]) + data[-199:]


def _repacked(data: bytes) -> bytes:
    """The same members without a seal, as another program would pack them; one figure is another."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(packed, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(b",500,", b",400,") if name.endswith("samples.csv") else content)
    return packed.getvalue()


@pytest.mark.parametrize("name", ["run.crate.zip", "renamed.zip"])
@pytest.mark.parametrize("harm", [_flipped, _repacked])
def test_a_run_is_not_read_from_an_archive_that_is_not_as_it_was_sealed(
    archive: Path, tmp_path: Path, harm: Callable[[bytes], bytes], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    harmed = tmp_path / name
    harmed.write_bytes(harm(archive.read_bytes()))
    with pytest.raises(ArchiveError, match=f"{name} is NOT VALID"):
        open_run(harmed)
    assert main(["gate", "--run", str(archive), "--baseline", str(harmed)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {harmed} is NOT VALID")


def test_an_archive_that_was_cut_short_is_known_by_its_name(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.crate.zip").write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(ArchiveError, match="NOT VALID"):
        open_run(tmp_path / "cut.crate.zip")


def test_a_plain_zip_that_is_damaged_gets_one_line(tmp_path: Path) -> None:
    plain = tmp_path / "plain.zip"
    with zipfile.ZipFile(plain, "w") as made:
        made.writestr("tables/samples.csv", "a,b\n1,2\n")
    plain.write_bytes(plain.read_bytes().replace(b"1,2", b"1,3"))
    with pytest.raises(BenchmarkError, match=r"plain.zip: tables/samples.csv is damaged \(Bad CRC"):
        open_run(plain)


@pytest.mark.parametrize(
    ("ledger", "said"),
    [
        ("{", "plans.jsonl is damaged"),
        ("[1]", "plans.jsonl is damaged"),
        ("{}", "plan 1 of the ledger: 'profile': Field required"),
    ],
)
def test_a_plan_ledger_that_is_none_gets_one_line(archive: Path, tmp_path: Path, ledger: str, said: str) -> None:
    with zipfile.ZipFile(archive) as sealed, zipfile.ZipFile(tmp_path / "plain.zip", "w") as made:
        table = next(name for name in sealed.namelist() if name.endswith("tables/samples.csv"))
        made.writestr("tables/samples.csv", sealed.read(table))
        made.writestr("plans.jsonl", ledger)
    with pytest.raises(BenchmarkError, match=r"plain\.zip") as caught:
        open_run(tmp_path / "plain.zip")
    assert said in str(caught.value)


def test_findings_as_data(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.crate.zip"
    broken.write_bytes(_flipped(archive.read_bytes()))
    assert main(["verify", str(archive), str(broken), "--json"]) == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["valid"], good["samples"], good["findings"]) == (True, 21, [])
    assert (bad["valid"], bad["file"]) == (False, str(broken))
    assert bad["findings"][0].keys() == {"where", "what"}
