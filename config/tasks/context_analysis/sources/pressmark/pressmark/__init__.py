from .site import build

__all__ = ["build"]
