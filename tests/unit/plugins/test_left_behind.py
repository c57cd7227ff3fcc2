"""What a test registers is gone when it is over, whatever is registered by the package itself meanwhile."""

from __future__ import annotations

from ai_dev_tools.benchmark.plugins import ENDPOINT_KINDS, REGISTRIES, SCORERS, endpoint_kind
from support.registries import registered_for_a_while


def test_what_is_registered_and_forgotten_for_a_while_is_put_back() -> None:
    before = [dict(registry) for registry in REGISTRIES]
    with registered_for_a_while():
        endpoint_kind("test_for_a_while")(lambda spec: iter(()))
        SCORERS.restore({})
        assert "test_for_a_while" in ENDPOINT_KINDS
    assert [dict(registry) for registry in REGISTRIES] == before
