"""Experiments of the shipped settings over a folder of a test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_tools.benchmark.config.models import load_config
from ai_dev_tools.benchmark.errors import ConfigurationError
from ai_dev_tools.benchmark.planning.experiment import Experiment
from ai_dev_tools.benchmark.planning.opening import open_experiment
from support.repository import ROOT

SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
HEAVY = ["llama3.2-1b", "llama3.2-3b", "llama3.1-8b", "codellama-7b"]
"""Models of the profile `heavy`, as folders are named."""


def experiment(root: Path, **changed: Any) -> Experiment:
    """The experiment of the shipped settings, but for what is changed."""
    return open_experiment(load_config(SHIPPED | changed), root)


def errors(root: Path, **changed: Any) -> list[str]:
    """The lines that refuse such an experiment."""
    with pytest.raises(ConfigurationError) as caught:
        experiment(root, **changed)
    return str(caught.value).split("\n")
