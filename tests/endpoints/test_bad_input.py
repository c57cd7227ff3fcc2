"""Whatever is wrong with an endpoint is one clear line with what to do, and stops nothing else."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.config.resolving import resolve_profile
from ai_dev_tools.benchmark.endpoints import EndpointSpec, open_endpoint
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError
from fakes.ollama import FakeOllama
from support.ports import refusing_port
from support.repository import ROOT
from support.workflow_project import Project


class SomethingElse(BaseHTTPRequestHandler):
    """A web server that is no Ollama."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome!</html>")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def web_server() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), SomethingElse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project.create(tmp_path)
    yield project
    project.clean_up()


def add_profile(project: Project, kind: str, *instances: str) -> None:
    lines = "".join(f"      i{number}: {{{instance}}}\n" for number, instance in enumerate(instances))
    with (project.folder / "config/config.yaml").open("a", encoding="utf-8") as config:
        config.write(
            "  wrong:\n    description: mistakes\n    samples: 1\n    sizes: [S]\n"
            f"    endpoint: {kind}\n    instances:\n{lines}"
        )


def test_each_wrong_instance_is_one_line_and_the_right_one_is_measured(
    project: Project, web_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    with (
        refusing_port() as nobody,
        FakeOllama(["right:1b"]) as fake,
        FakeOllama(["other:1b"]) as other,
    ):
        add_profile(
            project,
            "external",
            "model: 'unresolved:1b', host: no-such-host.invalid, port: 11434",
            f"model: 'web:1b', host: 127.0.0.1, port: {web_server.server_port}",
            f"model: 'refused:1b', host: 127.0.0.1, port: {nobody}",
            f"model: 'unknown:1b', host: 127.0.0.1, port: {other.port}",
            f"model: 'right:1b', host: 127.0.0.1, port: {fake.port}",
        )
        done = project.snakemake("run", profile="wrong", tasks="systematic_fix")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    errors = {line for line in done.stdout.splitlines() if line.startswith("error: ")}
    for number, (what, remedy) in enumerate(
        [
            (r"no-such-host\.invalid:11434\S* does not answer \(the host does not resolve\)", "Start Ollama there"),
            (r"answers, but is not Ollama", "Check host and port in the config"),
            (r"does not answer \(connection refused\)", "Start Ollama there"),
            (r"there is no model 'unknown:1b' to pull", "Check the model's name in the config"),
        ]
    ):
        found = [line for line in errors if re.search(what, line)]
        assert len(found) == 1, (what, errors)
        assert f"i{number}" in found[0] or "unknown" in what, "it names the instance"
        assert remedy in found[0]
    assert len(errors) == 4
    assert {path.split("/")[0] for path in project.sample_files("wrong")} == {"right-1b"}
    assert project.wait_until_quiet() == []


def test_two_instances_on_one_port_are_named() -> None:
    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    instances = {name: {"model": f"{name}:1b", "host": "127.0.0.1", "port": 18111} for name in ("first", "second")}
    settings["profiles"]["wrong"] = {"endpoint": "process", "instances": instances}
    with pytest.raises(
        ConfigurationError, match=r"'first' and 'second' share port 18111: give each its own, or serve all"
    ):
        resolve_profile(load_config(settings | {"profile": "wrong"}), "wrong")


def test_instances_on_one_port_are_not_a_mistake_where_all_are_served_from_one_address() -> None:
    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    instances = {name: {"model": f"{name}:1b"} for name in ("first", "second")}
    settings["profiles"]["lab"] = {"endpoint": "http://lab:11434", "instances": instances}
    profile = resolve_profile(load_config(settings | {"profile": "lab"}), "lab")
    assert [instance.model for instance in profile.instances] == ["first:1b", "second:1b"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate with")
def test_a_certificate_that_nobody_vouches_for_is_refused_in_one_line(web_server: HTTPServer, tmp_path: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
    ]
    command += ["-subj", "/CN=127.0.0.1", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    web_server.socket = context.wrap_socket(web_server.socket, server_side=True)
    with (
        pytest.raises(BenchmarkError) as refused,
        open_endpoint(EndpointSpec(kind=f"https://127.0.0.1:{web_server.server_port}")),
    ):
        pass
    assert "TLS error" in str(refused.value)
    assert "\n" not in str(refused.value)
