"""Runs and pages of the comparison's tests share their pictures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import drawn_once


@pytest.fixture(scope="module", autouse=True)
def pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        drawn_once.use(patch)
        yield
