"""Measure whether a tool's findings save a model's tokens and time at equal quality."""

__version__ = "0.1.0"
