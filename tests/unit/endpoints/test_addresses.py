"""Where a server is and which model a name means: every form that Ollama takes, read in one place."""

from __future__ import annotations

import ipaddress
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util.addresses import host_url, join, parse_address
from ai_dev_tools.benchmark._util.model_names import full_name, same_model
from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.config.resolving import resolve_profile
from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
from ai_dev_tools.benchmark.endpoints.launching import free_port
from ai_dev_tools.benchmark.endpoints.probing import find_model
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.cli.benchmark_cli import main
from fakes.scripted_ollama import ScriptedOllama
from support.repository import ROOT

# ------------------------------------------------------------------------------------------ OLLAMA_HOST


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("http://[::1]", "http://[::1]:80"),
        ("http://[::1]:5000/", "http://[::1]:5000"),
        ("::", "http://[::1]:11434"),
        ("[::]:5000", "http://[::1]:5000"),
        ("0:0:0:0:0:0:0:1", "http://[::1]:11434"),
        ("fe80::1", "http://[fe80::1]:11434"),
        ("gpu", "http://gpu:11434"),
        ("gpu:", "http://gpu:11434"),
        ("gpu:5000/", "http://gpu:5000"),
        ("gpu///", "http://gpu:11434"),
        ("GPU.example", "http://gpu.example:11434"),
        ("HTTPS://gpu/", "https://gpu:443"),
        ("https://gpu:8443/a/b/", "https://gpu:8443/a/b"),
        ("gpu/ollama", "http://gpu:11434/ollama"),
        (' "10.0.0.1" ', "http://10.0.0.1:11434"),
        ("'gpu:1'", "http://gpu:1"),
        ("0.0.0.0:5000", "http://127.0.0.1:5000"),
        ("gpu:65535", "http://gpu:65535"),
        ("  ", None),
        ('""', None),
    ],
)
def test_ollama_host_in_every_form(value: str, url: str | None) -> None:
    assert host_url(value) == url


@pytest.mark.parametrize(
    "value",
    ["gpu:0", "gpu:65536", "gpu:-1", "gpu:1e3", "gpu:٣", "gpu:" + "9" * 5000, "[::1]:0", "[::1", "[gpu]", "a b", "[]",
     "ftp://gpu", "a:b:c", "http://gpu:x", "gpu\\x", "[::1]x"],
)  # fmt: skip
def test_what_is_not_an_address_is_one_line(value: str) -> None:
    """Ollama itself would take its default port and say so in a log: another server than the one that was meant."""
    with pytest.raises(ConfigurationError, match="OLLAMA_HOST") as caught:
        host_url(value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        host_url("http://me:hush@gpu:1")
    assert "hush" not in str(caught.value)


HOSTS = st.sampled_from(["gpu", "gpu.example", "10.1.2.3", "::1", "fe80::7", "localhost"])
PORTS = st.none() | st.integers(1, 65535)


@given(host=HOSTS, port=PORTS, scheme=st.sampled_from(["", "http://", "https://"]), slash=st.sampled_from(["", "/"]))
def test_what_is_written_is_read(host: str, port: int | None, scheme: str, slash: str) -> None:
    written = join(host, port) if port else (f"[{host}]" if ":" in host else host)
    address = parse_address(f"{scheme}{written}{slash}", "host")
    assert address is not None
    assert (address.host, address.port, address.scheme) == (host, port, scheme.removesuffix("://") or None)
    assert parse_address(address.url, "host") is not None
    assert host_url(address.url) == address.url


@given(st.text(st.sampled_from("a1.:[]/%@-_ \"'é") | st.characters(), max_size=20))
def test_any_text_is_an_address_or_one_line(text: str) -> None:
    try:
        address = parse_address(text, "host")
    except ConfigurationError:
        return
    assert address is None or (address.host and (address.port is None or 0 < address.port < 65536))


@given(st.ip_addresses(v=6))
def test_every_ipv6_address_is_one_with_brackets_or_without(address: ipaddress.IPv6Address) -> None:
    assert host_url(str(address)) == host_url(f"[{address}]")


# ------------------------------------------------------------------------------------------ settings


def settings(**instance: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    loaded["profiles"]["mine"] = {"endpoint": "external", "instances": {"a": {"model": "a:1b", **instance}}}
    return loaded | {"profile": "mine"}


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ({"host": "gpu:5000"}, "gpu", 5000),
        ({"host": "gpu:5000", "port": 5000}, "gpu", 5000),
        ({"host": "[::1]"}, "::1", 11434),
        ({"host": "::1", "port": 7}, "::1", 7),
        ({"host": "[::1]:5000"}, "::1", 5000),
        ({"host": "http://gpu:5000/"}, "gpu", 5000),
        ({"host": "GPU-Box", "port": 7}, "GPU-Box", 7),
        ({"host": "localhost"}, "localhost", 11434),
    ],
)
def test_an_instance_takes_its_host_in_any_form(given: dict[str, Any], host: str, port: int) -> None:
    (instance,) = resolve_profile(load_config(settings(**given)), "mine").instances
    assert (instance.host, instance.port) == (host, port)


@pytest.mark.parametrize(
    "given",
    [{"host": "gpu:5000", "port": 6000}, {"host": "https://gpu"}, {"host": "http://gpu/x"}, {"host": "gpu:0"},
     {"host": "gpu:99999"}, {"host": "[::1"}, {"host": "a b"}, {"replicas": ["gpu:1"]}, {"replicas": ["http://gpu:0"]}],
)  # fmt: skip
def test_a_host_that_is_none_names_the_setting(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"profiles\.mine\.instances\.a") as caught:
        load_config(settings(**given))
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("endpoint", ["http://gpu:0", "http://gpu:99999", "http://[::1", "gpu:11434"])
def test_an_endpoint_that_is_no_address_is_one_line(endpoint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config(settings() | {"endpoint": endpoint})
    assert "\n" not in str(caught.value)


def test_a_forgotten_scheme_is_suggested() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean 'http://gpu:11434'"):
        load_config(settings() | {"endpoint": "gpu:11434"})


def test_ollama_host_makes_one_server_of_all_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one server must not be measured at the same time."""
    loaded = settings()
    loaded["profiles"]["mine"]["instances"] = {name: {"model": name, "port": 5000 + len(name)} for name in ("b", "cc")}
    experiment = Experiment(load_config(loaded), {}, {})
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    assert len(set(experiment.servers("mine").values())) == 2
    monkeypatch.setenv("OLLAMA_HOST", "gpu")
    assert set(experiment.servers("mine").values()) == {"http://gpu:11434"}


def test_the_embedded_server_answers_on_ipv6_too(weights: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert free_port("::1")
    with open_endpoint(EndpointSpec(model_file=str(weights), host="::1", num_ctx=512)) as endpoint:
        assert endpoint.base_url.startswith("http://[::1]:")
        with open_endpoint(EndpointSpec(kind=endpoint.base_url)) as external:
            assert external.model_digest == endpoint.model_digest


# ------------------------------------------------------------------------------------------ names of models

SAME = [
    "llama3.2:1b",
    "Llama3.2:1B",
    "library/llama3.2:1b",
    "registry.ollama.ai/library/llama3.2:1b",
    "https://registry.ollama.ai/library/LLAMA3.2:1b",
]
OTHERS = ["llama3.2", "llama3.2:latest", "me/llama3.2:1b", "hf.co/library/llama3.2:1b", "llama3.2:1b-q4", "llama3:1b"]


@pytest.mark.parametrize("name", SAME)
def test_these_names_are_one_model(name: str) -> None:
    assert full_name(name) == "registry.ollama.ai/library/llama3.2:1b"
    assert find_model({"other:1b": {}, "llama3.2:1b": {"digest": "d"}}, name) == {"digest": "d"}
    assert find_model({name: {"digest": "d"}}, "llama3.2:1b") == {"digest": "d"}


@pytest.mark.parametrize("name", OTHERS)
def test_these_are_others(name: str) -> None:
    assert not same_model(name, "llama3.2:1b")
    assert find_model({"llama3.2:1b": {"digest": "d"}}, name) is None


def test_a_name_without_a_tag_is_the_latest() -> None:
    assert same_model("smollm2", "library/smollm2:latest")
    assert same_model("hf.co/a/b", "HF.co/a/b:latest")


@given(st.text(max_size=30))
def test_a_full_name_is_its_own_full_name(name: str) -> None:
    assert full_name(full_name(name)) == full_name(name)


@pytest.mark.parametrize("name", SAME)
def test_a_listed_model_is_not_pulled_whatever_it_is_called(name: str) -> None:
    with ScriptedOllama(models={"llama3.2:1b": "a" * 64}).serving() as fake:
        with open_endpoint(EndpointSpec(kind=fake.url, model=name)) as endpoint:
            assert endpoint.model_digest == "a" * 64
            assert endpoint.model == name, "what the settings say is what is recorded"
        assert "/api/pull" not in fake.asked


@pytest.mark.parametrize("name", ["SmolLM2:135M", "library/smollm2:135m", "registry.ollama.ai/library/smollm2:135m"])
def test_the_embedded_model_has_these_names_too(weights: Path, name: str) -> None:
    with (
        open_endpoint(EndpointSpec(model_file=str(weights), model=name, num_ctx=512)) as endpoint,
        open_endpoint(EndpointSpec(kind=endpoint.base_url, model="smollm2:135m")) as external,
    ):
        assert external.model_digest == endpoint.model_digest


@pytest.mark.parametrize("other", ["A:1B", "library/a:1b", "registry.ollama.ai/library/a:1b"])
def test_one_model_under_two_names_is_refused(other: str) -> None:
    loaded = settings()
    loaded["profiles"]["mine"]["instances"]["b"] = {"model": other, "port": 7}
    with pytest.raises(ConfigurationError, match="name it once"):
        resolve_profile(load_config(loaded), "mine")


@pytest.mark.parametrize("asked", ["a:1b", "A:1b", "library/a:1b", "a"])
def test_models_are_selected_by_any_of_their_names(asked: str) -> None:
    experiment = Experiment(load_config(settings() | {"models": [asked]}), {}, {})
    assert [instance.model for instance in experiment.instances("mine")] == ["a:1b"]


# ------------------------------------------------------------------------------------------ validate


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config" / "tasks").mkdir(parents=True)
    (tmp_path / "config" / "tasks" / "systematic_fix").symlink_to(ROOT / "config" / "tasks" / "systematic_fix")
    (tmp_path / "config" / "tools").symlink_to(ROOT / "config" / "tools")
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump(settings()), encoding="utf-8")
    (tmp_path / "Snakefile").symlink_to(ROOT / "Snakefile")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    return tmp_path


def validated(project: Path, capsys: pytest.CaptureFixture[str], **changes: Any) -> list[dict[str, str]]:
    """The checks of the one instance."""
    loaded = settings() | changes
    (project / "config" / "config.yaml").write_text(yaml.safe_dump(loaded), encoding="utf-8")
    main(["validate", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    return [check for check in checks if check["name"] == "instance a"]


def test_validate_looks_where_the_run_does(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedOllama(models={"library/A:1b": "a" * 64}).serving() as fake:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{fake.port}")
        (check,) = validated(project, capsys)
    assert (check["status"], check["found"]) == ("ok", f"a:1b at {fake.url}")


def test_validate_sends_the_token_of_the_run(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedOllama(models={"a:1b": "a" * 64}, token="hush").serving() as fake:
        server = {"token_env": "LAB_TOKEN"}
        (check,) = validated(project, capsys, endpoint=fake.url)
        assert check["status"] == "failed"
        assert "refuses access" in check["found"]
        (check,) = validated(project, capsys, endpoint=fake.url, server=server)
        assert "LAB_TOKEN is not set" in check["found"]
        monkeypatch.setenv("LAB_TOKEN", "hush")
        (check,) = validated(project, capsys, endpoint=fake.url, server=server)
        assert check["status"] == "ok"
        assert "hush" not in json.dumps(check)


def test_validate_names_a_wrong_ollama_host(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "gpu:0")
    main(["validate"])
    said = capsys.readouterr()
    assert "OLLAMA_HOST" in said.out + said.err
    assert "Traceback" not in said.out + said.err


def test_validate_looks_at_replicas(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedOllama(models={"a:1b": "a" * 64}).serving() as one, ScriptedOllama(models={}).serving() as other:
        loaded = settings(replicas=[other.url])["profiles"]
        checks = validated(project, capsys, endpoint=one.url, profiles=loaded)
    assert [check["status"] for check in checks] == ["ok", "warning"]
