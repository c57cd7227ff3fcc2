"""What all servers started by a run have in common: start, identify, restart in place, stop."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ai_dev_tools.benchmark._util.json_values import JsonValue
from ai_dev_tools.benchmark._util.scratch import scratch_folder
from ai_dev_tools.benchmark.endpoints import pulling
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint, with_kind
from ai_dev_tools.benchmark.endpoints.probing import identify, is_ollama
from ai_dev_tools.benchmark.errors import ConfigurationError


class Launcher(Protocol):
    """Starts and stops one server."""

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """The settings that the server was started with and that affect results; recorded."""

    @property
    def base_url(self) -> str:
        """Where it answers."""

    @property
    def pid(self) -> int | None:
        """The server's process, if it can be seen."""

    def start(self) -> None:
        """Return when the server answers; a failure leaves nothing behind."""

    def stop(self, failed: bool = False) -> None:
        """Leave nothing behind; keep the server's log if the run failed."""


@contextmanager
def launched(launcher: Launcher, spec: EndpointSpec, kind: str, *, pull: bool = True) -> Iterator[ReadyEndpoint]:
    """Start the server, get the model, yield the endpoint with a working `restart`, and stop the server."""
    launcher.start()
    try:
        if pull:
            pulling.ensure_model(launcher.base_url, spec.model, spec.instance)
        endpoint = identify(launcher.base_url, kind, spec.model, pid=launcher.pid)
        endpoint.details["settings"] = dict(launcher.settings)

        def restart(ready: ReadyEndpoint) -> None:
            launcher.stop(failed=True)
            launcher.start()
            ready.base_url, ready.pid, ready.replicas = launcher.base_url, launcher.pid, (launcher.base_url,)

        endpoint._restart = restart
        yield endpoint
    except BaseException:
        launcher.stop(failed=True)
        raise
    launcher.stop()


@contextmanager
def log_folder(spec: EndpointSpec) -> Iterator[Path]:
    """The folder for the server's log: the spec's, or a temporary one."""
    if spec.log_dir is not None:
        folder = Path(spec.log_dir)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot write logs to {folder}: {error.strerror}") from None
        yield folder
    else:
        with scratch_folder("endpoint") as folder:
            yield folder


def require_free_port(spec: EndpointSpec) -> None:
    """Raise ConfigurationError, saying what to do, if something already listens on the instance's port."""
    with socket.socket(socket.AF_INET6 if ":" in spec.host else socket.AF_INET) as probe:
        probe.settimeout(2)
        try:
            if probe.connect_ex((spec.host, spec.port)) != 0:
                return
        except socket.gaierror:
            raise ConfigurationError(f"{spec.instance}: the host {spec.host!r} does not resolve") from None
    url = with_kind(spec, "process").base_url
    if is_ollama(url):
        raise ConfigurationError(
            f"{spec.instance}: an Ollama is already running at {url}",
            remedy="Use it with endpoint=external, or stop it",
        )
    raise ConfigurationError(
        f"{spec.instance}: port {spec.port} is used by something that is not Ollama",
        remedy="Stop it, or give the instance another port",
    )


def free_port(host: str) -> int:
    """A port that is currently free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        return int(listener.getsockname()[1])


def say(instance: str, text: str) -> None:
    """One line for the person who watches the run."""
    print(f"{instance}: {text}", file=sys.stderr, flush=True)
