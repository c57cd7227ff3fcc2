"""An archive is the same for the same run, and holds what the run is, without secrets and without what is not of it."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from ai_dev_tools.benchmark.archive import Subject, build_archive, unpack, verify
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.planning.archivable import archive_problems
from ai_dev_tools.benchmark.records.sample import SampleError
from support.archived import BLOCK, MODEL, PROFILE, PROMPTS, Recorded, record_run


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


def test_custom_notebooks_and_templates_are_inside_and_passwords_of_servers_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"notebook": "mine/own.ipynb", "templates": ["mine/summary.md.j2"]}
    (tmp_path / "p" / "mine").mkdir(parents=True)
    for name in ("own.ipynb", "summary.md.j2"):
        (tmp_path / "p" / "mine" / name).write_text(f"{name} of a test\n")
    recorded = record_run(tmp_path / "p", monkeypatch, report=own, endpoint="http://models.example:11434")
    # a run of an earlier version, which took such addresses
    said = json.dumps(asdict(recorded.subject), default=str).replace("http://", "http://me:hush@")
    build_archive(Subject.from_dict(json.loads(said)), recorded.root, tmp_path / "run.crate.zip")
    unpack(tmp_path / "run.crate.zip", tmp_path / "out")
    settings = yaml.safe_load((tmp_path / "out" / "config" / "config.yaml").read_text())
    assert settings["endpoint"] == "http://models.example:11434"
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and b"hush" in path.read_bytes()]
    for name in (settings["report"]["notebook"], *settings["report"]["templates"]):
        assert (tmp_path / "out" / name).read_text() == f"{Path(name).name} of a test\n"


def test_what_another_run_of_the_profile_left_is_not_inside(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of other tasks or models lie in the same folder; the report says nothing of them."""
    shutil.copytree(recorded.root, tmp_path / "p")
    other = tmp_path / "p" / "results" / PROFILE / "blocks" / "other-1b" / "other.jsonl"
    other.parent.mkdir()
    shutil.copy(tmp_path / "p" / BLOCK, other)
    build_archive(recorded.subject, tmp_path / "p", tmp_path / "a.crate.zip")
    result = verify(tmp_path / "a.crate.zip").require()
    assert result.facts
    assert result.facts.samples == 21
    assert [block.file for block in result.facts.blocks] == [BLOCK]


def test_settings_that_no_run_had_are_not_archived(recorded: Recorded, tmp_path: Path) -> None:
    from dataclasses import replace

    with pytest.raises(BenchmarkError, match="its ledger has no plan 0000"):
        build_archive(replace(recorded.subject, plan="0000"), recorded.root, tmp_path / "a.zip")


def test_a_replay_is_not_archived(recorded: Recorded, tmp_path: Path) -> None:
    from dataclasses import replace

    with pytest.raises(BenchmarkError, match="only replays a recorded run"):
        build_archive(replace(recorded.subject, profile="light@replay"), recorded.root, tmp_path / "a.zip")


def test_a_run_without_a_report_gets_one_line(recorded: Recorded, tmp_path: Path) -> None:
    shutil.copytree(recorded.root, tmp_path / "p")
    (tmp_path / "p" / "results" / PROFILE / "report" / "report.json").unlink()
    with pytest.raises(BenchmarkError, match=r"is not a report\. Make it again"):
        build_archive(recorded.subject, tmp_path / "p", tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


# ------------------------------------------------------------------------------------------- archives as stored runs


ODD_FILES = ("ä &#.py", "aux.py", "a:b.py", "e\u0301.py", "CASE0.py")


def test_a_run_is_refused_before_its_first_request_or_can_be_archived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is checked before a run and what an archive is checked by must be the same."""
    recorded = record_run(tmp_path / "w", monkeypatch, cases=2, samples=2)
    folder = recorded.root / "config" / "tasks" / "colours" / "sources" / "case0"
    (folder / "case0.py").write_text("x = 1\n")
    for number, name in enumerate(ODD_FILES):
        (folder / name).write_text("x = 2\n")
        problems = archive_problems(recorded.experiment, recorded.root)
        try:
            accepted = verify(recorded.archive(f"{number}.crate.zip")).ok
        except BenchmarkError:
            accepted = False
        assert accepted == (not problems), (name, problems)
        (folder / name).unlink()


def test_files_of_a_whole_package_may_say_anything(recorded: Recorded, tmp_path: Path) -> None:
    """JSON of a package is not a record of this project; only the receipt beside it is."""
    root = shutil.copytree(recorded.root, tmp_path / "project")
    corpora = root / "resources" / "corpora"
    (corpora / "demo-all" / "tests").mkdir(parents=True)
    (corpora / "demo-all" / "tests" / "broken.json").write_text("[1, 2\n")
    (corpora / "demo-all.sha256").write_text("0  demo.tar.gz\n")
    receipt = {"corpus": "demo-all", "available": True, "license": "MIT", "package": "demo", "version": "1"}
    (corpora / "demo-all.json").write_text(json.dumps(receipt))
    config = recorded.subject.config | {"archive": recorded.subject.config["archive"] | {"include": ["corpora"]}}
    subject = replace(recorded.subject, corpora=["demo-all"], config=config)
    build_archive(subject, root, tmp_path / "run.crate.zip")
    with zipfile.ZipFile(tmp_path / "run.crate.zip") as opened:
        inside = {name for name in opened.namelist() if name.startswith("resources/")}
    below = ("demo-all.json", "demo-all.sha256", "demo-all/tests/broken.json")
    assert inside == {f"resources/corpora/{name}" for name in below}
    assert verify(tmp_path / "run.crate.zip").ok


def test_the_logs_of_the_run_are_inside_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = record_run(tmp_path / "p", monkeypatch, cases=2, samples=2)
    folder = recorded.root / "results" / "logs"
    folder.mkdir(exist_ok=True)
    own = {
        "run_block.light.fake-1b.colours.log", "render_prompts.colours.log", "collect_contexts.colours.echo.log",
        "prepare_workspaces.colours.index.log", "check_prepared.index.log", "fetch_repository.0123abcd-0123456789ab.log",
    }  # fmt: skip
    others = {"run_block.heavy.fake-1b.colours.log", "prepare_workspaces.other.index.log", "check_prepared.other.log"}
    for name in own | others:
        (folder / name).write_text("said\n")
    commits, tools = ["0123abcd-0123456789ab"], {"index": "config/tools/index.yaml"}
    subject = replace(recorded.subject, tools=tools, repositories=commits)
    (recorded.root / "config" / "tools").mkdir(exist_ok=True)
    (recorded.root / "config" / "tools" / "index.yaml").write_text("id: index\n")
    build_archive(subject, recorded.root, tmp_path / "logs.crate.zip")
    with zipfile.ZipFile(tmp_path / "logs.crate.zip") as opened:
        logs = {name.rpartition("/")[2] for name in opened.namelist() if name.startswith("results/logs/")}
    assert logs & (own | others) == own
