"""What a model writes becomes words of a command line: the value and nothing else, never an option, a path out, or a program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.agents.command_arguments import BadArgument, command_words, schema_of
from ai_dev_tools.benchmark.records.agent_tool import Argument, ToolCommand

WORKSPACE = Path(__file__).parent


def words(argv: list[str], arguments: dict[str, Argument], **given_: Any) -> list[str]:
    command = ToolCommand(name="find", argv=argv, arguments=arguments)
    return command_words(command, given_, {"workspace": "/w", "tool_dir": "/t", "python": "py"}, WORKSPACE)


def refusal(argv: list[str], arguments: dict[str, Argument], **given_: Any) -> str:
    with pytest.raises(BadArgument) as caught:
        words(argv, arguments, **given_)
    assert "\n" not in str(caught.value)
    return str(caught.value)


TEXT = {"query": Argument()}


def test_a_value_is_one_word_whatever_is_in_it() -> None:
    value = """a b; rm -rf / $(x) `y` && "z" 'w' | > < * ? {query} {workspace}"""
    assert words(["find", "{query}", "-n"], TEXT, query=value) == ["find", value, "-n"]


@pytest.mark.parametrize("value", ["-rf", "--pre=sh", "-", "@list", "+x"])
def test_a_value_cannot_become_an_option_or_a_list_of_arguments(value: str) -> None:
    assert refusal(["find", "{query}"], TEXT, query=value) == f"'query' must not begin with {value[0]}"
    assert words(["find", "--regexp={query}"], TEXT, query=value) == ["find", f"--regexp={value}"]
    if value.startswith("@"):
        assert "must not begin" in refusal(["find", "--", "{query}"], TEXT, query=value)
    elif value.startswith("-"):
        assert words(["find", "--", "{query}"], TEXT, query=value) == ["find", "--", value]


def test_a_dash_that_a_model_wrote_ends_no_options() -> None:
    two = {"a": Argument(), "b": Argument(default="")}
    assert "must not begin" in refusal(["x", "{a}", "{b}"], two, a="--", b="-y")
    assert "must not begin" in refusal(["x", "{b}{a}"], two, a="-y")


@pytest.mark.parametrize(
    "value", ["", "a\nb", "a\0b", "\x1b[2J", "\ud800", "a\u2028b", "x" * 201, 5, None, ["a"], {"a": 1}, True]
)
def test_texts_that_are_refused(value: Any) -> None:
    assert "'query'" in refusal(["find", "{query}"], TEXT, query=value)


@pytest.mark.parametrize(
    ("argument", "good", "bad"),
    [
        (
            Argument(type="integer", minimum=1, maximum=9),
            {3: "3", 4.0: "4"},
            [0, 10, 3.5, True, "3", 1e400, float("nan")],
        ),
        (Argument(type="number"), {0.25: "0.25", 2: "2"}, ["1", True, float("inf"), 1e300]),
        (Argument(type="boolean"), {True: "true", False: "false"}, ["true", 1, 0]),
        (Argument(choices=["class", "def"]), {"class": "class"}, ["clas", "", 1]),
        (Argument(pattern="[a-z]+"), {"abc": "abc"}, ["abc1", "abc\n", "A"]),
    ],
)
def test_types_are_strict(argument: Argument, good: dict[Any, str], bad: list[Any]) -> None:
    for value, word in good.items():
        assert words(["x", "--n={v}"], {"v": argument}, v=value) == ["x", f"--n={word}"]
    for value in bad:
        assert "'v' must" in refusal(["x", "--n={v}"], {"v": argument}, v=value) or value == ""


@pytest.mark.parametrize("value", ["/etc/passwd", "../x", "a/../../x", "~/x", "~root", "a\0b", "link/x"])
def test_a_path_stays_in_the_workspace(value: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    command = ToolCommand(name="read", argv=["cat", "{p}"], arguments={"p": Argument(type="path")})
    with pytest.raises(BadArgument, match="'p'"):
        command_words(command, {"p": value}, {}, tmp_path)


def test_a_path_is_never_an_option() -> None:
    path = {"p": Argument(type="path", default=".")}
    assert words(["cat", "{p}"], path, p="-rf.py") == ["cat", "./-rf.py"]
    assert words(["cat", "{p}"], path, p="") == ["cat", "."]
    assert words(["cat", "{p}"], path) == ["cat", "."]


def test_what_is_missing_or_unknown_is_said_to_the_model() -> None:
    assert refusal(["x", "{query}"], TEXT) == "'query' is missing"
    assert refusal(["x", "{query}"], TEXT, query="a", pattern="b").startswith("'pattern' is not an argument of find")
    assert words(["x", "{n}"], {"n": Argument(type="integer", default=5)}) == ["x", "5"]


def test_a_model_is_told_types_limits_and_choices() -> None:
    schema = schema_of({"q": Argument(description="a name"), "kind": Argument(choices=["a", "b"], default="a")})
    assert schema == {
        "type": "object",
        "properties": {
            "q": {"type": "string", "description": "a name", "minLength": 1, "maxLength": 200},
            "kind": {"type": "string", "enum": ["a", "b"]},
        },
        "required": ["q"],
        "additionalProperties": False,
    }


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(["string", "integer", "number", "boolean", "path"]),
    ANYTHING | st.text(alphabet="-@+~./\\ a\0\n{}", max_size=12),
    st.sampled_from([["{v}"], ["--", "{v}"], ["--opt={v}"], ["{v}", "--", "x"]]),
)
@example("string", "{workspace}", ["{v}"])
@example("path", "-", ["{v}"])
@example("number", -0.0, ["{v}"])
def test_any_value_is_refused_or_becomes_part_of_exactly_one_word(kind: Any, value: Any, argv: list[str]) -> None:
    try:
        found = words(["prog", *argv], {"v": Argument(type=kind)}, v=value)
    except BadArgument:
        return
    assert found[0] == "prog" and len(found) == len(argv) + 1
    place = argv.index(next(word for word in argv if "{v}" in word))
    word = found[place + 1]
    assert not re.search(r"[\x00-\x1f\ud800-\udfff]", word)
    if argv[place] == "{v}" and "--" not in argv[:place]:
        assert not word.startswith(("-", "@", "+"))
    if kind == "path":
        assert (
            not Path(word.removeprefix("--opt=")).is_absolute() and ".." not in Path(word.removeprefix("--opt=")).parts
        )


def test_a_program_gets_exactly_these_words() -> None:
    argv = words(
        [sys.executable, "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", "{query}"], TEXT, query="$HOME 'a'"
    )
    assert json.loads(subprocess.check_output(argv)) == ["$HOME 'a'"]
