"""Settings and results of the previous system, converted."""
