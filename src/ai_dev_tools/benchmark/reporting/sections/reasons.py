"""What the reasons of a verdict mean in plain words, and what a reader can do about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ai_dev_tools.benchmark._util.text import shorten
from ai_dev_tools.benchmark.analysis.reasons import Reason


class Meaning(NamedTuple):
    """Why a verdict is what it is.

    Attributes:
        plain: half a sentence.
        step: the kind of step that helps.
        code: of the reason; empty where it is not known.
    """

    plain: str
    step: str
    code: str = ""


MEANINGS: Mapping[str, tuple[str, str]] = {
    "interim": ("only {present} of {planned} planned samples are there", "finish"),
    "unanswered": ("no question was answered in both arms", "finish"),
    "no_pair": ("no question was answered in both arms", "finish"),
    "unscored": ("it is not known which answers are right", "truth"),
    "unscored_tasks": ("it is not known which answers are right", "truth"),
    "no_floor": ("the arm {floor} did not run, so nobody knows what guessing scores", "floor"),
    "floor_apart": (
        "the arm {floor} has no scored question in common with the others, so nobody knows what guessing scores",
        "floor",
    ),
    "floor": (
        "with {reference} the model does not demonstrably do better than guessing ({floor}), so equal answers prove nothing",
        "larger_model",
    ),
    "own_floor": (
        "with {approach} the model does not demonstrably do better than guessing ({floor})",
        "read_answers",
    ),
    "lost": ("{percent} % of the pairs were lost to failed requests", "finish"),
    "flagged": ("the check {check} flagged {percent} % of the pairs", "checks"),
    "flagged_apart": ("a disturbance affected one arm more than the other", "checks"),
    "asked_first": ("one arm was always asked first", "ask_again"),
    "flagged_decide": ("the result depends on measurements that a check flagged", "ask_again"),
    "unforeseen": ("some samples were seen before the plan was declared", "undo"),
    "not_continued": ("the plan was changed after samples had been seen", "undo"),
    "undeclared": ("no plan was declared before the run", "ask_again"),
    "vetoed_here": ("this model's answers get worse", "read_answers"),
    "vetoed": ("the answers on {task} get worse", "read_answers"),
    "unused": ("the agent used the tool in none of {episodes} episodes", "unused"),
    "equivalent": ("the two cost the same, within the margin", "settled"),
    "mixed": ("it depends on the task: cheaper on {cheaper}, but more expensive on {more_expensive}", "by_task"),
    "bill_other_way": ("the average question is {way}, but the whole bill is not", "by_task"),
    "unproven": ("{clusters} projects are too few to show that the answers are not worse", "more_samples"),
    "unproven_family": ("{clusters} projects are too few to show that the answers are not worse", "more_samples"),
    "few_clusters": ("{clusters} projects are too few to generalise", "more_samples"),
    "no_spread": ("one project shows no spread to judge by", "more_samples"),
    "interval": ("the measurement is too uncertain to rule out chance", "more_samples"),
    "p_value": ("the evidence is too weak for this many claims and looks", "more_samples"),
    "bill_uncertain": ("a few expensive questions could reverse the total", "more_samples"),
    "unmeasured": ("it was not measured", "numbers"),
}
"""What a reason means, and the kind of step that helps; what matters more stands first."""
OF_ONE: Mapping[str, tuple[str, str]] = {
    "unused": ("episodes", "the agent did not use the tool in its only episode"),
    "unproven": ("clusters", "one project is too few to show that the answers are not worse"),
    "unproven_family": ("clusters", "one project is too few to show that the answers are not worse"),
    "few_clusters": ("clusters", "one project is too few to generalise"),
}
"""The same where this value is 1."""
_APART = ("the two arms were measured at different times in {percent} % of the pairs", "pairs")
FLAGGED_BY: Mapping[str, tuple[str, str]] = {
    "prompt_truncated": ("the server read only a part of the prompt in {percent} % of the pairs", "window"),
    "token_counts_missing": (
        "the server did not say how many tokens it counted in {percent} % of the pairs",
        "numbers",
    ),
    "implausible_value": ("the server reported impossible numbers in {percent} % of the pairs", "numbers"),
    "cache_hit": ("the server had part of the prompt in its cache in {percent} % of the pairs", "cache"),
    "model_loaded": ("the model was loaded during {percent} % of the pairs", "loaded"),
    "offload_changed": ("another share of the model was on the accelerator in {percent} % of the pairs", "loaded"),
    "queued": ("requests waited behind others at the server in {percent} % of the pairs", "queue"),
    "others_in_flight": (
        "one arm had more requests in flight than the other in {percent} % of the pairs",
        "one_at_a_time",
    ),
    "retried": ("requests failed before they were answered in {percent} % of the pairs", "failures"),
    "cpu_contention": ("other programs kept the processor busy during {percent} % of the pairs", "measure_again"),
    "tool_contention": (
        "other programs kept the processor busy while the tool ran, in {percent} % of the pairs",
        "tools_again",
    ),
    "clock_backwards": ("a clock was wrong during {percent} % of the pairs", "clock"),
    "model_digest_changed": ("the model was another one in {percent} % of the pairs", "one_version"),
    "server_version_changed": ("the server had another version in {percent} % of the pairs", "one_version"),
    "protocol_mixed": ("another version of this program asked {percent} % of the pairs", "one_version"),
    "options_changed": ("other options held in {percent} % of the pairs", "one_version"),
    "other_session": _APART,
    "not_adjacent": _APART,
}
"""The same of flagged pairs, by the check that flagged most of them."""
NOTES = frozenset({"continued", "remedy", "left_out", "one_repository", "closed", "other_rules"})
"""Reasons that only explain others."""
MOST_MESSAGE = 160


def meanings_of(reasons: Sequence[Reason], words: Mapping[str, str], tool_failure: str = "") -> list[Meaning]:
    """What the reasons of a verdict mean, the weightiest first; what is not known stays as it is.

    Args:
        words: what `reference` and `approach` are in plain words.
        tool_failure: what the tool said, where it failed in most cases; nothing else matters then.
    """
    if tool_failure:
        return [Meaning(shorten(tool_failure, MOST_MESSAGE), "tool", "tool_failed")]
    ranks = {code: place for place, code in enumerate(MEANINGS)}
    found = [_meaning(each, words) for each in reasons if each.code not in NOTES]
    return sorted(found, key=lambda each: ranks.get(each.code, len(ranks)))


def _meaning(reason: Reason, words: Mapping[str, str]) -> Meaning:
    known = MEANINGS.get(reason.code)
    if reason.code == "flagged":
        known = FLAGGED_BY.get(reason.values.get("check", ""), known)
    if known is None:
        return Meaning(reason.text, "look", reason.code)
    plain, step = known
    count, of_one = OF_ONE.get(reason.code, ("", ""))
    plain = of_one if reason.values.get(count) == "1" else plain
    try:
        return Meaning(plain.format_map({**reason.values, **words}), step, reason.code)
    except KeyError:  # another version said other values
        return Meaning(reason.text, step, reason.code)
