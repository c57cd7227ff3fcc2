"""Pictures drawn once for all tests that are not about drawing: the same data give the same picture, byte by byte.

That they do is tested where pictures are really drawn: unit/reporting, and `drawn_once.forget` in unit/archive.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ai_dev_tools.benchmark.reporting import figures

_drawing = figures.draw, figures.svg, figures.save


@dataclass(frozen=True)
class Picture:
    """What a drawn figure comes to."""

    svg: str
    png: bytes


class _Data:
    """A plot's data and options, equal where they say the same."""

    def __init__(self, data: pd.DataFrame, options: Mapping[str, Any] | None) -> None:
        self.data, self.options = data, options
        self.said = (data.to_csv(), str(data.dtypes.to_dict()), repr(options))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Data) and self.said == other.said

    def __hash__(self) -> int:
        return hash(self.said)


@functools.lru_cache(maxsize=500)
def _picture(name: str, given: _Data) -> Picture:
    draw, svg, save = _drawing
    figure = draw(name, given.data, given.options)
    text = svg(figure)
    with tempfile.TemporaryDirectory() as folder:
        save(figure, Path(folder, "picture"), text)
        return Picture(text, Path(folder, "picture.png").read_bytes())


def _draw(name: str, data: pd.DataFrame, options: Mapping[str, Any] | None = None) -> Picture:
    return _picture(name, _Data(data, options))


def _save(picture: Picture, stem: Path, text: str | None = None) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".svg").write_text(text or picture.svg, encoding="utf-8")
    stem.with_suffix(".png").write_bytes(picture.png)


def use(patch: pytest.MonkeyPatch) -> None:
    """Take pictures from those that were drawn already."""
    patch.setattr(figures, "draw", _draw)
    patch.setattr(figures, "svg", lambda picture: picture.svg)
    patch.setattr(figures, "save", _save)


def forget() -> None:
    """Draw anew what is asked for from now on."""
    _picture.cache_clear()
