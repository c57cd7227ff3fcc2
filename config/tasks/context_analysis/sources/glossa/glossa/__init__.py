"""Vocabulary trainer."""
