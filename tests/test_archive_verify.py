"""An archive is the same for the same run, and nothing in it can be changed, by accident or on purpose, unnoticed."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archived import MODEL, PROFILE, Recorded, forge, record_run

from ai_dev_tools.benchmark.archive import build_archive, unpack, verify
from ai_dev_tools.benchmark.archive.__main__ import main
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.samples import SampleError

BLOCK = f"results/{PROFILE}/blocks/fake-1b/colours.jsonl"
PROMPTS = "results/prompts/colours.jsonl"


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Recorded:
    return record_run(tmp_path_factory.mktemp("run") / "project", patch)


@pytest.fixture(scope="module")
def archive(recorded: Recorded) -> Path:
    return recorded.archive()


def test_one_line_says_that_the_report_belongs_to_the_data(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(archive)]) == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "VALID: the report belongs to the data: 21 samples of profile light" in line


def test_tables_can_be_derived_again_byte_by_byte(archive: Path) -> None:
    result = verify(archive, recompute=True)
    assert result.findings == []
    assert "derived again" in result.line


def test_the_same_run_gives_the_same_bytes(recorded: Recorded, archive: Path, tmp_path: Path) -> None:
    log = recorded.root / "results" / "logs" / "archive_run.light.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("the log of the first archiving\n")
    for path in recorded.root.rglob("*"):
        path.touch()
    build_archive(recorded.subject, recorded.root, tmp_path / archive.name)
    assert (tmp_path / archive.name).read_bytes() == archive.read_bytes()


def test_everything_of_the_run_is_inside(recorded: Recorded, archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
        run = json.loads(opened.read("run.json"))
        assert opened.read("recorded/tables/samples.csv") == (recorded.run / "tables" / "samples.csv").read_bytes()
    expected = {
        "README.md", "CITATION.cff", ".zenodo.json", "ro-crate-metadata.json", "manifest.json", "run.json", "Snakefile",
        "config/config.yaml", "config/tasks/colours/task.yaml", "src/ai_dev_tools/__init__.py", PROMPTS, BLOCK,
        f"results/{PROFILE}/plans.jsonl", f"results/{PROFILE}/identity/fake-1b/colours.json", "recorded/report/report.json",
        "recorded/figures/cost.svg",
    }  # fmt: skip
    assert expected <= names
    assert (run["samples"], run["statuses"], run["started_at"]) == (21, {"completed": 21}, "2026-01-02T08:00:00Z")
    assert run["models"][0]["tag"] == MODEL
    assert run["hardware"][0]["cpu"] == "Test CPU"


def test_no_flipped_byte_and_no_truncation_goes_unnoticed(archive: Path, tmp_path: Path) -> None:
    """800 flips and 200 truncations at random; each is found without a crash, and named."""
    whole, rng, broken = archive.read_bytes(), random.Random(8), tmp_path / "broken.crate.zip"
    places = rng.sample(range(len(whole)), 800)
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1 << rng.randrange(8)
        broken.write_bytes(data)
        _is_found(broken, f"flip at {place}")
    for size in rng.sample(range(len(whole)), 200):
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
    "the plan": (f"results/{PROFILE}/plans.jsonl", lambda c: c.replace(b'"alpha": 0.05', b'"alpha": 0.5'), "as it was declared"),
    "a table row": ("recorded/tables/samples.csv", _tampered_csv, "does not say what the sample says"),
    "the Parquet table": ("recorded/tables/samples.parquet", lambda c: c[:-40] + c[-39:], "samples.parquet"),
    "a figure in the report": ("recorded/report/report.json", _better_report, "comparison metrics"),
    "a verdict": ("recorded/report/report.json", _saves, "verdicts"),
    "YAML aliases": ("config/config.yaml", lambda c: c + b"x: &a [1]\ny: [*a, *a]\n", "aliases"),
    "an unknown setting": ("config/config.yaml", lambda c: c + b"colour: red\n", "is no config"),
    "the summary": ("run.json", lambda c: c.replace(b'"samples": 21', b'"samples": 22', 1), "run.json"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGERIES)
def test_a_change_is_found_even_if_all_checksums_were_redone(what: str, archive: Path, tmp_path: Path) -> None:
    member, change, line = FORGERIES[what]
    result = verify(forge(archive, tmp_path / "forged.zip", {member: change}))
    assert any(line in str(finding) for finding in result.findings), result.findings or "went unnoticed"


def test_tables_that_do_not_follow_from_the_samples_are_found_by_deriving_them(archive: Path, tmp_path: Path) -> None:
    forged = forge(archive, tmp_path / "f.zip", {"recorded/tables/costs.csv": lambda content: content + b"\n"})
    assert verify(forged).ok, "costs are behind no figure that is read off the tables"
    assert "recorded/tables/costs.csv: does not follow" in verify(forged, recompute=True).line


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
    assert main(["unpack", str(archive), str(tmp_path / "out")]) == 1
    assert "is not empty. Name a new folder" in capsys.readouterr().err


def test_other_files_get_one_line(tmp_path: Path) -> None:
    for name, content in {"text.zip": b"hello", "empty.zip": b"", "absent.zip": None}.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        _is_found(tmp_path / name, name)


def test_samples_that_failed_are_archived_like_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_some(sample):  # type: ignore[no-untyped-def]
        if sample.sample % 2 == 0:
            sample.status, sample.error = "timeout", SampleError("timeout", "slow, naïve ☃")
            sample.answer = sample.score = sample.response = sample.output_tokens = sample.total_tokens = None
        return sample

    archive = record_run(tmp_path / "p", monkeypatch, change=fail_some).archive()
    assert verify(archive, recompute=True).line.startswith("VALID: the report belongs to the data: 21 samples")


def test_settings_are_resolved_and_secrets_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = {"environment": {"API_TOKEN": "hush", "OLLAMA_FLASH_ATTENTION": "1"}}
    recorded = record_run(tmp_path / "p", monkeypatch, server=server, archive={"author": "A. N. Other"})
    (recorded.root / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.ai-dev-tools.benchmark]\nsamples = 99\n'
        "[tool.ai-dev-tools.benchmark.sample_sizes]\nlight = 98\n[tool.other]\na = 1\n"
    )
    unpack(recorded.archive(), tmp_path / "out")
    config = (tmp_path / "out" / "config" / "config.yaml").read_text()
    assert "source: samples" in config
    assert "hush" not in config
    project = (tmp_path / "out" / "pyproject.toml").read_text()
    assert ("samples" in project, "[tool.other]" in project) == (False, True)
    assert json.loads((tmp_path / "out" / ".zenodo.json").read_text())["creators"] == [{"name": "A. N. Other"}]


def test_a_replay_is_not_archived(recorded: Recorded, tmp_path: Path) -> None:
    from dataclasses import replace

    with pytest.raises(BenchmarkError, match="only plays a recorded run again"):
        build_archive(replace(recorded.subject, profile="light@replay"), recorded.root, tmp_path / "a.zip")


def test_a_run_without_a_report_gets_one_line(recorded: Recorded, tmp_path: Path) -> None:
    shutil.copytree(recorded.root, tmp_path / "p")
    (tmp_path / "p" / "results" / PROFILE / "report" / "report.json").unlink()
    with pytest.raises(BenchmarkError, match=r"is no report\. Make it again"):
        build_archive(recorded.subject, tmp_path / "p", tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
