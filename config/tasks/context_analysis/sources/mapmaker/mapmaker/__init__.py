"""Draws hiking maps from OpenStreetMap extracts."""

VERSION = (1, 4, 0)
