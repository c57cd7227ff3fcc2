"""Stalls, fees and inspections of a weekly market."""
