"""Settings of an instance whose server speaks OpenAI's API: `api`, `base_url`, `key_env`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai_dev_tools.benchmark._util.credentials import problem_of_variable
from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.config.resolving import ResolvedInstance, resolve_profile
from ai_dev_tools.benchmark.config.sources import merge
from ai_dev_tools.benchmark.errors import ConfigurationErrors
from ai_dev_tools.cli.validate import setting_rows

URL = "https://models.example/v1"


def settings(instance: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"profile": "p", "profiles": {"p": {"instances": {"hosted": {"model": "m"} | instance}}}} | more


def resolved(instance: dict[str, Any], **more: Any) -> ResolvedInstance:
    return resolve_profile(load_config(settings(instance, **more)), "p").instances[0]


def wrong(data: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigurationErrors) as caught:
        load_config(data)
    return caught.value.lines


def test_an_instance_has_its_own_server_unless_the_call_names_another() -> None:
    given = {"base_url": f"{URL}/", "api": "openai", "key_env": "LAB_KEY"}
    instance = resolved(given)
    assert (instance.endpoint, instance.api, instance.key_env) == (URL, "openai", "LAB_KEY")
    assert resolved(given, endpoint="http://localhost:8000").endpoint == "http://localhost:8000"
    assert resolved(given, endpoint="replay").endpoint == "replay"
    assert resolved({}).endpoint == "auto"


def test_instances_of_one_profile_may_have_servers_of_several_kinds() -> None:
    data = settings({"base_url": URL, "api": "openai"})
    data["profiles"]["p"]["instances"]["local"] = {"model": "llama3.2:1b"}
    assert [one.endpoint for one in resolve_profile(load_config(data), "p").instances] == [URL, "auto"]


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        ({"api": "anthropic"}, "api"),
        ({"base_url": "models.example/v1"}, "write http://host:port"),
        ({"base_url": "https://models.example:99999/v1"}, "port"),
        ({"base_url": 3}, "base_url"),
        ({"base_url": f"{URL}/chat/completions"}, f"leave out /chat/completions, as in {URL}"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_setting(instance: dict[str, Any], expected: str) -> None:
    [line] = wrong(settings(instance))
    assert "profiles.p.instances.hosted" in line
    assert expected in line


@pytest.mark.parametrize("address", ["https://me:hush-Marker@models.example/v1", f"{URL}?key=hush-Marker"])
def test_an_address_with_a_key_in_it_is_refused_and_not_shown(address: str) -> None:
    [line] = wrong(settings({"base_url": address}))
    assert "base_url" in line
    assert "Marker" not in line
    assert "Marker" not in json.dumps(setting_rows(merge(settings({"base_url": address}), {}, {})))


KEYS = ["sk-proj-Marker0815abcdefghijk", "gsk_Marker0815abcdefghijklmnop", "Bearer Marker", "hf_MarkerAbcDefGhiJklMno"]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_in_place_of_the_name_of_its_variable_is_refused_and_not_shown(key: str) -> None:
    for data in (settings({"key_env": key}), settings({}, server={"token_env": key})):
        [line] = wrong(data)
        assert "export it" in line
        assert "Marker" not in line
        assert "Marker" not in json.dumps(setting_rows(merge(data, {}, {})))


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "LAB_KEY", "lab_key_of_the_big_machine", "KEY2", "_K"])
def test_names_of_variables_are_taken(name: str) -> None:
    assert problem_of_variable(name) is None
