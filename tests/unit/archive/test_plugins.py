"""A run with plugins as an archive: its files are inside, nobody who only looks runs them, and what that means is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ai_dev_tools.benchmark.archive import render, verify
from ai_dev_tools.benchmark.archive.container import open_archive
from ai_dev_tools.benchmark.plugins import METRICS, SCORERS, check, comparison, load_plugins, metric, plot
from support import making
from support.archived import record_run

PLUGIN = """
from pathlib import Path
from ai_dev_tools.benchmark.plugins import approach, scorer

Path(__file__).with_suffix(".ran").touch()

@approach("names_only", "file names alone")
def names_only(inputs):
    return " ".join(inputs.texts)

@scorer("mine")
def mine(expected, actual):
    return 0.75
"""


def test_an_archive_is_checked_and_rendered_without_its_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "run"
    root.mkdir()
    plugin = root / "mine.py"
    plugin.write_text(PLUGIN)
    monkeypatch.setattr(making, "SCORING", [{"field": "colour", "scorer": "mine"}])
    approaches = "baseline,no_context,names_only"
    recorded = record_run(root, monkeypatch, cases=2, samples=2, plugins="mine.py", approaches=approaches)
    file = recorded.archive()
    load_plugins([])
    plugin.with_suffix(".ran").unlink()

    with open_archive(file) as archive:
        assert archive.read("config/plugins/0_mine.py").decode() == PLUGIN
        settings = yaml.safe_load(archive.read("config/config.yaml"))
    assert (settings["plugins"], settings["endpoint_file"]) == (["config/plugins/0_mine.py"], None)

    checked = verify(file, recompute=True)
    assert checked.ok, checked.line
    assert "NOT CHECKED: scores by mine (a plugin's scorer is not run)" in checked.details
    assert "all tables were derived again, byte by byte" in checked.details, "no plugin had a part in them"
    render(file, tmp_path / "out")
    assert "mine" not in SCORERS
    assert not list(tmp_path.rglob("*.ran")), "no code of the archive was run"


def test_what_a_program_registered_itself_has_no_part_in_verifying(archive: Path) -> None:
    """A notebook that defines a metric and then verifies an archive hears the same as the command line."""
    metric("own_metric", description="One")(lambda cell: 1.0)
    comparison("own_comparison", description="One")(lambda samples: samples["input_tokens"])
    check("own_check", voids=(), description="None")(
        lambda samples, thresholds: (samples["input_tokens"], samples["ok"])
    )
    plot("own_plot")(lambda figure, data, options: None)
    checked = verify(archive, recompute=True)
    assert "own_metric" in METRICS, "it is registered still"
    assert checked.ok, checked.line
