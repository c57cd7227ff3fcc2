"""Online auction back end."""

__version__ = "0.8.2"
