"""The embedded endpoint: a small real model that needs no installation, in a separate server process.

For a run it is the endpoint kind `embedded`; `python -m ai_dev_tools.benchmark.endpoints.embedded` serves it alone, for
any client of Ollama's.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from ai_dev_tools.benchmark._util import processes
from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint, endpoint_kind
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, ModelError, StartupTimeoutError

MODULE = "ai_dev_tools.benchmark.endpoints.embedded"
WEIGHTS_MODULE = "ai_dev_tools.benchmark.endpoints.embedded.weights"
DEFAULT_MODEL = "smollm2:135m"
ENVIRONMENT = {"GOMP_SPINCOUNT": "1000"}
"""Read by llama.cpp's OpenMP when it is loaded. Without it threads wait spinning, and decoding gets up to 50 times
slower as soon as anything else uses the cores."""


@endpoint_kind("embedded")
def open_embedded(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
    """Start the server in a separate process on a free port (or the spec's), and end it afterwards."""
    # takes 30 ms, which the server itself does not need
    from ai_dev_tools.benchmark.endpoints.launching import launched, log_folder

    if spec.model_file is None:
        spec = _from_catalogue(spec)
    model_file = Path(spec.model_file or "")
    if not model_file.is_file():
        raise ConfigurationError(
            f"{spec.instance}: there are no weights at {model_file}",
            remedy=f"Fetch those of the catalogue with: {shlex.join(['python', '-m', WEIGHTS_MODULE, spec.model])}",
        )
    wrong_file = ConfigurationError(
        f"{spec.instance}: the sha256 of {model_file} is not the pinned one",
        remedy="Delete the file and run again; it is fetched again",
    )
    if spec.model_size_bytes not in (None, model_file.stat().st_size):
        raise wrong_file
    with log_folder(spec) as folder:
        log = folder / f"endpoint.{spec.instance}.{os.getpid()}.log"
        with launched(_Server(spec, model_file, log), spec, "embedded", pull=False) as endpoint:
            if spec.model_sha256 not in (None, endpoint.model_digest):
                raise wrong_file
            endpoint.slots = spec.max_concurrent
            yield endpoint


def _from_catalogue(spec: EndpointSpec) -> EndpointSpec:
    from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model  # takes 0.1 s

    model = find_model(spec.model)
    return replace(spec, model_file=str(model.path), model_sha256=model.sha256, model_size_bytes=model.size_bytes)


class _Server:
    """One server process and where it answers."""

    def __init__(self, spec: EndpointSpec, model_file: Path, log: Path) -> None:
        self._spec, self._model_file, self._log = spec, model_file, log
        self._port = spec.port
        self._process: subprocess.Popen[bytes] | None = None
        self.base_url = ""
        self.settings: JsonObject = {
            "num_ctx": spec.num_ctx,
            "parallel": spec.max_concurrent,
            "cache_prompt": spec.cache_prompt,
            **ENVIRONMENT,
        }

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        spec = self._spec
        command = [sys.executable, "-m", MODULE, "--announce", "--host", spec.host, "--port", str(self._port)]
        command += [
            "--parent",
            str(os.getpid()),
            "--model",
            spec.model,
            "--model-file",
            str(self._model_file),
        ]
        command += ["--num-ctx", str(spec.num_ctx), "--parallel", str(spec.max_concurrent)]
        command += ["--cache-prompt"] if spec.cache_prompt else []
        self._process = processes.start(command, {**ENVIRONMENT, **spec.environment}, self._log)
        try:
            self._await_ready(processes.read_line(self._process, spec.startup_timeout_s))
        except BaseException:
            self.stop()
            raise

    def stop(self, failed: bool = False) -> None:
        running, self._process = self._process, None
        if running:
            processes.stop(running)

    def _await_ready(self, line: str | None) -> None:
        where = f"{self._spec.instance}: the embedded endpoint"
        if line is None:
            raise StartupTimeoutError(f"{where} was not ready within {self._spec.startup_timeout_s:g} s")
        if not line.startswith("{"):
            raise ModelError(f"{where} ended while starting ({processes.last_line(self._log) or 'no message'})")
        announced = json.loads(line)
        if "error" in announced:
            raise ConfigurationError(f"{self._spec.instance}: {announced['error']}")
        self.base_url = announced["base_url"]
        self._port = announced["port"]  # a restart answers where the first start did


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, or until the parent is gone.

    Returns the exit status: 2 for bad input.
    """
    options = _parse(arguments)
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()) and arguments is None:
        os.execve(sys.executable, [sys.executable, "-m", MODULE, *sys.argv[1:]], {**os.environ, **ENVIRONMENT})
    if options.parent:
        processes.watch_parent(options.parent, lambda: os.kill(os.getpid(), signal.SIGKILL))
    from ai_dev_tools.benchmark.endpoints.embedded.serving import serve  # takes 0.2 s

    try:
        return serve(options)
    except BenchmarkError as error:
        if options.announce:
            print(json.dumps({"error": str(error)}), flush=True)
        else:
            print(f"error: {error}", file=sys.stderr)
        return 2


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description="Serve a small model as Ollama would.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=11434, help="0 picks a free one (default: Ollama's, 11434)")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="tag under which the model is served")
    parser.add_argument(
        "--model-file", type=Path, help="GGUF file (default: the catalogue's for the model, fetched when missing)"
    )
    parser.add_argument("--num-ctx", type=int, default=8192, help="context length when a request names none")
    parser.add_argument("--parallel", type=int, default=1, help="requests computed at once")
    parser.add_argument("--cache-prompt", action="store_true", help="reuse prompt prefixes (distorts measurements)")
    parser.add_argument("--parent", type=int, help="exit when the process with this id is gone")
    parser.add_argument("--announce", action="store_true", help="print readiness as one JSON line")
    return parser.parse_args(arguments)
