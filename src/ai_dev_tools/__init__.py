"""Measure whether a tool's condensed findings save a language model's tokens and time at equal quality."""

__version__ = "0.1.0"
