"""Check that the model behind a name is still the one that gave the existing results.

A run notices on contact, and asks again; but where nothing is missing it contacts no server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from ai_dev_tools.benchmark._util.files import file_sha256
from ai_dev_tools.benchmark.config.resolving import ResolvedInstance
from ai_dev_tools.benchmark.endpoints import EndpointSpec
from ai_dev_tools.benchmark.endpoints.auto import choose
from ai_dev_tools.benchmark.endpoints.dialects import declared
from ai_dev_tools.benchmark.endpoints.external import authorization, find_url
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient
from ai_dev_tools.benchmark.errors import BenchmarkError
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.records import paths
from ai_dev_tools.benchmark.records.endpoint_spec import is_url


def changed_models(experiment: Experiment, profile: str, root: Path) -> Iterator[tuple[str, str]]:
    """Name of the instance and one line, for each whose server has another model now.

    Servers that are off say nothing.
    """
    for instance in experiment.instances(profile):
        asked = recorded_digests(root / paths.RUN.format(profile=profile), instance.model)
        now = _served_digest(experiment, profile, instance, root) if asked else None
        stale = sorted(task for task, digest in asked.items() if now and digest != now)
        if now and stale:
            yield (
                instance.name,
                f"{instance.model} is not the model of the existing results ({now[:12]}, not "
                f"{asked[stale[0]][:12]}: {', '.join(stale)}); a complete run does not notice",
            )


def recorded_digests(run: Path, model: str) -> dict[str, str]:
    """By task, the digest of the model that a finished block asked."""
    found = {}
    for file in sorted((run / "blocks" / paths.safe_model(model)).glob("*.jsonl")):
        if digest := _first_digest(file):
            found[file.stem] = digest
    return found


def _first_digest(file: Path) -> str | None:
    try:
        with file.open("rb") as lines:
            return next((digest for line in lines if (digest := json.loads(line).get("model_digest"))), None)
    except (OSError, ValueError, AttributeError):
        return None


def _served_digest(experiment: Experiment, profile: str, instance: ResolvedInstance, root: Path) -> str | None:
    """What a server that runs already, or the embedded one's file, has under the name.

    None if nobody says.
    """
    try:
        if instance.endpoint == "embedded":
            return _file_digest(experiment, profile, instance, root)
        return _digest_at(experiment.endpoint(profile, instance))
    except (BenchmarkError, OSError):
        return None


def _file_digest(experiment: Experiment, profile: str, instance: ResolvedInstance, root: Path) -> str | None:
    weights = experiment.weights(profile)[instance.model]
    return weights.sha256 or file_sha256(root / weights.path)


def _digest_at(spec: EndpointSpec) -> str | None:
    spec = choose(spec) if spec.kind == "auto" else spec
    if spec.kind != "external" and not is_url(spec.kind):
        return None
    url = find_url(spec)
    client = declared(spec, url) or OllamaClient
    listed: Mapping[str, object] = client.listed(spec.model, url, authorization(spec)) or {}
    digest = listed.get("digest")
    return digest if isinstance(digest, str) else None
