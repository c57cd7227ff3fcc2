"""What untrusted text looks like to a reader."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ai_dev_tools.benchmark._util.text import visible

ANY = st.text(st.characters(exclude_characters="\r") | st.sampled_from("\n\t \x1b\u202e\u2028\ud800é"))


@given(ANY, st.booleans())
def test_each_character_is_shown_as_if_it_stood_alone(text: str, keep_lines: bool) -> None:
    assert visible(text, keep_lines) == "".join(visible(character, keep_lines) for character in text)


@given(ANY)
def test_nothing_that_acts_unseen_is_left(text: str) -> None:
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not [c for c in visible(text) if unicodedata.category(c) in unseen and c not in "\n\t"]
    assert not [c for c in visible(text, False) if unicodedata.category(c) in unseen]
    assert not [c for c in text if unicodedata.category(c) not in unseen and c not in visible(text)]
