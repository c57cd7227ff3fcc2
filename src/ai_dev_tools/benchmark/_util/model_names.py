"""Decide whether two names mean the same model, by Ollama's rules. Light imports: settings use this.

Names are only compared in this form. Files, digests and reports keep the name that the settings give.
"""

from __future__ import annotations

_HOST, _NAMESPACE, _TAG = "registry.ollama.ai", "library", "latest"


def full_name(name: str) -> str:
    """`host/namespace/model:tag` in lower case, with missing parts filled in as Ollama does.

    `Llama3.2:1b`, `library/llama3.2:1b` and `https://registry.ollama.ai/library/llama3.2:1b` are one model.
    """
    text = name.strip().lower()
    text = text.removeprefix("http://").removeprefix("https://")
    place, slash, last = text.rpartition("/")
    model, colon, tag = last.partition(":")
    host, _, namespace = place.rpartition("/") if slash else ("", "", _NAMESPACE)
    return f"{host or _HOST}/{namespace}/{model}:{tag if colon and tag else _TAG}"


def same_model(one: str, other: str) -> bool:
    """Whether both names mean the same model."""
    return full_name(one) == full_name(other)
