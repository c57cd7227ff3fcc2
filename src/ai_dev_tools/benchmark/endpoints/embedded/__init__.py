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
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ai_dev_tools.benchmark._util import processes
from ai_dev_tools.benchmark._util.json_values import JsonObject
from ai_dev_tools.benchmark.config.shipped_files import find_catalogue
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec, ReadyEndpoint, endpoint_kind
from ai_dev_tools.benchmark.errors import BenchmarkError, ConfigurationError, ModelError, StartupTimeoutError

if TYPE_CHECKING:
    from ai_dev_tools.benchmark.endpoints.embedded.ollama_server import Facade

MODULE = "ai_dev_tools.benchmark.endpoints.embedded"
WEIGHTS_MODULE = "ai_dev_tools.benchmark.endpoints.embedded.weights"
DEFAULT_MODEL = "smollm2:135m"
ENVIRONMENT = {"GOMP_SPINCOUNT": "1000"}
"""Read by llama.cpp's OpenMP when it is loaded. Without it threads wait spinning, and decoding gets up to 50 times
slower as soon as anything else uses the cores."""


@endpoint_kind("embedded")
def open_embedded(spec: EndpointSpec) -> Iterator[ReadyEndpoint]:
    """Start the server in a separate process on a free port (or the spec's), and end it afterwards."""
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
    from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model

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
    try:
        return _serve(options)
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


def _serve(options: argparse.Namespace) -> int:
    import asyncio

    listener = _listen(options.host.strip("[]"), options.port)
    with listener:
        if options.model_file is None:
            options.model_file = _fetched(options.model)
        return asyncio.run(_serve_until_stopped(options, listener))


def _fetched(tag: str) -> Path:
    from ai_dev_tools.benchmark.endpoints.embedded.catalogue import find_model
    from ai_dev_tools.benchmark.endpoints.embedded.weights import fetch_weights

    model = find_model(tag)
    if not model.path.is_file():
        print(f"fetching {tag} ({model.size_bytes / 1e6:.0f} MB)", file=sys.stderr, flush=True)
    return fetch_weights(model, model.path)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except socket.gaierror:
        raise ConfigurationError(f"the host {host!r} does not resolve") from None
    except OverflowError:
        raise ConfigurationError(f"{port} is not a port: it must be 0 to 65535") from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({os.strerror(error.errno or 0).lower()})",
            remedy="Stop what uses the port, or choose another with --port",
        ) from None


async def _serve_until_stopped(options: argparse.Namespace, listener: socket.socket) -> int:
    import asyncio

    from aiohttp import web

    from ai_dev_tools.benchmark.endpoints.embedded.admission import silence_malformed_requests
    from ai_dev_tools.benchmark.endpoints.embedded.limits import Door, Limits

    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    bounds = Limits()
    silence_malformed_requests()
    facade = await _load(options)
    runner = web.AppRunner(
        facade.application(),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=1.0,
        auto_decompress=False,  # like Ollama; and a small body could unpack to a huge one
        keepalive_timeout=bounds.idle_s,
    )
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(
        Door(bounds).guarding(runner.server), sock=listener, backlog=512
    )
    host, port = listener.getsockname()[:2]
    base_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if options.announce:
        print(json.dumps({"base_url": base_url, "port": port}), flush=True)
    else:
        print(f"{options.model} is served at {base_url} (Ctrl-C stops)", flush=True)
    await stopped.wait()
    server.close()
    await runner.cleanup()
    await facade.llama.unload()
    return 0


async def _load(options: argparse.Namespace) -> Facade:
    """Load and identify the model at the same time.

    Hashing and loading each use one core for a moment.
    """
    import asyncio

    from ai_dev_tools.benchmark.endpoints.embedded import gguf, llama
    from ai_dev_tools.benchmark.endpoints.embedded import ollama_server as facade

    path: Path = options.model_file
    metadata = gguf.read_metadata(path)
    trained = metadata.get(f"{metadata.get('general.architecture')}.context_length", options.num_ctx)
    num_ctx = min(options.num_ctx, trained)
    settings = llama.LlamaSettings(path.resolve(), options.model, num_ctx, options.parallel, options.cache_prompt)
    served = llama.Llama(settings)
    digest = asyncio.create_task(asyncio.to_thread(_checked_digest, path, options.model))
    async with served.slot(num_ctx):
        properties = await served.properties()
    model = facade.Model(
        tag=options.model,
        digest=await digest,
        size_bytes=path.stat().st_size,
        modified_at=facade.file_time(path.stat().st_mtime),
        metadata={**metadata, "general.parameter_count": properties["n_params"]},
        template_source=properties["chat_template"],
        # llama.cpp puts the token itself where the model wants one, so the template must not.
        bos="" if metadata.get("tokenizer.ggml.add_bos_token") else properties["bos"],
        eos=properties["eos"],
        version=properties["version"],
        max_ctx=trained,
        quantization=properties["quantization"],
    )
    return facade.Facade(served, model, num_ctx)


def _checked_digest(path: Path, tag: str) -> str:
    from ai_dev_tools.benchmark._util.digests import file_sha256

    digest = file_sha256(path)
    known = find_catalogue(Path.cwd())
    if not known.is_file():  # as in an image that holds the server alone
        return digest
    from ai_dev_tools.benchmark.endpoints.embedded.catalogue import load_catalogue, lookup

    catalogue = load_catalogue(known)
    pinned = lookup(tag, catalogue)
    if pinned and digest != pinned.sha256:
        raise ConfigurationError(
            f"{path}: its sha256 {digest[:12]}… is not the pinned {pinned.sha256[:12]}… of {tag}",
            remedy="Delete it, and it is fetched again; or serve it under another name",
        )
    other = next((model.tag for model in catalogue.values() if model.sha256 == digest), None)
    if other and not pinned:
        raise ConfigurationError(f"{path} contains {other}, not {tag}", remedy=f"Name it {other}")
    return digest
