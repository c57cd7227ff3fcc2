"""The APIs that servers of models speak. A further one is one subclass of `ChatClient`, named here."""

from __future__ import annotations

from collections.abc import Mapping

from ai_dev_tools.benchmark._util.addresses import ends_in_v1
from ai_dev_tools.benchmark.endpoints.base import EndpointSpec
from ai_dev_tools.benchmark.endpoints.chat import ChatClient
from ai_dev_tools.benchmark.endpoints.ollama_client import OllamaClient
from ai_dev_tools.benchmark.endpoints.openai_client import OpenAIClient
from ai_dev_tools.benchmark.errors import ConfigurationError

DIALECTS: dict[str, type[ChatClient]] = {client.api: client for client in (OllamaClient, OpenAIClient)}


def dialect(api: str) -> type[ChatClient]:
    """The client class of a dialect.

    Raises:
        ConfigurationError: there is no such dialect.
    """
    if api not in DIALECTS:
        raise ConfigurationError(f"unknown api {api!r}", remedy=f"Use one of {', '.join(DIALECTS)}")
    return DIALECTS[api]


def declared(spec: EndpointSpec, url: str) -> type[ChatClient] | None:
    """The dialect that the settings name, by `api` or by the end of the address.

    None if it is found out on contact.
    """
    api = spec.api or (OpenAIClient.api if ends_in_v1(url) else None)
    return None if api is None else dialect(api)


def found_at(url: str, headers: Mapping[str, str]) -> type[ChatClient] | None:
    """The dialect that a server answers in; None if it speaks none."""
    return next((client for client in DIALECTS.values() if client.answers_at(url, headers)), None)
