"""Managed endpoints: `open_endpoint(spec)` starts or reaches a server and identifies it.

Each kind is a separate module, imported when first used, so that importing this package stays cheap.
"""

from ai_dev_tools.benchmark.endpoints.base import (
    EndpointSpec,
    ReadyEndpoint,
    endpoint_kind,
    open_endpoint,
    register_kinds_from,
)

__all__ = ["EndpointSpec", "ReadyEndpoint", "endpoint_kind", "open_endpoint", "register_kinds_from"]
