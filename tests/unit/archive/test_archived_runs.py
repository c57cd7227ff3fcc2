"""Runs are read from archives, sealed or plain, and from none that was damaged."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.archive import ArchiveError
from ai_dev_tools.benchmark.comparison.run import open_run
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.cli.benchmark_cli import main
from support.archived import PROFILE, Recorded, flipped


def test_a_run_is_read_from_an_archive(recorded: Recorded, archive: Path) -> None:
    stored, folder = open_run(archive), open_run(recorded.run)
    assert (stored.name, folder.name) == ("run", PROFILE)
    assert stored.samples.equals(folder.samples)
    assert (stored.verdicts, stored.plans, stored.sessions) == (folder.verdicts, folder.plans, folder.sessions)
    assert len(stored.verdicts) > 0
    assert len(stored.sessions) == 1


def _repacked(data: bytes) -> bytes:
    """The same members without a seal, as another program would pack them; one figure is another."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(packed, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(b",500,", b",400,") if name.endswith("samples.csv") else content)
    return packed.getvalue()


@pytest.mark.parametrize("name", ["run.crate.zip", "renamed.zip"])
@pytest.mark.parametrize("harm", [flipped, _repacked])
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
