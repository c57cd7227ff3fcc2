"""Serve the embedded model until told to stop: fetch, load, listen.

An image that holds this server alone has neither the catalogue of models nor the libraries that read it and fetch weights.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

from aiohttp import web

from ai_dev_tools.benchmark._util.files import file_sha256
from ai_dev_tools.benchmark.config.shipped_files import find_catalogue
from ai_dev_tools.benchmark.endpoints.embedded.admission import silence_malformed_requests
from ai_dev_tools.benchmark.endpoints.embedded.gguf import read_metadata
from ai_dev_tools.benchmark.endpoints.embedded.limits import ConnectionGuard, ServerLimits
from ai_dev_tools.benchmark.endpoints.embedded.llama import Llama, LlamaSettings
from ai_dev_tools.benchmark.endpoints.embedded.ollama_server import Facade, Model, file_time
from ai_dev_tools.benchmark.errors import ConfigurationError


def serve(options: argparse.Namespace) -> int:
    """Serve what the command line says; returns the exit status."""
    listener = _listen(options.host.strip("[]"), options.port)
    with listener:
        if options.model_file is None:
            options.model_file = _fetched(options.model)
        return asyncio.run(_serve_until_stopped(options, listener))


def _fetched(tag: str) -> Path:
    # these take 0.2 s
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
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    bounds = ServerLimits()
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
        ConnectionGuard(bounds).guarding(runner.server), sock=listener, backlog=512
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
    path: Path = options.model_file
    metadata = read_metadata(path)
    trained = metadata.get(f"{metadata.get('general.architecture')}.context_length", options.num_ctx)
    num_ctx = min(options.num_ctx, trained)
    settings = LlamaSettings(path.resolve(), options.model, num_ctx, options.parallel, options.cache_prompt)
    served = Llama(settings)
    digest = asyncio.create_task(asyncio.to_thread(_checked_digest, path, options.model))
    async with served.slot(num_ctx):
        properties = await served.properties()
    model = Model(
        tag=options.model,
        digest=await digest,
        size_bytes=path.stat().st_size,
        modified_at=file_time(path.stat().st_mtime),
        metadata={**metadata, "general.parameter_count": properties["n_params"]},
        template_source=properties["chat_template"],
        # llama.cpp puts the token itself where the model wants one, so the template must not.
        bos="" if metadata.get("tokenizer.ggml.add_bos_token") else properties["bos"],
        eos=properties["eos"],
        version=properties["version"],
        max_ctx=trained,
        quantization=properties["quantization"],
    )
    return Facade(served, model, num_ctx)


def _checked_digest(path: Path, tag: str) -> str:
    digest = file_sha256(path)
    known = find_catalogue(Path.cwd())
    if not known.is_file():  # as in an image that holds the server alone
        return digest
    from ai_dev_tools.benchmark.endpoints.embedded.catalogue import load_catalogue, lookup  # takes 0.1 s

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
