"""What tests register: it is gone when the test is over, so that no test depends on another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ai_dev_tools.benchmark.plugins import REGISTRIES


@contextlib.contextmanager
def registered_for_a_while() -> Iterator[None]:
    """Remove afterwards what is registered meanwhile, and put back what was there.

    Modules of the package register when they are first imported, and stay.
    """
    before = [(registry, registry.snapshot()) for registry in REGISTRIES]
    try:
        yield
    finally:
        for registry, plugins in before:
            built_in = {name: plugin for name, plugin in registry.items() if plugin.built_in}
            registry.restore({**plugins, **built_in})
