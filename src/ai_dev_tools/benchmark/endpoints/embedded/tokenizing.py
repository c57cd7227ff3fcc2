"""Count the tokens of texts for a model whose weights are available."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import urllib3

from ai_dev_tools.benchmark.errors import ModelError

_CONTEXT = 256


def count_tokens(weights: Path, texts: Sequence[str]) -> list[int]:
    """Tokens of each text, as the model's own tokenizer cuts them.

    Takes a second or two: llama.cpp loads the model.

    Raises:
        ModelError: the model cannot be loaded, or does not answer.
    """
    from ai_dev_tools.benchmark.endpoints.embedded.llama import LlamaSettings, start_server  # takes 20 ms

    server = start_server(LlamaSettings(weights.resolve(), weights.stem, _CONTEXT), _CONTEXT)
    try:
        with urllib3.PoolManager(retries=False, timeout=60) as pool:
            url = f"{server.listening_address}/tokenize"
            replies = (pool.request("POST", url, json={"content": text, "add_special": True}) for text in texts)
            return [len(reply.json()["tokens"]) for reply in replies]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"llama.cpp does not count tokens ({type(error).__name__})") from None
