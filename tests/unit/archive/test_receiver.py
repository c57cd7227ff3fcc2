"""Whoever receives an archive can look at it without running the sender's program, and reads lines that nobody forged."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util.text import visible_line
from ai_dev_tools.benchmark.archive import ArchiveError, render, unpack, verify
from ai_dev_tools.cli.benchmark_cli import main
from support.archived import BLOCK, PROFILE, Recorded, forge

HOSTILE = "light\x1b[2J\r\nVALID: all is well\x9b1m\u202e\u2028x"
UNSEEN = {"\x1b", "\r", "\x9b", "\u202e", "\u2028", "\x7f"}


@pytest.fixture(scope="module")
def changed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a program and a custom plugin of the sender."""
    change = {"Snakefile": lambda content: content + b"\n# more\n",
              "config/plugins/0_mine.py": lambda _: b"raise SystemExit('the sender ran')\n"}  # fmt: skip
    return forge(archive, tmp_path_factory.mktemp("changed") / "changed.crate.zip", change)


def test_unpacking_says_in_one_line_whose_program_would_run(
    archive: Path, changed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["unpack", str(archive), str(tmp_path / "same")]) == 0
    line = capsys.readouterr().err.splitlines()[0]
    assert "runs the program of the archive: same as version" in line
    assert main(["unpack", str(changed), str(tmp_path / "changed")]) == 0
    line = capsys.readouterr().err.splitlines()[0]
    assert "NOT the installed version" in line
    assert "Snakefile differ; custom code of the sender: config/plugins/0_mine.py" in line


@pytest.mark.parametrize("gone", ["Snakefile", "notebooks/report.ipynb", "workflow/rules/run.smk"])
def test_a_program_that_lacks_a_file_is_not_the_installed_one(gone: str, archive: Path) -> None:
    from ai_dev_tools.benchmark.archive.program import compare_program

    files = verify(archive, report=False).files
    assert compare_program(files).same
    assert compare_program({name: entry for name, entry in files.items() if name != gone}).differing == (gone,)


def test_a_report_is_made_with_the_archives_data_and_the_code_from_here(
    changed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", str(changed), "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{tmp_path / 'out' / 'report' / 'report.html'}: VALID")
    assert "plugins, notebooks and templates of the archive were left out" in said.err
    report = json.loads((tmp_path / "out" / "report" / "report.json").read_text())
    assert report["benchmark_info"]["total_samples"] == 21
    assert (tmp_path / "out" / "tables" / "samples.parquet").exists()
    assert (tmp_path / "out" / "figures" / "pareto.svg").exists()
    assert not (tmp_path / "out" / "Snakefile").exists()


def test_tables_that_are_made_here_are_those_that_were_recorded(
    archive: Path, recorded: Recorded, tmp_path: Path
) -> None:
    render(archive, tmp_path / "out")
    for table in (recorded.run / "tables").iterdir():
        assert (tmp_path / "out" / "tables" / table.name).read_bytes() == table.read_bytes()


def test_what_render_is_told_wrongly_gets_one_line(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("mine")
    assert main(["render", str(tmp_path / "absent.zip")]) == 2
    assert main(["render", str(archive), "-o", str(tmp_path / "used")]) == 2
    (tmp_path / "broken.crate.zip").write_bytes(archive.read_bytes()[:-300])
    assert main(["render", str(tmp_path / "broken.crate.zip"), "-o", str(tmp_path / "new")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert not (tmp_path / "new").exists()


def test_nothing_half_made_is_left_where_no_report_can_be_made(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_dev_tools.benchmark.reporting.render.MOST_FIGURE_ROWS", "none")
    with pytest.raises(ArchiveError, match="no report can be made of it"):
        render(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_archive_that_is_replaced_between_checking_and_unpacking_is_found(
    archive: Path, changed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.crate.zip"
    path.write_bytes(archive.read_bytes())
    checked = verify(path, report=False)

    def check(*_: object, **__: object) -> object:
        path.write_bytes(changed.read_bytes())
        return checked

    monkeypatch.setattr("ai_dev_tools.benchmark.archive.unpacking.verify", check)
    with pytest.raises(ArchiveError, match="was replaced while it was read"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@given(st.text())
def test_untrusted_text_is_one_visible_line(text: str) -> None:
    line = visible_line(text)
    assert len(line.splitlines()) <= 1
    assert not UNSEEN & set(line)


@pytest.mark.parametrize(
    "member", ["manifest.json", "run.json", f"results/{PROFILE}/plans.jsonl", BLOCK, "config/config.yaml"]
)
def test_no_text_in_an_archive_steers_the_terminal_or_forges_a_line(
    member: str, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps(HOSTILE)[1:-1].encode()
    forged = forge(archive, tmp_path / "f.crate.zip", {member: lambda content: content.replace(b"light", text)})
    for arguments in (["verify", str(forged), "--all"], ["verify", str(forged), "--json"],
                      ["unpack", str(forged), str(tmp_path / "out")], ["render", str(forged), "-o", str(tmp_path / "o")],
                      ["gate", "--run", str(archive), "--baseline", str(forged)],
                      ["import", str(forged), "-o", str(tmp_path / "i")]):  # fmt: skip
        assert main(arguments) == 1, arguments
        said = capsys.readouterr()
        assert not UNSEEN & set(said.out + said.err)
        assert not [line for line in (said.out + said.err).splitlines() if line.startswith("VALID")]


def test_a_file_whose_name_forges_a_line_gets_one_line(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.zip: NOT VALID\nb.zip: VALID \x1b[2J.crate.zip"
    path.write_bytes(archive.read_bytes()[: random.Random(1).randrange(1000, 2000)])
    assert main(["verify", str(path)]) == 1
    assert capsys.readouterr().out.count("\n") == 1


COSTLY = {
    "nested brackets": b"a: " + b"[" * 20_000 + b"]" * 20_000,
    "nested mappings": b"a: " + b"{a: " * 20_000 + b"}" * 20_000,
    "a flat list": b"a: [" + b"a," * 449_000 + b"]",
    "lines": b"- a\n" * 225_000,
    "a number to the base of 60": b"a: 1" + b":59" * 300_000,
    "unknown settings": b"\n".join(b"k%d: 1" % number for number in range(90_000)),
    "aliases": b"a: &a [x]\nb: [" + b"*a," * 100 + b"]",
}


@pytest.mark.parametrize("what", COSTLY)
def test_settings_that_would_keep_the_parser_busy_are_refused_before_anything_is_built_from_them(
    what: str, archive: Path, tmp_path: Path
) -> None:
    forged = forge(archive, tmp_path / "f.zip", {"config/config.yaml": lambda _: COSTLY[what]})
    assert re.search(
        r"config/config.yaml: (is nested more|has more than|has a number|has YAML aliases)", verify(forged).line
    )


@pytest.mark.parametrize("member", ["CITATION.cff", "config/config.yaml"])
def test_every_yaml_that_is_read_is_read_within_limits(member: str, archive: Path, tmp_path: Path) -> None:
    content = COSTLY["nested brackets"]
    forged = forge(archive, tmp_path / "f.zip", {member: lambda _: content})
    assert "nested more than 30 deep" in str(verify(forged, report=False).findings)


LARGE = {
    "recorded/figures/cost.svg": 33 << 20,
    "recorded/report/report.json": 33 << 20,
    "src/ai_dev_tools/__init__.py": 33 << 20,
    "README.md": 257 << 20,
}


@pytest.mark.parametrize("member", LARGE)
def test_a_member_that_is_larger_than_any_of_its_kind_is_refused(member: str, archive: Path, tmp_path: Path) -> None:
    from ai_dev_tools.benchmark.archive.container import LIMITS
    from ai_dev_tools.benchmark.archive.members import most_bytes

    assert most_bytes(member, LIMITS) < LARGE[member]


def test_a_figure_that_is_larger_than_any_is_refused(archive: Path, tmp_path: Path) -> None:
    forged = forge(archive, tmp_path / "f.zip", {"recorded/figures/pareto.svg": lambda c: c + b" " * (33 << 20)})
    assert "pareto.svg: is refused: it is larger than" in verify(forged, report=False).line


def test_a_parquet_table_that_says_too_much_of_itself_is_refused(archive: Path, tmp_path: Path) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    made = io.BytesIO()
    pq.write_table(pa.table({"profile": ["x"]}, metadata={"pandas": "x" * (9 << 20)}), made)
    forged = forge(archive, tmp_path / "f.zip", {"recorded/tables/samples.parquet": lambda _: made.getvalue()})
    assert "its metadata is larger than" in verify(forged, report=False).line


def test_derived_tables_that_no_run_of_this_size_makes_are_refused(archive: Path, tmp_path: Path) -> None:
    forged = forge(archive, tmp_path / "f.zip", {"recorded/tables/metrics.csv": lambda c: c + b"a,b\n" * (3 << 20)})
    assert "derived tables are larger" in verify(forged, report=False).line


def test_what_takes_more_memory_than_the_file_can_need_is_one_line(archive: Path) -> None:
    from ai_dev_tools.benchmark.archive.limits import ArchiveLimits, bounded_memory

    with (
        pytest.raises(ArchiveError, match="needs more memory than any archive of its size"),
        bounded_memory(archive, ArchiveLimits(memory=64 << 20, memory_per_byte=0)),
    ):
        bytearray(1 << 30)
    assert len(bytearray(1 << 28)) == 1 << 28, "the limit is gone again"


def test_settings_that_would_ask_models_again_are_refused(archive: Path, tmp_path: Path) -> None:
    change = {"config/config.yaml": lambda content: content.replace(b"source: samples", b"source: cases")}
    assert "asks models again" in verify(forge(archive, tmp_path / "f.zip", change), report=False).line


def test_an_import_that_fails_on_the_way_leaves_nothing(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ai_dev_tools.benchmark.comparison.pool.write_overview", fail)
    assert main(["import", str(archive), "--output", str(tmp_path / "pooled")]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not (tmp_path / "pooled").exists()


@pytest.mark.parametrize("value", [b"9" * 400, b"-1", b"1e308", b'"x"', b"[]"])
@pytest.mark.parametrize("field", [b'"order":', b'"repeat":', b'"seed":', b'"duration_s":', b'"input_tokens":'])
def test_no_value_in_a_sample_makes_a_command_stumble(
    field: bytes, value: bytes, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = re.compile(re.escape(field) + rb"[^,}]+")
    change = {BLOCK: lambda content: pattern.sub(field + value, content, count=1)}
    forged = forge(archive, tmp_path / "f.crate.zip", change)
    assert main(["import", str(forged), "--output", str(tmp_path / "pooled")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
