"""Nothing in an archive can be changed, by accident or on purpose, unnoticed."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.archive import build_archive, unpack, verify
from ai_dev_tools.benchmark.archive.container import Member, new_archive, open_archive
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.records.plan import declare_plan
from ai_dev_tools.cli.benchmark_cli import main
from support.archived import BLOCK, PROFILE, Recorded, flipped, forge, record_run


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


def test_a_run_is_judged_by_its_own_plan_although_a_later_one_was_declared(recorded: Recorded, tmp_path: Path) -> None:
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


def test_findings_as_data(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.crate.zip"
    broken.write_bytes(flipped(archive.read_bytes()))
    assert main(["verify", str(archive), str(broken), "--json"]) == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["valid"], good["samples"], good["findings"]) == (True, 21, [])
    assert (bad["valid"], bad["file"]) == (False, str(broken))
    assert bad["findings"][0].keys() == {"where", "what"}
