"""Wrong calls of the command line: exit code 2, one line for each mistake that names the right call, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_dev_tools.cli.benchmark_cli import main
from support.project import make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workflow folder with one shipped task, as the working folder."""
    folder = make_project(tmp_path / "project", tasks=["safety_assessment"])
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("wrong") / "project", tasks=["safety_assessment"])


@pytest.fixture
def shared(shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same for all calls that must write nothing, as the working folder."""
    monkeypatch.chdir(shared_folder)
    return shared_folder


WRONG = [
    ([], "ai-dev-bench run --profile embedded"),
    (["rn"], "did you mean 'run'?"),
    (["run", "--profil", "light"], "did you mean '--profile'?"),
    (["run", "--profile", "ligt"], "did you mean 'light'?"),
    (["run", "--samples", "many"], "'--samples'"),
    (["run", "--samples", "0"], "samples"),
    (["run", "--tasks", "safety_asessment"], "did you mean 'safety_assessment'?"),
    (["run", "--approaches", "tool"], "did you mean 'tools'?"),
    (["run", "--models", "llama"], "valid: embedded, smollm2:135m"),
    (["run", "--models", "smolm2:135m"], "did you mean 'smollm2:135m'?"),
    (["run", "--config", "tools=bandid"], "did you mean 'bandit'?"),
    (["run", "--samples", "-3"], "samples"),
    (["run", "--endpoint", "embeded"], "did you mean 'embedded'?"),
    (["run", "--output-format", "jsn"], "did you mean 'json'?"),
    (["run", "--config", "sample=3"], "did you mean 'samples'?"),
    (["run", "--config", "samples"], "KEY=VALUE"),
    (["run", "--configfile", "none.yaml"], "none.yaml"),
    (["run", "--config", f"task_folders={'x' * 5000}"], "File name too long"),
    (["run", "--config", f"plugins={'x' * 5000}"], "File name too long"),
    (["run", "--profile", "\udcff"], "unknown profile"),
    (["run", "--endpoint", "\udcff"], "is not a kind of endpoint"),
    (["batch"], "argument 'name'"),
    (["batch", "quik"], "did you mean 'quick'?"),
    (["compare", "--profiles", "light"], "--profiles light medium"),
    (["compare", "--profiles", "light", "mdium"], "did you mean 'medium'?"),
    (["add-task", "--task-id", "x"], "--name"),
    (["gate", "--baseline", "nope", "--run", "nope"], "no run 'nope'"),
    (["gate", "--baseline", "x", "--metric", "token"], "did you mean 'tokens'?"),
    (["migrate", "none.toml"], "none.toml does not exist"),
    (["import", "none.json"], "none.json"),
    (["watch", "--profile", "hevy"], "did you mean 'heavy'?"),
    (["list-tasks", "--root", "/nowhere"], "--root FOLDER"),
    (["report", "--profile", "light"], "ai-dev-bench run --profile light"),
    (["report", "--profile", "ligt"], "did you mean 'light'?"),
    (["archive", "--profil", "light"], "did you mean '--profile'?"),
    (["archiv"], "did you mean 'archive'?"),
    (["verify"], "Missing argument 'FILE"),
    (["verify", "--recompte", "a.zip"], "did you mean '--recompute'?"),
    (["unpack", "a.crate.zip"], "argument 'folder'"),
    (["import"], "Missing argument 'FILE"),
    (["import", "old.json", "a.crate.zip"], "one by one"),
    (["import", "old.json", "--separate"], "--as NAME"),
    (["import", "a.crate.zip", "--as", "../up"], "it names a folder"),
    (["compare", "--runs", "light"], "--runs results/before results/after"),
    (["compare", "--runs", "a", "b", "--samples", "3"], "--samples has no meaning there"),
    (["compare", "--runs", "a", "b"], "no run 'a'"),
    (["compare", "--profiles", "light", "ligt@replay"], "did you mean 'light'?"),
    (["compare", "--profiles", "light", "light@replay", "--endpoint", "replay"], "Leave it out"),
    (["serve", "--prt", "1"], "did you mean '--port'?"),
    (["serve", "--port", "99999"], "65535"),
    (["gate"], "'--baseline'"),
    (["gate", "--baseline", "x", "--alpha", "2"], "'--alpha'"),
    (["plan", "--cores", "2"], "no option '--cores'"),
    (["validate", "--profle", "light"], "did you mean '--profile'?"),
    (["run", "--tasks", ","], "--tasks names nothing"),
    (["run", "--tasks", ""], "--tasks names nothing"),
    (["run", "--models", ""], "--models names nothing"),
    (["run", "--cores", "abc"], "--cores abc: expected a number of cores, or all"),
    (["run", "--cores", "0"], "--cores 0: expected a number of cores, or all"),
    (["run", "--config", "samples=2020-13-45"], "'samples' is '2020-13-45'"),
    (["run", "--config", f"profile={'[' * 2000}"], "unknown profile"),
    (["run", "--config", "profiles=abc"], "'profiles' is not a table with one entry per profile"),
    (["run", "--config", "plugins=none.py"], "'plugins' names none.py, which is not a file"),
    (["run", "--config", "report={notebook: none.ipynb}"], "'report.notebook' names none.ipynb, which is not a file"),
    (["run", "--config", "endpoint_file=none.py"], "'endpoint_file' names none.py, which is not a file"),
    (["compare", "--profiles", "light", "light"], "names 'light' twice"),
    (["compare", "--profiles", "light", "medium", "--runs", "a", "b"], "not both"),
    (["import", "none.crate.zip"], "none.crate.zip does not exist"),
    (["unpack", "none.crate.zip", "new"], "none.crate.zip does not exist"),
]


@pytest.mark.parametrize(
    ("words", "says"), WRONG, ids=lambda value: " ".join(value)[:80] if isinstance(value, list) else ""
)
def test_a_wrong_call_ends_with_2_and_a_line_that_helps(
    shared: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert all(line.startswith("error: ") for line in captured.err.splitlines())
    assert "Traceback" not in captured.err + captured.out
    assert not list((shared / "results").iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [["list-tasks"], ["list-tasks", "--json"], ["--help"]], ids=" ".join)
def test_an_output_that_cannot_be_written_is_one_line(shared: Path, words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "ai_dev_tools.cli.benchmark_cli", *words]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "error: cannot write the output: No space left on device\n")


def test_no_output_at_all_is_not_a_mistake(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["list-tasks"]) == 0


def test_all_mistakes_of_a_config_are_reported_at_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", "sample=3", "retyr=all"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


ADD = ["add-task", "--task-id", "mine", "--name", "Mine", "--baseline-prompt", "a", "--tools-prompt", "b"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--task-id", "../x"], "it names a folder"),
        (["--task-id", "y" * 300], "use 100 at most"),
        (["--task-id", "safety_assessment"], "is taken by"),
        (["--name", ""], "name is empty"),
        (["--baseline-prompt", " "], "baseline_prompt is empty"),
        (["--baseline-prompt", "@none.txt"], "cannot read none.txt: No such file"),
        (["--workflow-type", "safety"], "did you mean 'safety_check'?"),
        (["--timeout", "-3"], "'timeout' is -3.0"),
        (["--timeout", "nan"], "'timeout' is nan"),
        (["--expected-outputs", "{bad"], "not JSON"),
        (["--expected-outputs", "[" * 50_000], "not JSON"),
        (["--expected-outputs", '{"x": NaN}'], "'x' is NaN, which has no scorer"),
        (["--expected-outputs", '{"x": 1e999}'], "'x' is Infinity, which has no scorer"),
        (["--expected-outputs", '{"x": {"y": 1}}'], "has no scorer"),
        (["--expected-outputs", '{"": 1}'], "an expected output has no name"),
        (["--expected-outputs", '{"x": "\\ud800"}'], "half of a character"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_task_that_cannot_be_is_not_written(
    shared: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main([*ADD, *words]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1
    assert not list((shared / "config").glob("tasks_local/*"))


def _truncated_tar(path: Path) -> None:
    content = path.with_suffix(".csv")
    content.write_bytes(bytes(range(256)) * 400)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(content, "samples.csv")
    path.write_bytes(path.read_bytes()[:200])


END_OF_ZIP = b"PK\x05\x06" + bytes.fromhex("00000000 05000500 ff000000 ff000000 0000")
"""It says that there are five members in a directory where there is none."""
FILES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a list": ("list.yaml", lambda path: path.write_text("- a\n")),
    "a word": ("word.yaml", lambda path: path.write_text("hello")),
    "no text": ("bytes.yaml", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    "another table": ("other.csv", lambda path: path.write_text("a,b\n1,2\n")),
    "an empty table": ("empty.csv", lambda path: path.write_text("")),
    "no parquet": ("no.parquet", lambda path: path.write_text("zzz")),
    "a broken zip": ("broken.zip", lambda path: path.write_bytes(b"x" * 50 + END_OF_ZIP)),
    "a cut tar": ("cut.tar.gz", _truncated_tar),
}


@pytest.mark.parametrize(
    ("what", "command", "says"),
    [
        ("a list", ["run", "--configfile", "{}"], "list.yaml: expected a mapping of settings, found list"),
        ("a word", ["plan", "--configfile", "{}"], "word.yaml: expected a mapping of settings, found str"),
        ("no text", ["run", "--configfile", "{}"], "bytes.yaml is not valid YAML"),
        (
            "another table",
            ["gate", "--baseline", "{}", "--run", "{}"],
            "is not a samples table: it has no column profile",
        ),
        ("an empty table", ["gate", "--baseline", "{}", "--run", "{}"], "is not a samples table"),
        ("another table", ["compare", "--runs", "{}", "results"], "is not a samples table"),
        ("no parquet", ["gate", "--baseline", "{}", "--run", "{}"], "is not a table that can be read"),
        ("a broken zip", ["gate", "--baseline", "{}", "--run", "{}"], "broken.zip is damaged"),
        ("a cut tar", ["gate", "--baseline", "{}", "--run", "{}"], "cut.tar.gz"),
        ("another table", ["import", "{}", "--output", "{}"], "name another folder with --output"),
        ("another table", ["unpack", "{}", "{}"], "is a file. Name a new folder"),
    ],
)
def test_a_file_that_is_not_what_the_call_needs(
    project: Path, capsys: pytest.CaptureFixture[str], what: str, command: list[str], says: str
) -> None:
    name, write = FILES[what]
    write(project / name)
    assert main([word.format(name) for word in command]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("profiles:\n  1: {sample: 3}\n", "unknown setting 'profiles.1.sample'"),
        ("profiles:\n  a.b: {samples: 3}\n", "'profiles.a.b.[key]' is 'a.b'"),
        ("profiles:\n  light: 5\n", "'profiles.light' is 5"),
        ("1: 2\n", "'1' is 1"),
    ],
)
def test_validate_explains_settings_that_no_run_would_take(
    project: Path, capsys: pytest.CaptureFixture[str], settings: str, says: str
) -> None:
    (project / "odd.yaml").write_text(settings)
    assert main(["validate", "--configfile", "odd.yaml", "--json"]) == 1
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert says in check["found"]


def test_a_damaged_block_of_an_earlier_run_does_not_keep_a_plan_from_being_made(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = project / "results" / "light" / "blocks" / "llama3.2-1b" / "safety_assessment.jsonl"
    block.parent.mkdir(parents=True)
    block.write_text('{"status": "compl')
    assert main(["plan", "--profile", "light"]) == 2
    said = capsys.readouterr().err
    assert str(block) in said
    assert said.count("\n") == 1


def test_paths_in_settings_are_seen_from_the_workflows_folder_wherever_the_call_is_made(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(ADD) == 0
    (project / "config" / "tasks_local").rename(project / "mytasks")
    monkeypatch.chdir(project / "results")
    (project / "results" / "here.yaml").write_text("samples: 2\n")
    words = ["--config", "task_folders=mytasks", "--tasks", "mine", "--configfile", "here.yaml"]
    assert main(["plan", "--profile", "light", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.partition("\n")[2])["samples"] == 2
    assert main(["validate", "--profile", "embedded", *words[:-2], "--json"]) == 0
    assert "task mine" in {check["name"] for check in json.loads(capsys.readouterr().out)["checks"]}
