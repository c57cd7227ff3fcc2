"""Helpers that know nothing about benchmarks."""
