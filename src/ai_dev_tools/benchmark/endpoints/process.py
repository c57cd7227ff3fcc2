"""An Ollama started by the run: `ollama serve` from PATH, on the instance's port, ended with the run."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from ai_dev_tools.benchmark._util import processes
from ai_dev_tools.benchmark._util.addresses import join
from ai_dev_tools.benchmark.endpoints import guard, memory
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint, endpoint_kind
from ai_dev_tools.benchmark.endpoints.launching import free_port, launched, log_folder, require_free_port
from ai_dev_tools.benchmark.endpoints.probing import wait_until_ready
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError


@endpoint_kind("process")
def open_process(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
    """Start `ollama serve` with its own environment, and stop it afterwards."""
    executable = shutil.which("ollama")
    if executable is None:
        raise ConfigurationError(
            f"{spec.instance}: there is no `ollama` on PATH",
            remedy="Install Ollama, or choose endpoint=container",
        )
    spec = spec if spec.port else replace(spec, port=free_port(spec.host))
    with log_folder(spec) as folder:
        log = folder / f"ollama.{spec.instance}.{spec.port}.log"
        with launched(_OllamaServe(spec, executable, log), spec, "process") as endpoint:
            yield endpoint


def server_environment(spec: EndpointSpec) -> dict[str, str]:
    """Settings of an Ollama that the run starts.

    Models are loaded once, with as many slots as requests in flight and a known context.
    """
    return {
        "OLLAMA_KEEP_ALIVE": "-1",
        "OLLAMA_NUM_PARALLEL": str(spec.max_concurrent),
        "OLLAMA_MAX_LOADED_MODELS": "1",
        "OLLAMA_CONTEXT_LENGTH": str(spec.num_ctx),
        **spec.environment,
    }


class _OllamaServe:
    def __init__(self, spec: EndpointSpec, executable: str, log: Path) -> None:
        self._spec, self._executable, self._log = spec, executable, log
        self._guard: subprocess.Popen[bytes] | None = None
        self.settings = server_environment(spec)
        self.base_url = replace(spec, kind="process").base_url
        self.pid: int | None = None

    def start(self) -> None:
        spec = self._spec
        require_free_port(spec)
        environment = {**self.settings, "OLLAMA_HOST": join(spec.host, spec.port)}
        if spec.models_dir:
            environment["OLLAMA_MODELS"] = str(Path(spec.models_dir).resolve())
        with memory.reserved(spec):
            self._guard = processes.start(guard.command_line(self._executable, "serve"), environment, self._log)
            try:
                announced = processes.read_line(self._guard, spec.startup_timeout_s)
                self.pid = json.loads(announced)["pid"] if announced else None
                ended = self._guard.poll
                wait_until_ready(self.base_url, spec.startup_timeout_s, lambda: ended() is not None)
            except BenchmarkError as error:
                self.stop(failed=True)
                raise type(error)(
                    f"{spec.instance}: {error} ({processes.last_line(self._log) or 'no message'})",
                    remedy=f"See {self._log}" if spec.log_dir else None,
                ) from None
            except BaseException:
                self.stop(failed=True)
                raise

    def stop(self, failed: bool = False) -> None:
        running, self._guard = self._guard, None
        if running:
            processes.stop(running, guard.GRACE_S + 2)
