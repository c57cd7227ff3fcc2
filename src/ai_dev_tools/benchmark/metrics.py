"""Metrics of a run; they live in `analysis.metrics`."""

from ai_dev_tools.benchmark.analysis.metrics import *  # noqa: F403
