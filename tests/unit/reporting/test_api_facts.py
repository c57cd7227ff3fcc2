"""What a report says of a server that does not speak Ollama's API."""

from __future__ import annotations

from typing import Any

from ai_dev_tools.benchmark.reporting.machine import machine_facts

HARDWARE = {"cpu": "a", "cores": 2, "ram_bytes": 2**33, "gpus": [], "os": "Linux"}


def session(api: str, **asked: Any) -> dict[str, Any]:
    model = {"tag": "m", "not_told": {"digest": "why", "load_s": "why"} if api == "openai" else None}
    return {"endpoint": {"kind": "external", "api": api}, "model": model, "asked": asked, "hardware": HARDWARE}


def test_what_it_did_not_tell_and_did_not_take_is_said() -> None:
    accepted = {
        "format": "json_object",
        "cap": "max_tokens",
        "seed": False,
        "temperature": True,
        "think": True,
        "usage": True,
    }
    facts = machine_facts([session("openai", accepted=accepted)])
    assert "digest and load_s" in facts["Asked in"]
    assert "format_json_object and seed_not_taken" in facts["Not taken by the server"]


def test_nothing_is_said_of_ollama() -> None:
    assert not {"Asked in", "Not taken by the server"} & set(machine_facts([session("ollama")]))
