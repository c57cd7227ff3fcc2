"""What the setting `plugins` can name, and how what is wrong with it is said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.plugins import (
    APPROACHES,
    COMPARISONS,
    ENDPOINT_KINDS,
    METRICS,
    REGISTRIES,
    SCORERS,
    CaseInputs,
    Context,
    load_plugins,
    only_plugins,
)
from ai_dev_tools.benchmark.prompts.approaches import build_context, find_approach
from ai_dev_tools.benchmark.tasks.scoring import ScorerFailed, score_answer

IMPORT = "from ai_dev_tools.benchmark.plugins import *\n"
EVERYTHING = '''
from ai_dev_tools.benchmark.plugins import approach, check, comparison, endpoint_kind, metric, plot, scorer

@approach("names_only", "file names alone")
def names_only(inputs):
    return "\\n".join(inputs.texts)

@scorer("close")
def close(expected, actual, within=0.1):
    """1 if the numbers are near each other."""
    return float(abs(actual - expected) <= within * expected)

@metric("letters", description="four letters per token")
def letters(cell):
    return 4 * cell.sum("output_tokens")

@comparison("written", description="written tokens", outcome="tokens")
def written(samples):
    return samples["output_tokens"]

@check("wordy", voids=(), description="many tokens")
def wordy(samples, thresholds):
    return samples["output_tokens"], samples["output_tokens"] > 1000

@plot("cloud")
def cloud(figure, data, options):
    figure.subplots().scatter(data["x"], data["y"])

@endpoint_kind("lab")
def lab(spec):
    yield None
'''


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_plugin(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_plugin


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Installs a package of one module into a folder of its own, as pip would."""

    def install(module: str, text: str, plugin: str = "") -> Path:
        folder = tmp_path / f"site-{module}"
        about = folder / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (folder / f"{module}.py").write_text(text)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        if plugin:
            (about / "entry_points.txt").write_text(f"[ai_dev_tools.plugins]\n{plugin} = {module}\n")
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return folder

    return install


def test_one_file_adds_every_kind_of_thing(write: Callable[..., Path]) -> None:
    (loaded,) = load_plugins([write(EVERYTHING)])
    assert [(registry.kind, plugin.name) for registry, plugin in loaded.registered] == [
        ("metric", "letters"),
        ("comparison", "written"),
        ("check", "wordy"),
        ("approach", "names_only"),
        ("scorer", "close"),
        ("plot", "cloud"),
        ("endpoint kind", "lab"),
    ]
    assert {plugin.origin for _, plugin in loaded.registered} == {"mine.py"}
    assert SCORERS["close"].description == "1 if the numbers are near each other."
    inputs = CaseInputs(case="one", texts={"a.py": "x", "b.py": "y"}, findings={}, tools=())
    assert build_context(find_approach("names_only", {}), inputs) == Context("a.py\nb.py")
    rule = {"field": "n", "scorer": "close", "within": 0.5}
    assert score_answer({"n": 140}, {"n": 100}, [rule]) == 1
    assert score_answer({"n": 140}, {"n": 100}, [rule | {"within": 0.1}]) == 0


@pytest.mark.parametrize("named", ["", ", outcome='time'", ", endpoint='time'"])
def test_a_comparison_may_say_its_outcome_under_the_old_name(write: Callable[..., Path], named: str) -> None:
    load_plugins([write(f"{IMPORT}@comparison('mine', description='d'{named})\ndef f(samples): ...")])
    assert COMPARISONS["mine"].options == "kind=ratio; outcome=time"
    wrong = write(f"{IMPORT}@comparison('mine', description='d', outcome='beauty')\ndef f(samples): ...")
    with pytest.raises(ConfigurationError, match="outcome is one of"):
        load_plugins([wrong])


def test_what_the_setting_no_longer_names_is_gone_and_comes_back_when_it_does(write: Callable[..., Path]) -> None:
    path = write(EVERYTHING)
    built_in = [list(registry) for registry in REGISTRIES]
    load_plugins([path])
    load_plugins([])
    assert [list(registry) for registry in REGISTRIES] == built_in
    load_plugins([path])
    load_plugins([path])
    assert "names_only" in APPROACHES
    assert "lab" in ENDPOINT_KINDS


def test_plugins_of_another_run_are_there_for_a_while_only(write: Callable[..., Path]) -> None:
    mine = write(EVERYTHING)
    load_plugins([mine])
    with only_plugins([]):
        assert "names_only" not in APPROACHES
    assert "names_only" in APPROACHES
    with pytest.raises(ConfigurationError), only_plugins([write("1 / 0", "broken.py")]):
        pass
    assert "names_only" in APPROACHES


def test_a_file_that_was_changed_is_read_again(write: Callable[..., Path]) -> None:
    text = IMPORT + "@scorer('mine')\ndef f(expected, actual): return 0.25"
    before = load_plugins([write(text)])[0].sha256
    after = load_plugins([write(text.replace("0.25", "0.75"))])[0].sha256
    assert before != after
    assert score_answer({"f": 1}, {"f": 1}, [{"field": "f", "scorer": "mine"}]) == 0.75


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "registers nothing"),
        ("\nraise ValueError('no')", "line 2: ValueError: no"),
        ("def f(:\n", "line 1: SyntaxError"),
        ("import json\n\njson.loads('{')", "line 3: JSONDecodeError"),
        ("import no_such_module", "line 1: ModuleNotFoundError"),
        ("raise SystemExit('enough')", "line 1: SystemExit: enough"),
        (IMPORT + "\n@approach('tools-mine', 'p')\ndef f(inputs): return ''", "line 3: approach 'tools-mine': .* reserved"),
        (IMPORT + "@approach('all', 'p')\ndef f(inputs): return ''", "approach 'all': .* reserved"),
        (IMPORT + "@approach('a b', 'p')\ndef f(inputs): return ''", "approach 'a b': a name is made of letters"),
        (IMPORT + "@approach('mine', '')\ndef f(inputs): return ''", "approach 'mine' has no description"),
        (IMPORT + "@approach('mine', 'p')\ndef f(): return ''", "exactly 1 positional"),
        (IMPORT + "@approach('baseline', 'p')\ndef f(inputs): return ''", "'baseline': the name is already taken by ai_dev"),
        (IMPORT + "@scorer('exact')\ndef f(expected, actual): return 1", "scorer 'exact': the name is already taken"),
        (IMPORT + "@scorer('mine')\ndef f(expected): return 1", "at least 2 positional"),
        (IMPORT + "@endpoint_kind('process')\ndef f(spec): yield", "'process': the name is already taken"),
        (IMPORT + "@plot('mine')\ndef f(figure): ...", "exactly 3"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_one_line_that_names_file_and_line_and_leaves_nothing_behind(
    write: Callable[..., Path], text: str, words: str
) -> None:
    path = write(text)
    before = [list(registry) for registry in REGISTRIES]
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_plugins([path])
    assert "mine.py" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [list(registry) for registry in REGISTRIES] == before


def test_a_mistake_in_a_module_that_a_plugin_imports_is_named_where_it_is(
    write: Callable[..., Path], site: Callable[..., Path]
) -> None:
    site("broken_helper", "x = 1\ndef f(:\n")
    with pytest.raises(ConfigurationError, match=r"mine\.py, .*broken_helper\.py, line 2: SyntaxError"):
        load_plugins([write("import broken_helper\n")])


def test_two_plugins_with_one_name_are_one_line_whichever_comes_first(write: Callable[..., Path]) -> None:
    text = IMPORT + "@metric('mine', description='d')\ndef f(cell): return 1"
    first, second = write(text, "a.py"), write(text, "b.py")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"b\.py.*metric 'mine': the name is already taken by a\.py"):
            load_plugins([first, second])
        assert "mine" not in METRICS
        load_plugins([second])
        load_plugins([])


def test_an_installed_package_adds_what_it_offers_once_the_setting_names_it(site: Callable[..., Path]) -> None:
    site("lab_plugin", EVERYTHING, plugin="lab")
    assert "names_only" not in APPROACHES
    (loaded,) = load_plugins(["lab"])
    assert (loaded.name, [path.name for path in loaded.files]) == ("lab", ["lab_plugin.py"])
    assert APPROACHES["names_only"].origin == "lab_plugin"
    load_plugins([])
    assert "names_only" not in APPROACHES
    load_plugins(["lab_plugin"])  # by its module, which ran already
    assert "names_only" in APPROACHES


def test_a_broken_installed_plugin_names_its_file_and_line(site: Callable[..., Path]) -> None:
    site("lab_broken", "\n\n1 / 0\n", plugin="broken")
    with pytest.raises(ConfigurationError, match=r"plugin broken, .*lab_broken\.py, line 3: ZeroDivisionError"):
        load_plugins(["broken"])


def test_an_unknown_plugin_lists_those_that_are_installed(site: Callable[..., Path]) -> None:
    with pytest.raises(ConfigurationError, match="'labb', which is not a file, an installed plugin, or a module"):
        load_plugins(["labb"])
    site("lab_other", EVERYTHING, plugin="lab_one")
    with pytest.raises(ConfigurationError, match=r"valid: .*lab_one|did you mean .lab_one"):
        load_plugins(["lab_oen"])


def test_two_packages_that_offer_one_name_are_refused(site: Callable[..., Path]) -> None:
    site("lab_a", EVERYTHING, plugin="twice")
    site("lab_b", EVERYTHING, plugin="twice")
    with pytest.raises(ConfigurationError, match=r"offer a plugin 'twice': lab_[ab] 1\.0 and lab_[ab] 1\.0"):
        load_plugins(["twice"])


def test_what_a_plugin_prints_is_not_among_the_results(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    load_plugins([write(f"print('loading')\n{EVERYTHING}")])
    assert capsys.readouterr() == ("", "loading\n")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('x')", r"scorer 'mine' \(mine\.py\) raised KeyError"),
        ("return 1.5", "gave 1.5, which is not a number from 0 to 1"),
        ("return float('nan')", "gave nan"),
        ("return None", "raised TypeError"),
    ],
)
def test_a_scorer_that_gives_no_score_says_so(write: Callable[..., Path], body: str, words: str) -> None:
    load_plugins([write(IMPORT + f"@scorer('mine')\ndef f(expected, actual): {body}")])
    with pytest.raises(ScorerFailed, match=words):
        score_answer({"f": 1}, {"f": 1}, [{"field": "f", "scorer": "mine"}])


@pytest.mark.parametrize(("body", "words"), [("return 7", "returned int"), ("raise OSError('x')", "raised OSError")])
def test_an_approach_that_gives_no_context_says_so(write: Callable[..., Path], body: str, words: str) -> None:
    load_plugins([write(IMPORT + f"@approach('mine', 'p')\ndef f(inputs): {body}")])
    inputs = CaseInputs(case="one", texts={}, findings={}, tools=())
    with pytest.raises(ConfigurationError, match=rf"approach 'mine' \(mine\.py\), case 'one': it {words}"):
        build_context(find_approach("mine", {}), inputs)


def test_a_plugin_that_imports_our_own_modules_does_not_own_what_they_register(write: Callable[..., Path]) -> None:
    code = (
        "from ai_dev_tools.benchmark.plugins import PLOTS, load_plugins\n"
        f"load_plugins([{str(write(f'import ai_dev_tools.benchmark.reporting.figures{chr(10)}{EVERYTHING}'))!r}])\n"
        "load_plugins([])\n"
        "print('forest' in PLOTS, 'cloud' in PLOTS)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"


def test_block_jobs_can_read_plugins_without_heavy_imports() -> None:
    code = "import sys, ai_dev_tools.benchmark.plugins; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pandas", "matplotlib", "pydantic", "importlib.metadata", "yaml"} & set(loaded)
