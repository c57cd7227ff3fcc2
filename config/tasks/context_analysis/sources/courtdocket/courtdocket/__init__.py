"""Docket of a small arbitration office."""
from .api import Docket

__all__ = ["Docket"]
