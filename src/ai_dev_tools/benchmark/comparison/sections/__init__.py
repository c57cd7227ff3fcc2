"""Sections of the pages about several runs."""
