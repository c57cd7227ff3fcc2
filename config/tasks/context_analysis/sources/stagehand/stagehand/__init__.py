"""Cue sheets, lights and sound for a small theatre."""

__version__ = "2.3.0"
