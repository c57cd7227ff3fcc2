"""Settings: the shipped defaults and profiles, inheritance, comma lists, and one readable line for each mistake."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark.config.models import (
    Config,
    ExecutionMode,
    HardwareProfile,
    Options,
    OutputFormat,
    load_config,
)
from ai_dev_tools.benchmark.config.parsing import nearest, read_yaml
from ai_dev_tools.benchmark.config.resolving import resolve_profile
from ai_dev_tools.benchmark.config.sources import load_settings, parse_overrides
from ai_dev_tools.benchmark.errors import ConfigurationError
from support.repository import ROOT

SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
MINIMAL: dict[str, Any] = {"profile": "p", "profiles": {"p": {"instances": {"a": {"model": "m:1"}}}}}


def shipped(**changed: Any) -> Config:
    return load_config(SHIPPED | changed)


def lines_of(data: Any) -> list[str]:
    """The lines of the error that `data` causes."""
    with pytest.raises(ConfigurationError) as caught:
        load_config(data)
    return str(caught.value).split("\n")


# --- defaults -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [load_config(MINIMAL), shipped()], ids=["of the code", "as shipped"])
def test_defaults(config: Config) -> None:
    assert config.execution_mode is ExecutionMode.ASYNC
    assert config.output_format is None  # for people in a terminal, JSON in a pipe
    assert config.max_concurrent_batches == 2
    assert config.container_startup_timeout == 180
    assert config.task_timeout is None, "the profile's, or 30 s; see the profiles below"
    assert config.retry_attempts == 3
    assert config.options == Options(temperature=0, num_ctx=8192, num_predict=512)
    assert config.approaches == ("baseline", "tools", "no_context")
    assert config.tasks == ("all",)
    assert config.models is None, "those of the profile"
    assert (config.retry, config.partial, config.tools, config.endpoint) == ("default", False, None, None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({}, None),
        ({"outcomes": ["time"]}, ("time",)),
        ({"endpoints": ["time"]}, ("time",)),
        ({"endpoints": ["tokens", "time"], "outcomes": ["time"]}, ("time",)),
    ],
    ids=str,
)
def test_what_is_claimed_may_be_written_under_its_old_name(
    written: dict[str, Any], meant: tuple[str, ...] | None
) -> None:
    plan = load_config(MINIMAL | {"plan": written}).plan
    assert plan.outcomes == meant
    assert load_config(MINIMAL | {"plan": plan.model_dump(mode="json")}).plan == plan


def test_the_default_profile_is_embedded() -> None:
    assert shipped().profile == "embedded"
    assert Config.model_fields["profile"].default == "embedded"


def test_the_choices_are_as_users_know_them() -> None:
    assert [*ExecutionMode] == ["sequential", "parallel", "async"]
    assert [*OutputFormat] == ["json", "markdown", "csv", "console"]
    assert list(SHIPPED["profiles"]) == [*HardwareProfile]


# --- profiles -----------------------------------------------------------------------------------------------------

SMALL = ("small", "llama3.2:1b", 11434)
MEDIUM = ("medium", "llama3.2:3b", 11435)
LARGE = ("large", "llama3.1:8b", 11436)
CODE = ("code", "codellama:7b", 11437)


@pytest.mark.parametrize(
    ("name", "samples", "ram_gb", "cores", "instances"),
    [
        ("light", 3, 8, 2, [SMALL]),
        ("medium", 6, 16, 4, [SMALL, MEDIUM]),
        ("heavy", 12, 32, 8, [SMALL, MEDIUM, LARGE, CODE]),
    ],
)
def test_profiles_on_ollama(
    name: str, samples: int, ram_gb: int, cores: int, instances: list[tuple[str, str, int]]
) -> None:
    profile = resolve_profile(shipped(), name)
    assert (profile.samples, profile.min_ram_gb, profile.min_cores) == (samples, ram_gb, cores)
    assert [(i.name, i.model, i.port) for i in profile.instances] == instances
    assert {(i.host, i.endpoint, i.max_concurrent) for i in profile.instances} == {("localhost", "auto", 4)}
    assert profile.sizes == ("S", "L")
    assert profile.task_timeout == 30
    assert profile.best_for
    assert profile.description


def test_the_embedded_profile() -> None:
    profile = resolve_profile(shipped(), "embedded")
    (instance,) = profile.instances
    assert (instance.model, instance.endpoint, instance.max_concurrent) == ("smollm2:135m", "embedded", 1)
    assert (profile.samples, profile.sizes) == (3, ("S",))
    assert profile.task_timeout >= 30


def test_a_profile_inherits_what_it_does_not_say_and_adds_its_instances() -> None:
    own = {"extends": "medium", "samples": 20, "instances": {"small": {"model": "qwen:1b", "port": 9}}}
    profile = resolve_profile(shipped(profiles=SHIPPED["profiles"] | {"mine": own}), "mine")
    assert [(i.name, i.model, i.port) for i in profile.instances] == [("small", "qwen:1b", 9), MEDIUM]
    assert (profile.samples, profile.min_ram_gb) == (20, 16)


def test_settings_of_the_run_win_over_the_profile() -> None:
    profile = resolve_profile(shipped(samples=5, endpoint="http://box:1234/"), "heavy")
    assert profile.samples == 5
    assert {i.endpoint for i in profile.instances} == {"http://box:1234"}


@pytest.mark.parametrize(
    ("profiles", "words"),
    [
        ({"p": {"extends": "q"}, "q": {"extends": "p"}}, ["p -> q -> p"]),
        ({"p": {"extends": "p"}}, ["p -> p"]),
        ({"p": {"extends": "qq"}, "q": {}}, ["'qq'", "did you mean 'q'"]),
        ({"p": {}}, ["profiles.p.instances is empty"]),
        ({"p": {"instances": {"a": {"model": "x"}, "b": {"model": "y"}}}}, ["'a' and 'b'", "11434"]),
        ({"p": {"instances": {"a": {"model": "x:1"}, "b": {"model": "x-1", "port": 5}}}}, ["'a' and 'b'", "x-1"]),
        ({"p": {"endpoint": "embeded", "instances": {"a": {"model": "x"}}}}, ["profiles.p.endpoint", "'embedded'"]),
    ],
)
def test_a_profile_that_cannot_be_run_is_one_line(profiles: dict[str, Any], words: list[str]) -> None:
    config = load_config({"profile": "p", "profiles": profiles})
    with pytest.raises(ConfigurationError) as caught:
        resolve_profile(config, "p")
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


# --- what comes from a command line -------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["tasks", "approaches", "models", "tools"])
@pytest.mark.parametrize("given", ["a,b", " a , b ,", ["a", "b"]])
def test_plural_settings_take_comma_lists(field: str, given: Any) -> None:
    assert getattr(shipped(**{field: given}), field) == ("a", "b")


def test_numbers_and_switches_may_come_as_text() -> None:
    config = shipped(samples="20", partial="true", task_timeout="2.5")
    assert (config.samples, config.partial, config.task_timeout) == (20, True, 2.5)


# --- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"profile": "heavey"}, ["heavey", "did you mean 'heavy'"]),
        ({"profle": "heavy"}, ["unknown setting 'profle'", "did you mean 'profile'"]),
        ({"samples": 0}, ["'samples' is 0", "greater than 0"]),
        ({"samples": -3}, ["'samples' is -3", "greater than 0"]),
        ({"samples": "many"}, ["'samples' is 'many'", "integer"]),
        ({"samples": 2.5}, ["'samples' is 2.5"]),
        ({"tasks": ","}, ["'tasks'", "at least 1"]),
        ({"tasks": {"a": 5}}, ["'tasks' is {'a': 5}: expected a list of words"]),
        ({"endpoint": "contaner"}, ["'contaner' is not a kind of endpoint", "did you mean 'container'"]),
        ({"retry": "al"}, ["'retry' is 'al'", "did you mean 'all'"]),
        ({"execution_mode": "asinc"}, ["'execution_mode' is 'asinc'", "did you mean 'async'"]),
        ({"output_format": "jsn"}, ["'output_format' is 'jsn'", "did you mean 'json'"]),
        ({"partial": "perhaps"}, ["'partial' is 'perhaps'"]),
        ({"options": {"num_ctxt": 1}}, ["unknown setting 'options.num_ctxt'", "did you mean 'num_ctx'"]),
        ({"options": {"temperature": -1}}, ["'options.temperature' is -1"]),
        ({"options": {"temperature": float("inf")}}, ["'options.temperature' is inf", "finite"]),
        ({"task_timeout": float("nan")}, ["'task_timeout' is nan"]),
        ({"task_timeout": float("inf")}, ["'task_timeout' is inf", "finite"]),
        ({"retry_attempts": 0}, ["'retry_attempts' is 0"]),
        ({"plan": {"qualty": {}}}, ["'plan.qualty'", "did you mean 'quality'"]),
        ({"plan": {"quality": {"margn": 1}}}, ["'plan.quality.margn'", "did you mean 'margin'"]),
        ({"plan": {"outcomes": ["token"]}}, ["'plan.outcomes.0' is 'token'", "did you mean 'tokens'"]),
        ({"profiles": {}}, ["unknown profile 'embedded'", "valid: none"]),
        ({"profiles": None}, ["'profiles' is None"]),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_that_names_it_and_the_nearest_valid_name(
    changed: dict[str, Any], words: list[str]
) -> None:
    (line,) = lines_of(SHIPPED | changed)
    assert line.startswith("config: ")
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("light", "sampels"), 3, ["'profiles.light.sampels'", "did you mean 'samples'"]),
        (("light", "sizes"), ["M"], ["'profiles.light.sizes.0' is 'M'", "valid: L, S"]),
        (("light", "instances", "small", "prot"), 1, ["profiles.light.instances.small.prot", "did you mean 'port'"]),
        (("light", "instances", "small", "port"), 99999, ["'profiles.light.instances.small.port' is 99999"]),
        (("light", "instances", "../x"), {"model": "m"}, ["../x"]),
        (("../light",), {}, ["../light"]),
    ],
    ids=str,
)
def test_a_mistake_deep_in_a_profile_is_found(path: tuple[str, ...], value: Any, words: list[str]) -> None:
    data = copy.deepcopy(SHIPPED)
    place = data["profiles"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (line,) = lines_of(data)
    assert all(word in line for word in words), line


def test_each_mistake_has_a_line_of_its_own() -> None:
    lines = lines_of(SHIPPED | {"samples": 0, "profle": "x", "retry": "maybe"})
    assert len(lines) == 3
    assert all(line.startswith("config: ") for line in lines)


@pytest.mark.parametrize(("data", "kind"), [([], "list"), (None, "NoneType"), ("text", "str")])
def test_a_file_that_is_no_mapping_says_so(data: Any, kind: str, tmp_path: Path) -> None:
    from ai_dev_tools.benchmark.config.parsing import parse

    with pytest.raises(ConfigurationError, match=f"config.yaml: expected a mapping of settings, found {kind}"):
        parse(Config, data, "config.yaml")


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)
known_keys = st.sampled_from([*Config.model_fields, "extends", "instances", "model", "samples "])


@given(st.dictionaries(known_keys | st.text() | st.integers(), junk, max_size=6))
def test_garbage_is_lines_of_a_configuration_error_and_nothing_else(data: dict[Any, Any]) -> None:
    error = None
    try:
        config = load_config({"profiles": SHIPPED["profiles"]} | data)
        resolve_profile(config, config.profile)
    except ConfigurationError as raised:
        error = raised
    assert error is None or all(line.startswith(("config: ", "unknown ")) for line in str(error).split("\n")), error


@given(
    name=st.sampled_from(["light", "heavy"]), field=st.sampled_from([*SHIPPED["profiles"]["light"], "x"]), value=junk
)
def test_garbage_inside_a_profile_too(name: str, field: str, value: Any) -> None:
    data = copy.deepcopy(SHIPPED)
    data["profiles"][name][field] = value
    with contextlib.suppress(ConfigurationError):
        resolve_profile(load_config(data), name)


@given(st.text(), st.lists(st.text()))
def test_a_hint_always_names_something_valid_or_says_that_there_is_nothing(name: str, valid: list[str]) -> None:
    hint = nearest(name, valid)
    assert hint == "valid: none" if not any(valid) and not valid else any(word in hint for word in valid)


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"a: [1,\nb: 2\n", "line 3 is not valid YAML"),
        (b"\xff\xfe\xfa", "is not valid YAML"),
        (
            b"a: 1\nb:\n  c: 2\n  d: 3\n  c: 4\n",
            "line 5 is not valid YAML: 'c' is written twice in one table, first on line 3",
        ),
        (b"x: [{a: 1, a: 1}]\n", "line 1 is not valid YAML: 'a' is written twice"),
        (b"a: !!python/object:os.system x", "is not valid YAML"),
        (b"a: 2026-13-45", "is not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_editors_schema_accepts_the_shipped_file_and_comma_lists_and_refuses_a_typo() -> None:
    import jsonschema

    from ai_dev_tools.cli.generate import config_schema

    validator = jsonschema.Draft202012Validator(json.loads(config_schema()))
    assert validator.is_valid(SHIPPED)
    assert validator.is_valid(SHIPPED | {"tasks": "a,b"})
    assert not validator.is_valid(SHIPPED | {"profle": "heavy"})


def test_generated_files_are_what_the_code_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ai_dev_tools.cli.generate import main

    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_a_generated_file_that_drifted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ai_dev_tools.cli.generate import main

    monkeypatch.chdir(tmp_path)
    main([])
    (tmp_path / "config" / "schema.json").write_text("{}")
    assert main(["--check"]) == 1
    assert "config/schema.json" in capsys.readouterr().err


# --- instances that are left out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["medium", "heavy"])
def test_a_null_takes_an_inherited_instance_out_as_the_readme_of_the_config_shows(base: str) -> None:
    all_of = {instance.name for instance in resolve_profile(load_config(SHIPPED), base).instances}
    assert "small" in all_of
    own = {"extends": base, "instances": {"small": None, "qwen": {"model": "qwen3:8b", "port": 11499}}}
    config = load_config(
        SHIPPED | {"profiles": SHIPPED["profiles"] | {"workstation": own, "child": {"extends": "workstation"}}}
    )
    for name in ("workstation", "child"):
        assert {instance.name for instance in resolve_profile(config, name).instances} == all_of - {"small"} | {"qwen"}
    again = load_config(config.model_dump(mode="json", exclude_none=True))
    assert resolve_profile(again, "child") == resolve_profile(config, "child"), "an archive keeps what was left out"


def test_a_null_works_from_files_and_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text((ROOT / "config" / "config.yaml").read_text())
    pair = "profiles={mine: {extends: medium, instances: {small: null}}, heavy: {instances: {small: null}}}"
    config = load_config(load_settings(tmp_path, parse_overrides([pair])).settings)
    names = [
        {instance.name for instance in resolve_profile(config, name).instances} for name in ("mine", "heavy", "medium")
    ]
    assert "small" not in names[0]
    assert "small" not in names[1]
    assert names[0] | {"small"} == names[2]
