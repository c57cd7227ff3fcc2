"""Where the prompt tokens of an episode go.

The whole conversation is sent again with every turn, so a result that came back early is paid for many times.
"""

from __future__ import annotations

from collections.abc import Sequence

from ai_dev_tools.benchmark.analysis.rows import Row
from ai_dev_tools.benchmark.records.episode import Turn

PARTS = ("opening_tokens", "file_tokens", "tool_result_tokens", "own_message_tokens")
"""Parts of an episode's prompt tokens; together they are all of them."""


def prompt_parts(turns: Sequence[Turn]) -> Row:
    """Prompt tokens as sent, by what they are.

    The server counts each prompt as a whole. A prompt is longer than the one before by the model's message, whose tokens
    are known, and by what came back.

    Returns:
        opening_tokens: the first message, with the question, the tool's instructions and what the model is offered.
        file_tokens: results of the agent's own file actions, and what it was told of a message that was not an action.
        tool_result_tokens: results that the judged tool gave, or had a part in.
        own_message_tokens: the model's earlier messages.
        All are None if a count is missing, or a prompt was shorter than the one before (an agent that forgets).
    """
    counts = [turn.input_tokens for turn in turns]
    known = [count for count in counts if count is not None]
    if not turns or len(known) < len(counts) or known != sorted(known):
        return dict.fromkeys(PARTS)
    parts = dict.fromkeys(PARTS, 0)
    parts["opening_tokens"] = known[0] * len(turns)
    for place, turn in enumerate(turns[:-1]):
        grown, sent_again = known[place + 1] - known[place], len(turns) - place - 1
        said = min(turn.output_tokens or 0, grown)
        parts["own_message_tokens"] += said * sent_again
        parts["tool_result_tokens" if turn.tool else "file_tokens"] += (grown - said) * sent_again
    return {**parts}
