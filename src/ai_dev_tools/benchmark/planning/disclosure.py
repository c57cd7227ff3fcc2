"""Where a run sends prompts, which contain files of cases.

Every host that is not this machine is named before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from ai_dev_tools.benchmark._util.addresses import is_this_machine
from ai_dev_tools.benchmark._util.text import plural
from ai_dev_tools.benchmark.config.resolving import ResolvedInstance
from ai_dev_tools.benchmark.endpoints.external import find_url
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.records.endpoint_spec import EndpointSpec, is_url


@dataclass(frozen=True)
class Destination:
    """A server that is not on this machine, and what it receives.

    Attributes:
        host: its name, with the port where the address has one.
        encrypted: whether the address is `https://`.
        models: those that it is asked for.
        prompts, cases: how many of each.
        key_env: environment variable whose value it receives as well, if any.
    """

    host: str
    encrypted: bool
    models: tuple[str, ...]
    prompts: int
    cases: int
    tasks: tuple[str, ...]
    key_env: str | None

    def __str__(self) -> str:
        key = f", and the key in {self.key_env}" if self.key_env else ""
        plain = "" if self.encrypted else "; not encrypted, since the address says http://"
        return (
            f"{self.host} receives {plural(self.prompts, 'prompt')} for {', '.join(self.models)}, with the files and questions of "
            f"{plural(self.cases, 'case')} ({', '.join(self.tasks)}){key}{plain}"
        )


def destinations(experiment: Experiment, profile: str) -> list[Destination]:
    """The servers elsewhere that the run of a profile asks, by host.

    Raises:
        ConfigurationError: an address, or the cases of a task, cannot be known.
    """
    asked: dict[tuple[str, bool, str | None], list[str]] = {}
    for instance in experiment.instances(profile):
        spec = experiment.endpoint(profile, instance)
        for url in _addresses(instance, spec):
            parts = urlsplit(url)
            if not is_this_machine(parts.hostname or ""):
                models = asked.setdefault((parts.netloc, parts.scheme == "https", spec.token_env), [])
                models += [instance.model] if instance.model not in models else []
    if not asked:
        return []
    prompts = experiment.requests(profile)
    cases = sum(len(experiment.asked(profile, task)) for task in experiment.tasks)
    return [
        Destination(host, encrypted, tuple(models), prompts * len(models), cases, tasks, key_env)
        for tasks in [tuple(experiment.tasks)]
        for (host, encrypted, key_env), models in sorted(asked.items(), key=lambda item: item[0][0])
    ]


def _addresses(instance: ResolvedInstance, spec: EndpointSpec) -> Iterator[str]:
    if instance.endpoint not in ("auto", "external") and not is_url(instance.endpoint):
        return
    try:
        yield find_url(spec)
    except ConfigurationError:  # `OLLAMA_HOST` is not an address, which is reported where it is used
        return
    yield from spec.replicas
