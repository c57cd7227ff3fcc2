"""Ollama's container image, one container per instance, with Docker or Podman."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ai_dev_tools.benchmark._util import processes
from ai_dev_tools.benchmark._util.addresses import OLLAMA_PORT, join
from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.endpoints import guard, image_pins, memory
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint, endpoint_kind
from ai_dev_tools.benchmark.endpoints.launching import free_port, launched, log_folder, require_free_port, say
from ai_dev_tools.benchmark.endpoints.probing import is_ollama
from ai_dev_tools.benchmark.endpoints.process import server_environment
from ai_dev_tools.benchmark.errors import ConfigurationError, ModelError, StartupTimeoutError
from ai_dev_tools.benchmark.records.endpoint_spec import IMAGE_DIGESTS

if TYPE_CHECKING:
    from python_on_whales import Container, DockerClient

DEFAULT_IMAGE = "docker.io/ollama/ollama:0.12.6"
DEFAULT_VOLUME = "ai-dev-tools-ollama"
ENGINES = ("docker", "podman")
ENGINE_VARIABLE = "AI_DEV_TOOLS_CONTAINER_ENGINE"
"""Environment variable that chooses the engine's command where both are installed."""
ENGINE_ANSWERS_S = 60.0

_OWNER = "ai-dev-tools.owner"
_POLL_S = 0.2
_STOP_S = 3


@endpoint_kind("container")
def open_container(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
    """Run the image on the instance's port and remove the container afterwards.

    Pulled models stay in their volume.
    """
    engine = find_engine()
    spec = spec if spec.port else replace(spec, port=free_port(spec.host))
    with log_folder(spec) as folder:
        log = folder / f"container.{spec.instance}.{spec.port}.log"
        with launched(_ContainerServer(spec, engine, log), spec, "container") as endpoint:
            yield endpoint


@functools.cache
def find_engine() -> str:
    """The command of the first container engine that works.

    Raises:
        ConfigurationError: none works; the message says why for each.
    """
    wanted = os.environ.get(ENGINE_VARIABLE)
    problems = []
    for engine in (wanted,) if wanted else ENGINES:
        if shutil.which(engine) is None:
            problems.append(f"{engine} is not installed")
            continue
        command = [engine, "ps", "--quiet"]
        try:
            listing = subprocess.run(command, capture_output=True, text=True, timeout=ENGINE_ANSWERS_S, check=False)
        except subprocess.TimeoutExpired:
            problems.append(f"{engine} does not answer within {ENGINE_ANSWERS_S:g} s")
            continue
        except OSError as error:
            problems.append(f"{engine} cannot be executed ({error.strerror})")
            continue
        if listing.returncode == 0:
            return engine
        problems.append(f"{engine} {engine_problem(listing.stderr)}")
    raise ConfigurationError(
        "; ".join(problems),
        remedy="Start Docker or Podman, or choose another endpoint, such as profile=embedded",
    )


def engine_problem(stderr: str) -> str:
    """Why the engine refuses, in a few words."""
    text = stderr.lower()
    if "permission denied" in text:
        return "gives you no permission (join its group, or use rootless Podman)"
    if "cannot connect" in text or "is the docker daemon running" in text:
        return "does not run"
    if "no space left" in text:
        return "has no disk space left"
    return f"fails ({stderr.strip().splitlines()[-1][:200] if stderr.strip() else 'no message'})"


class _ContainerServer:
    def __init__(self, spec: EndpointSpec, engine: str, log: Path) -> None:
        self._spec, self._engine, self._log = spec, engine, log
        self._container: Container | None = None
        self._remover: subprocess.Popen[bytes] | None = None
        self._name = f"ai-dev-tools-{spec.instance}-{spec.port}"
        self._owner = f"{os.getpid()}@{processes.start_time(os.getpid())}"
        self.base_url = replace(spec, kind="container").base_url
        self.pid: int | None = None
        self.settings: JsonObject = dict(server_environment(spec))

    @functools.cached_property
    def _client(self) -> DockerClient:
        from python_on_whales import DockerClient  # takes 0.1 s

        return DockerClient(client_call=[self._engine])

    def start(self) -> None:
        from python_on_whales import DockerException  # takes 0.1 s

        spec = self._spec
        image = spec.image or DEFAULT_IMAGE
        try:
            self._remove_stale()
            require_free_port(spec)
            self._get_image(image)
            identity, digests = self._identify(image)
            image_pins.require_pinned(Path(IMAGE_DIGESTS), image, digests, spec.instance)
            self.settings["image"] = f"{image}@{digests[0]}"
            with memory.reserved(spec):
                self._run(identity)  # the image that was checked, even if the tag has moved since
                self._await_ready()
            image_pins.note(Path(IMAGE_DIGESTS), image, digests[0])  # an image that does not serve is not recorded
        except DockerException as error:
            self.stop(failed=True)
            raise ConfigurationError(
                f"{spec.instance}: {self._engine} {engine_problem(error.stderr or '')}",
                remedy=f"The image was {image}",
            ) from None
        except BaseException:
            self.stop(failed=True)
            raise

    def stop(self, failed: bool = False) -> None:
        from python_on_whales import DockerException  # takes 0.1 s

        if self._remover is None:  # no container was begun
            return
        if failed and self._container is not None:
            with suppress(DockerException, OSError):
                self._log.write_text(str(self._container.logs()))
        self._container = None
        try:  # a start that failed or was interrupted may still have made one
            for container, owner in self._containers():
                if owner == self._owner:
                    container.remove(force=True)
        except DockerException as error:
            problem = engine_problem(error.stderr or "")
            say(self._spec.instance, f"cannot remove the container {self._name}: {problem}")
        processes.stop(self._remover)
        self._remover = None

    def _run(self, image: str) -> None:
        spec = self._spec
        # Started first: from here on, a killed run leaves no container behind.
        self._remover = processes.start(
            guard.command_line(self._engine, "rm", "--force", self._name, afterwards=True), {}, self._log
        )
        processes.read_line(self._remover, 30)
        host = join(spec.host if spec.host[:1].isdigit() or ":" in spec.host else "127.0.0.1", spec.port)
        self._container = self._client.container.run(
            image,
            detach=True,
            name=self._name,
            labels={_OWNER: self._owner},
            publish=[(host, OLLAMA_PORT)],
            volumes=[(spec.models_dir or DEFAULT_VOLUME, "/root/.ollama")],
            envs={key: str(value) for key, value in server_environment(spec).items()},
            gpus=spec.gpus,
            stop_timeout=_STOP_S,
        )
        self.pid = self._visible_pid()

    def _await_ready(self) -> None:
        spec, container = self._spec, self._container
        assert container is not None
        deadline = time.monotonic() + spec.startup_timeout_s
        while not is_ollama(self.base_url):
            container.reload()  # type: ignore[no-untyped-call]
            if not container.state.running:
                raise ModelError(
                    f"{spec.instance}: the container of {spec.image or DEFAULT_IMAGE} ended with exit status "
                    f"{container.state.exit_code} ({self._last_words()})",
                    remedy="The image must serve Ollama's API on port 11434",
                )
            if time.monotonic() > deadline:
                raise StartupTimeoutError(
                    f"{spec.instance}: the container did not answer at {self.base_url} within "
                    f"{spec.startup_timeout_s:g} s ({self._last_words()})",
                    remedy=f"See {self._log}, or raise container_startup_timeout" if spec.log_dir else None,
                )
            time.sleep(_POLL_S)

    def _last_words(self) -> str:
        assert self._container is not None
        lines = str(self._container.logs(tail=20)).strip().splitlines()
        return lines[-1].strip()[:300] if lines else "it printed nothing"

    def _get_image(self, image: str) -> None:
        from python_on_whales import DockerException  # takes 0.1 s

        if self._client.image.exists(image):
            return
        say(self._spec.instance, f"pulling the image {image}")
        try:
            self._client.image.pull(image, quiet=not sys.stderr.isatty())
        except DockerException as error:
            raise ConfigurationError(
                f"{self._spec.instance}: {self._engine} cannot pull {image}: {engine_problem(error.stderr or '')}",
                remedy="Check the image's name and the network",
            ) from None

    def _identify(self, image: str) -> tuple[str, list[str]]:
        """The image's id and its digests.

        Those of its registry come first, because they are the same for every engine.
        """
        found = self._client.image.inspect(image)
        return str(found.id), [*(digest.partition("@")[2] for digest in found.repo_digests or []), str(found.id)]

    def _remove_stale(self) -> None:
        """Remove the container of a run that was killed with its guard.

        Refuse to touch a live run's container.
        """
        for container, owner in self._containers():
            pid, _, started = owner.partition("@")
            if pid.isdigit() and str(processes.start_time(int(pid))) == started and int(pid) != os.getpid():
                raise ConfigurationError(
                    f"{self._spec.instance}: the container {self._name} belongs to a run in progress (process {pid})",
                    remedy="Wait for it, or give the instance another port",
                )
            container.remove(force=True)

    def _containers(self) -> list[tuple[Container, str]]:
        """Containers with this name, running or not.

        Each with the process that it belongs to: `pid@start time`.
        """
        found = self._client.container.list(all=True, filters=[("name", f"^{self._name}$")])
        return [(container, (container.config.labels or {}).get(_OWNER, "0@")) for container in found]

    def _visible_pid(self) -> int | None:
        """The server's process, if the engine runs directly on this machine and not in a virtual one."""
        assert self._container is not None
        pid = self._container.state.pid
        try:
            return pid if pid and self._container.id in Path(f"/proc/{pid}/cgroup").read_text() else None
        except OSError:
            return None
