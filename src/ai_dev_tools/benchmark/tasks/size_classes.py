"""Size classes of cases, by the tokens of their baseline prompt or of a workspace."""

from __future__ import annotations

from collections.abc import Mapping

LARGEST: Mapping[str, int] = {"S": 2500, "L": 7000}
"""Maximum number of tokens in the baseline prompt of each size class."""
LARGEST_WORKSPACE: Mapping[str, int] = {"S": 15_000}
"""Maximum number of tokens in all files of a workspace; nothing limits the largest class."""
CHARS_PER_TOKEN = 3.2
"""For code, and cautious: most tokenizers need fewer tokens."""
USUAL_WRAPPING_TOKENS = 60
"""What a chat template and the opening nonce add to a prompt: enough to say whether it will fit a context."""
MOST_WRAPPING_TOKENS = 128
"""What they and the schema of an answer add at most: a budget reserves so much."""
