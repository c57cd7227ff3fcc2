"""docs/statistics.md: its worked example is what the functions say, and the words it explains are words of cards."""

from __future__ import annotations

import re
import sys

import pytest

from support.repository import ROOT

PAGE = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")
CARDS = "\n".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "src/ai_dev_tools/benchmark/analysis").glob("*.py")
)


def test_the_worked_example_is_computed_from_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import worked_example

    (shown,) = worked_example.MARKED.findall(PAGE)
    assert shown == worked_example.text(), "python benchmarks/worked_example.py --write docs/statistics.md"
    assert worked_example.judged(worked_example.pd.read_csv(worked_example.SAMPLES), 16, 64)["verdict"] == "saves"
    sys.modules.pop("worked_example")


@pytest.mark.parametrize(
    "said",
    [
        "interim look",
        "are older than the plan",
        "is not continued",
        "quality unproven at n",
        "quality vetoed by",
        "quality unknown",
        "did not run",
        "never used",
        "the interval reaches the margin",
        "the adjusted p-value is",
        "per case, bill uncertain",
        "but the whole bill is not",
        "equivalent",
        "mixed",
        "one cluster only",
        "pairs are flagged, mostly by",
        "the arms' flagged shares differ",
        "the result changes with flagged pairs",
    ],
)
def test_what_a_card_may_say_is_explained_in_its_own_words(said: str) -> None:
    table = re.search(r"## What to do when it says …\n(.*?)\n## ", PAGE, re.DOTALL)
    assert table
    assert said in table[1]
    assert said in CARDS
